"""Load what has landed into bronze: one Spark pass for all waiting deliveries of a feed, exactly once."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import bronze_columns, header_bindings, physical_columns
from infra.ledger import Ledger
from infra.problems import Problem
from infra.settings import REPO
from spark_jobs import delta


def load_waiting(spark: SparkSession, ledger: Ledger, contract: Contract, run_id: str) -> dict[str, int]:
    """Append every landed delivery of the feed that bronze lacks; return ``{delivery_id: rows}`` of those loaded.

    A delivery is in bronze completely or not at all. What an earlier try appended before it was
    killed is found by its delivery id, and only noted in the ledger.
    """
    table = delta.ensure_table(spark, contract)
    waiting = {d.delivery_id: d for d in ledger.deliveries(contract.name, "landed")}
    if not waiting:
        return {}
    present = {row[0] for row in spark.table(table).where(F.col("delivery_id").isin(list(waiting))).select("delivery_id").distinct().collect()}
    new = [d for d in waiting.values() if d.delivery_id not in present]
    if new:
        arrivals = spark.createDataFrame([(d.delivery_id, d.arrived_at) for d in new], "delivery_id string, arrived string")
        landed = spark.read.parquet(*[str(d.landed_path) for d in new])
        frame = landed.join(F.broadcast(arrivals), "delivery_id").withColumn("arrived_at", F.to_timestamp("arrived"))
        epoch = ledger.take_epoch(run_id, table, "load")
        delta.write(frame.select(*[c.name for c in bronze_columns(contract)]), table, epoch, "append")
    counts = {row[0]: row[1] for row in spark.table(table).where(F.col("delivery_id").isin(list(waiting))).groupBy("delivery_id").count().collect()}
    wrong = {i: (d.row_count, counts.get(i, 0)) for i, d in waiting.items() if counts.get(i, 0) != d.row_count}
    if wrong:
        raise Problem(
            f"{table} does not hold what landed", f"delivery → (landed, loaded): {wrong}", "nothing was published; see the log of the load task"
        )
    ledger.loaded(list(waiting))
    return counts


def load_reference(spark: SparkSession, ledger: Ledger, contract: Contract, file: str, run_id: str) -> int:
    """Bring a code list from ``catalog/codes`` into silver; return its rows. Unchanged content writes nothing."""
    table = delta.ensure_table(spark, contract)
    path = REPO / "catalog" / "codes" / file
    columns = physical_columns(contract)
    bindings = header_bindings(contract)
    # Bound by the header's names: without a schema every column is text, and none is bound by position.
    delivered = spark.read.option("header", True).option("escape", '"').option("mode", "FAILFAST").csv(str(path))
    column_of = {bindings[header]: header for header in delivered.columns}
    typed = delivered.select(*[F.col(column_of[c.name]).cast(c.type).alias(c.name) for c in columns])
    stored = spark.table(table)
    if stored.exceptAll(typed).limit(1).count() or typed.exceptAll(stored).limit(1).count():
        delta.write(typed, table, ledger.take_epoch(run_id, table, "reference"), "overwrite")
    return typed.count()
