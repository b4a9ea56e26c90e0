"""The one writing program: its lease, its Spark session, its epochs, and the fencing-off of those before it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from infra.ledger import Ledger
from infra.services.base import Context
from spark_jobs import delta, session

MOST_BROADCAST = 200_000  # rows that are sent to every task, so that what they are looked for in is neither sorted nor moved
_STATISTICS = "spark.databricks.delta.stats.collect"


@dataclass(frozen=True)
class Writer:
    """What a program needs to write: the ledger, a session, and the run that its epochs belong to (None outside a run)."""

    context: Context
    ledger: Ledger
    spark: SparkSession
    session_id: str
    stamp: str  # what each of its commits carries

    def epoch(self, table: str, step: str, run_id: str | None) -> int:
        return self.ledger.take_epoch(run_id, table, step)

    def write(self, frame: DataFrame, table: str, mode: str, step: str, run_id: str | None) -> None:
        """Append to or overwrite a table, exactly once."""
        delta.write(frame, table, self.epoch(table, step, run_id), mode)

    def replace(self, frame: DataFrame, table: str, where: str, step: str, run_id: str | None) -> None:
        """Put ``frame`` in the place of the rows that meet ``where``, in one commit, exactly once."""
        delta.write(frame, table, self.epoch(table, step, run_id), "overwrite", where)

    def change(self, statement: str, table: str, step: str, run_id: str | None) -> None:
        """Run a MERGE, UPDATE or DELETE, exactly once."""
        delta.change(self.spark, statement, table, self.epoch(table, step, run_id))

    def stage(self, frame: DataFrame, name: str) -> DataFrame:
        """Write intermediate rows to ``work.<name>`` and read them back: what a MERGE is fed with must be the same each time it looks."""
        table = f"work.{name}"
        self.spark.conf.set(_STATISTICS, "false")  # nobody looks for a part of them
        try:
            frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true").saveAsTable(table)
        finally:
            self.spark.conf.unset(_STATISTICS)
        return self.spark.table(table)

    def plan_by_size(self) -> None:
        """Let Spark plan for few rows or for many (``[spark] many_rows``), by what has arrived, also what isn't loaded yet."""
        current = self.context.settings.values["spark"]
        many = self.ledger.rows_arrived() >= current["many_rows"]
        session.plan_for(self.spark, many, current["shuffle_partitions"])

    def hold(self, frame: DataFrame, name: str) -> DataFrame:
        """Work rows out once and keep them with the server under a name of this session: for what only this program needs again.

        Like a staged table it is the same each time that a MERGE looks; it costs no commit. What memory can't take goes to the server's disk.
        """
        held = frame.localCheckpoint()
        held.createOrReplaceTempView(name)
        return held


def sent_along(frame: DataFrame, rows: int) -> DataFrame:
    """``frame``, of at most ``rows`` rows, as the small side of a join: where they are few, the large side stays where it is.

    Spark doesn't know the size of what was worked out or staged, and would sort both sides.
    """
    return F.broadcast(frame) if rows <= MOST_BROADCAST else frame


@contextmanager
def writing(context: Context, step: str, tables: Iterable[str]) -> Iterator[Writer]:
    """Be the one writing program for the length of the block.

    A program that was killed gives up its lease with its connection, but may leave a statement running in Spark. Its
    sessions are in the ledger: they are interrupted and closed, and ``tables`` are fenced off against what they might still commit.
    """
    with Ledger(context) as ledger:
        ledger.hold_writer(lambda: print("waiting: another program writes", flush=True))
        identity = os.environ.get("LAKE_SPARK_SESSION") or str(uuid.uuid4())
        left = ledger.open_session(identity, step)
        for orphan in left:
            print(f"ending the session {orphan} of a program that is gone", flush=True)
            try:
                session.interrupt(context, orphan)
            except PySparkException as error:  # a session that was closed can't be opened again, and needs no interruption
                print(f"  {str(error).splitlines()[0]}", flush=True)
            ledger.close_session(orphan)
        spark = session.connect(context, identity)
        try:
            stamp = f"{step}/{identity}"
            delta.stamp(spark, stamp)
            spark.sql("CREATE SCHEMA IF NOT EXISTS work")
            if left:
                for table in tables:
                    delta.fence(spark, table, ledger.take_epoch(None, table, "fence"))
            writer = Writer(context, ledger, spark, identity, stamp)
            writer.plan_by_size()
            yield writer
        finally:
            spark.stop()
            ledger.close_session(identity)
