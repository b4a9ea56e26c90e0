"""Load what has landed into bronze: one Spark pass for all waiting deliveries of a feed, exactly once."""

from __future__ import annotations

import math
import os

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import bronze_columns
from infra.ledger import Delivery
from infra.problems import Problem
from spark_jobs import delta
from spark_jobs.writing import Writer


def load_waiting(writer: Writer, contract: Contract) -> dict[str, int]:
    """Append every landed delivery of the feed that bronze lacks; return ``{delivery_id: rows}`` of all that are there now.

    A delivery is in bronze completely or not at all. What an earlier try appended before it was killed is found by its delivery id.
    A new reading takes the place of the one before in one commit. The ledger is told by the caller, once the rows are durable.
    """
    waiting = {d.delivery_id: d for d in writer.ledger.deliveries(contract.name, "landed")}
    if not waiting:
        return {}
    writer.plan_by_size()
    spark, table = writer.spark, delta.ensure_table(writer.spark, contract)
    mine = F.col("delivery_id").isin(list(waiting))
    stored = spark.table(table).where(mine).select("delivery_id").distinct()
    present = {row[0] for row in stored.collect()} if delta.files(table) else set()
    new = [d for d in waiting.values() if d.delivery_id not in present]
    read_again = [d for d in waiting.values() if d.delivery_id in present and d.reading > 1]
    if new:
        writer.write(_rows(writer, contract, new), table, "append", "load", None)
    if read_again:
        replaced = ", ".join(f"'{d.delivery_id}'" for d in read_again)
        writer.replace(_rows(writer, contract, read_again), table, f"delivery_id IN ({replaced})", "load", None)
    counts = {row[0]: row[1] for row in spark.table(table).where(mine).groupBy("delivery_id").count().collect()}
    wrong = {i: (d.row_count, counts.get(i, 0)) for i, d in waiting.items() if counts.get(i, 0) != d.row_count}
    if wrong:
        raise Problem(
            f"{table} does not hold what landed", f"delivery → (landed, loaded): {wrong}", "nothing was published; see the log of the ingest task"
        )
    return counts


def waiting_since(writer: Writer, contract: Contract) -> float:
    """Since when the oldest of the feed's landed records wait (seconds of the epoch): no row of them in bronze is older."""
    landing = writer.context.settings.landing
    return min((os.stat(landing / str(d.landed_path)).st_mtime for d in writer.ledger.deliveries(contract.name, "landed")), default=math.inf)


def _rows(writer: Writer, contract: Contract, deliveries: list[Delivery]) -> DataFrame:
    """The landed records of deliveries, as rows of bronze."""
    spark, landing = writer.spark, writer.context.settings.landing
    arrivals = spark.createDataFrame([(d.delivery_id, d.arrived_at) for d in deliveries], "delivery_id string, arrived string")
    # What landed before the feed gained a column has no such column: named here, it is empty.
    columns = [c for c in bronze_columns(contract) if c.name != "arrived_at"]
    landed = spark.read.schema(", ".join(f"{c.name} {c.type}" for c in columns)).parquet(*[str(landing / str(d.landed_path)) for d in deliveries])
    frame = landed.join(F.broadcast(arrivals), "delivery_id").withColumn("arrived_at", F.to_timestamp("arrived"))
    return frame.select(*[c.name for c in bronze_columns(contract)])
