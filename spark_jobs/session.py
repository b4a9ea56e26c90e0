"""The one place where a job gets its Spark session and its identity.

The session's id is given by the caller (Airflow's operator derives it from run, task and try), so that
a killed job's statements can be found and interrupted. Every client, also one that interrupts, connects
as the user ``lake``: a session belongs to a user and an id.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid

from pyspark.sql import SparkSession

from infra import credentials, settings
from infra.services.base import Context
from infra.services.spark import remote

# An analysis error is raised to whoever asked; printed beside that, with plans and stacks, it would drown the message.
logging.getLogger("DataFrameQueryContextLogger").setLevel(logging.CRITICAL)
NAMESPACE = uuid.UUID("6f0a9a52-6f0e-5d0b-9f43-4c1b8f6f2a11")


def context() -> Context:
    """Settings and secrets of the instance that this program belongs to."""
    current = settings.load()
    return Context(current, credentials.load(current))


def session_id(*parts: object) -> str:
    """The id of the session of one try of one task."""
    return str(uuid.uuid5(NAMESPACE, "/".join(str(p) for p in parts)))


def connect(current: Context, identity: str | None = None) -> SparkSession:
    """Open a session on the Spark Connect server, under ``identity``, ``$LAKE_SPARK_SESSION`` or a fresh id."""
    os.environ.update(remote(current))
    chosen = identity or os.environ.get("LAKE_SPARK_SESSION") or str(uuid.uuid4())
    return SparkSession.builder.remote(f"{os.environ['SPARK_REMOTE']}/;user_id=lake;session_id={chosen}").create()


def plan_for(spark: SparkSession, many: bool, partitions: int) -> None:
    """Let a session compile expressions, plan again by what it sees between stages and spread rows over ``partitions`` only where there are ``many`` rows.

    Of few, most of a step was that (docs/decisions/0046). The results are the same.
    """
    spark.conf.set("spark.sql.codegen.wholeStage", str(many).lower())
    spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK" if many else "NO_CODEGEN")
    spark.conf.set("spark.sql.adaptive.enabled", str(many).lower())
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions if many else 1))


def interrupt(current: Context, identity: str) -> None:
    """Stop what a session is doing and close it, so that a late client of it is kept out too."""
    session = connect(current, identity)
    try:
        session.interruptAll()
    finally:
        session.stop()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        interrupt(context(), name)
