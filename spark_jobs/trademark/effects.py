"""What decisions do to marks, by their words, as a view for dbt's models: one reading of the words for archives, stock figures and alerts."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

VIEW = "decision_effect"
_SCHEMA = "mark_procedure STRING, decision_result STRING, procedure_kind STRING, ends_mark BOOLEAN"


def stage(spark: SparkSession, is_told: bool) -> None:
    """Make the view: each procedure and result that is told with its kind, and whether it ends the whole mark (null: it does nothing to the whole).

    It costs nothing until a model asks for it. ``is_told``: decisions have come.
    """
    if is_told:
        said = spark.table("silver_tables.trademark_outcomes").select("mark_procedure", "decision_result").distinct()
        said.mapInArrow(_read, _SCHEMA).createOrReplaceTempView(VIEW)
    else:
        spark.createDataFrame([], _SCHEMA).createOrReplaceTempView(VIEW)


def _read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    from spark_jobs.trademark.validity import Effect, effect, procedure_kind  # a second of libraries, where a worker needs them

    meant = {Effect.ENDS: True, Effect.KEEPS: False}
    for batch in batches:
        rows = [(r["mark_procedure"], r["decision_result"]) for r in batch.to_pylist()]
        yield pa.RecordBatch.from_pydict({
            "mark_procedure": pa.array([p for p, _ in rows], pa.string()), "decision_result": pa.array([r for _, r in rows], pa.string()),
            "procedure_kind": pa.array([procedure_kind(p or "") for p, _ in rows], pa.string()),
            "ends_mark": pa.array([meant.get(effect(p, r)) for p, r in rows], pa.bool_()),
        })  # fmt: skip
