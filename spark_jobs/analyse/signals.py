"""Signs of life of market subjects 企业活跃信号: what the feeds tell of them within a year, as profiles that many subjects share.

A source covers a subject for two years after it has told of it: who appears in none of those that tell of everybody of a kind (``COVERING``) is neither
active nor idle, but unknown. Everything else can only speak for a subject.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence

import pandas as pd
from pyspark.sql import DataFrame

from spark_jobs.analyse import months
from spark_jobs.writing import Writer

# The signs, in the order of their columns; what each counts within the year. Of the first three the largest is taken, the others are summed.
LARGEST = ("annual_report", "paying_tax", "staff")
SUMMED = ("changes", "licences", "marks", "investments", "contacts")
SIGNS = (*LARGEST, *SUMMED)
MOST = 3  # more of what is summed says no more
WINDOW = 12  # months
COVERED = 24  # months: what comes once a year may come late once, and a source that has ended covers nobody
COVERING = ("annual_reports", "social_security", "tax_flags", "abnormal_list", "individual_marks")
# Feed: sign, day, how much it says (0: it tells of a subject that does not work), of its columns. Of those in the timeline only what stands is taken.
_STANDING = {
    "annual_reports": ("annual_report", "reported_on",
        "CAST(12 * year(reported_on) + month(reported_on) <= 12 * CAST(report_year AS BIGINT) + 18 AND coalesce(operating_status, '开业') NOT IN ('歇业', '停业', '筹建', '清算', '其他') AS INT)"),
    "inspection_results": ("contacts", "inspected_on", "CAST(NOT inspection_result RLIKE '无法联系|查无|未开展|停业|歇业' AS INT)"),
    "abnormal_list": (None, "listed_on", "0"),
    "individual_marks": (None, "marked_on", "0"),
    "registration_changes": ("changes", "t.occurred_on", "1"),
    "licences": ("licences", "t.occurred_on", "1"),
    "other_licences": ("licences", "t.occurred_on", "1"),
    "trademark_applications": ("marks", "t.occurred_on", "1"),
    "complaint_steps": ("contacts", "t.occurred_on", "CAST(coalesce(demand_step RLIKE '答复|调解', false) AS INT)"),
}  # fmt: skip
# What others tell of employees is in classes of twice as many: the size of a firm is no activity of that many times.
_CLASS = "least(7, 1 + cast(floor(log2({0})) AS int))"
_REPORTED = {
    "tax_flags": ("paying_tax", "r.determined_on", "CAST(r.tax_status = '正常' AS INT)"),
    "social_security": ("staff", "r.counted_on", f"CASE WHEN r.insured_persons > 0 THEN {_CLASS.format('r.insured_persons')} ELSE 0 END"),
}
_EVENTS = """
    SELECT t.subject_id, '{feed}' AS feed, {sign} AS sign, {day} AS day, {strength} AS strength
    FROM gold_tables.archive_timeline AS t JOIN silver_tables.{feed} AS r USING (delivery_id, row_number)
    WHERE t.event_feed = '{feed}' AND t.event_number = 0 AND t.is_standing AND t.subject_id IS NOT NULL AND {day} > DATE '{since}' AND {day} <= DATE '{until}'"""
# Of these feeds the timeline tells nothing; the last statement of a record is taken. (Of a day only one is applied.)
_RECORDS = """
    SELECT p.subject_id, '{feed}' AS feed, {sign} AS sign, {day} AS day, {strength} AS strength FROM (
        SELECT max_by(struct(*), struct(effective_from, content_hash)) AS r FROM silver_tables.{feed}
        WHERE fact_outcome = 'applied' GROUP BY record_id) JOIN silver_tables.party AS p ON p.party_key = r.subject_party
    WHERE r.fact_state = 'active' AND p.subject_id IS NOT NULL AND {day} > DATE '{since}' AND {day} <= DATE '{until}'"""
_INVESTMENTS = """
    SELECT t.subject_id, 'shareholders' AS feed, 'investments' AS sign, t.occurred_on AS day, 1 AS strength FROM gold_tables.archive_timeline AS t
    WHERE t.event_feed = 'shareholders' AND t.event_number = 1 AND t.is_standing AND t.subject_id IS NOT NULL AND t.occurred_on > DATE '{since}' AND t.occurred_on <= DATE '{until}'"""
_STAFF_REPORTED = """
    SELECT t.subject_id, 'annual_reports' AS feed, 'staff' AS sign, r.reported_on AS day, {strength} AS strength
    FROM gold_tables.archive_timeline AS t JOIN silver_tables.annual_reports AS r USING (delivery_id, row_number)
    WHERE t.event_feed = 'annual_reports' AND t.is_standing AND t.subject_id IS NOT NULL AND r.employees > 0
        AND r.reported_on > DATE '{since}' AND r.reported_on <= DATE '{until}'"""
# Whom an authority could not find, since when, until when.
_LOST = """
    SELECT t.subject_id, r.{begin} AS begins, r.{end} AS ends FROM gold_tables.archive_timeline AS t JOIN silver_tables.{feed} AS r USING (delivery_id, row_number)
    WHERE t.event_feed = '{feed}' AND t.event_number = 0 AND t.is_standing AND t.subject_id IS NOT NULL AND r.{reason} RLIKE '无法联系|失联'"""
_INTERVALS = {"abnormal_list": ("listed_on", "removed_on", "listing_reason"), "individual_marks": ("marked_on", "restored_on", "marking_reason")}
_NOBODY_LOST = "SELECT CAST(NULL AS STRING) AS subject_id, CAST(NULL AS DATE) AS begins, CAST(NULL AS DATE) AS ends WHERE false"
# One row for each subject that was on the register, and not struck off, at the end of a month.
_STATES = """
    WITH month AS (SELECT explode(array({months})) AS month_end),
    told AS (
        SELECT subject_id, month_end, max(feed IN ({covering}) AND day > add_months(month_end, -{covered})) AS is_covered, max(CASE WHEN strength > 0 AND sign IS NOT NULL AND in_year THEN day END) AS last_sign_on,
            {largest}, {summed}
        FROM (SELECT *, day > add_months(month_end, -{window}) AS in_year FROM activity_sign JOIN month ON day <= month_end)
        GROUP BY subject_id, month_end),
    lost AS (SELECT DISTINCT subject_id, month_end FROM activity_lost JOIN month ON begins <= month_end AND (ends IS NULL OR ends > month_end))
    SELECT s.subject_id, m.month_end, s.district_code, s.supervising_district_code, s.district_name, s.industry_section, s.industry_section_name, s.subject_category, s.value_kind,
        coalesce(t.is_covered, false) AS is_covered, l.subject_id IS NOT NULL AS is_lost, t.last_sign_on, {signs},
        CASE WHEN add_months(m.month_end, {window}) <= DATE '{until}' THEN
            coalesce(least(e.ended_on, e.revoked_on) <= add_months(m.month_end, {window}), false) END AS exits
    FROM gold_tables.archive_subject AS s CROSS JOIN month AS m
    LEFT JOIN gold_tables.archive_exit AS e ON e.subject_id = s.subject_id
    LEFT JOIN told AS t ON t.subject_id = s.subject_id AND t.month_end = m.month_end
    LEFT JOIN lost AS l ON l.subject_id = s.subject_id AND l.month_end = m.month_end
    WHERE s.registration_date <= m.month_end AND coalesce(least(e.ended_on, e.revoked_on) > m.month_end, true)"""
PROFILE = ("month_end", "district_name", "industry_section_name", "subject_category", "is_covered", "is_lost", *SIGNS)


def states(writer: Writer, month_ends: Sequence[dt.date], known: Collection[str], until: dt.date) -> DataFrame:
    """One row for each subject that is live at the end of each month: whether a source covers it, whether nobody finds it, its signs within the year before,
    and whether it left within the year after (null where that is not over ``until`` a day). ``known``: the feeds of which silver has a table."""
    spark = writer.spark
    span = {"since": months.later(min(month_ends), -COVERED), "until": max(month_ends)}
    parts = [_EVENTS.format(feed=f, sign=_text(sign), day=day, strength=s, **span) for f, (sign, day, s) in _STANDING.items() if f in known]
    parts += [_RECORDS.format(feed=f, sign=_text(sign), day=day, strength=s, **span) for f, (sign, day, s) in _REPORTED.items() if f in known]
    if "shareholders" in known:
        parts.append(_INVESTMENTS.format(**span))
    if "annual_reports" in known:
        parts.append(_STAFF_REPORTED.format(strength=_CLASS.format("r.employees"), **span))
    writer.hold(spark.sql(" UNION ALL ".join(parts)), "activity_sign")
    lost = [_LOST.format(feed=f, begin=b, end=e, reason=r) for f, (b, e, r) in _INTERVALS.items() if f in known]
    spark.sql(" UNION ALL ".join(lost or [_NOBODY_LOST])).createOrReplaceTempView("activity_lost")
    of_sign = "CASE WHEN sign = '{0}' AND in_year THEN strength ELSE 0 END"
    return spark.sql(
        _STATES.format(
            months=", ".join(f"DATE '{m}'" for m in month_ends),
            covering=", ".join(f"'{f}'" for f in COVERING),
            largest=", ".join(f"max({of_sign.format(s)}) AS {s}" for s in LARGEST),
            summed=", ".join(f"least({MOST}, sum({of_sign.format(s)})) AS {s}" for s in SUMMED),
            signs=", ".join(f"cast(coalesce(t.{s}, 0) AS int) AS {s}" for s in SIGNS),
            window=WINDOW,
            covered=COVERED,
            until=until,
        )
    )


def profiles(writer: Writer, view: str) -> pd.DataFrame:
    """How many subjects of a view of `states` share each profile: the columns of ``PROFILE``, ``subjects``, ``exits`` (not a number where not known yet)."""
    rows = writer.spark.sql(
        f"SELECT {', '.join(PROFILE)}, count(*) AS subjects, sum(cast(exits AS int)) AS exits, bool_or(value_kind = 'simulated') AS is_simulated"  # noqa: S608 - our own names
        f" FROM {view} GROUP BY {', '.join(PROFILE)}"
    )
    return rows.toPandas()


def _text(sign: str | None) -> str:
    return "CAST(NULL AS STRING)" if sign is None else f"'{sign}'"
