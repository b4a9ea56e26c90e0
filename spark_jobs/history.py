"""What becomes of each record in its subject's history (docs/decisions/0010), whatever the order of arrival."""

from __future__ import annotations

from pyspark.sql import DataFrame

# One statement over the records of whole subjects. Order key: effective_from, source_revision, content_hash; copies of one
# content are told apart by revision, so that the one that stands says whether its revision is contested, then by arrival, which
# decides nothing but which of them carries the outcome.
_OUTCOMES = """
WITH numbered AS (
    SELECT *,
        row_number() OVER (PARTITION BY subject_id, effective_from, content_hash ORDER BY source_revision DESC, known_at, delivery_id, row_number) AS copy,
        max(struct(source_revision, content_hash)) OVER (PARTITION BY subject_id, effective_from) AS winner
    FROM {records}
),
judged AS (
    SELECT *,
        content_hash = winner.content_hash AS wins,
        -- The sender gave no order: several contents share the highest revision of the day.
        source_revision = winner.source_revision
            AND size(collect_set(CASE WHEN source_revision = winner.source_revision THEN content_hash END)
                OVER (PARTITION BY subject_id, effective_from)) > 1 AS is_conflict
    FROM numbered
),
standing AS (
    SELECT subject_id, effective_from, content_hash,
        lag(content_hash) OVER (PARTITION BY subject_id ORDER BY effective_from) AS before
    FROM judged WHERE wins AND copy = 1
)
SELECT judged.delivery_id, judged.row_number, judged.subject_id, judged.is_conflict,
    CASE
        WHEN judged.copy > 1 THEN 'duplicate'
        WHEN NOT judged.wins THEN 'superseded'
        WHEN standing.before = judged.content_hash THEN 'duplicate'
        ELSE 'applied'
    END AS fact_outcome
FROM judged LEFT JOIN standing
    ON judged.wins AND judged.copy = 1 AND standing.subject_id = judged.subject_id AND standing.effective_from = judged.effective_from
"""


def outcomes(records: DataFrame) -> DataFrame:
    """Return ``delivery_id, row_number, subject_id, fact_outcome, is_conflict`` of the records of whole subjects.

    ``fact_outcome``: ``applied`` (part of the history), ``superseded`` (another content of the same business day stands),
    ``duplicate`` (the same content of the day came before, or says what stood already). ``is_conflict``: only the content hash decided.
    """
    return records.sparkSession.sql(_OUTCOMES, records=records)
