"""Plain PySpark scripts, one process for each step as with spark-submit, Delta tables between them, all cores."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jinja2
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from infra.bench.peers.common import ARRIVED, CODES, COLUMNS, deliveries, export, headers, main
from infra.settings import REPO, load
from spark_jobs.history import outcomes
from spark_jobs.identity.keys import assign_subjects, with_key
from spark_jobs.refine.batches import refine_batches, spark_ddl

# Spark's launcher asks for a module that the runtime in the wheel lacks.
_JAVA = """#!/bin/bash
for word in "$@"; do [[ $word == --add-modules=jdk.incubator.vector ]] || words+=("$word"); done
exec {java} "${{words[@]}}"
"""


def _session(folder: Path) -> SparkSession:
    settings = load()
    java = folder / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(_JAVA.format(java=settings.java))
    java.chmod(0o755)
    os.environ.update(JAVA_HOME=str(folder / "java"), PYSPARK_PYTHON=sys.executable)
    jars = sorted((settings.engines / "jars").glob("delta-*.jar"))
    builder: Any = SparkSession.builder
    return (
        builder.master(f"local[{os.cpu_count()}]")
        .config("spark.driver.memory", os.environ["BENCH_MEMORY"])
        .config("spark.jars", ",".join(map(str, jars)))
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.databricks.delta.snapshotPartitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )


def land(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    frames = []
    for number, (path, as_of, revision) in enumerate(deliveries(listed)):
        names = headers(path)
        schema = ", ".join(f"{n} STRING" for n in [*names, "_damaged"])
        frame = spark.read.csv(str(path), schema=schema, header=True, columnNameOfCorruptRecord="_damaged", escape='"')
        frames.append(
            frame.where("_damaged IS NULL")
            .drop("_damaged")
            .withColumn("delivery_id", F.lit(f"D{number:05}"))
            .withColumn("row_number", F.monotonically_increasing_id())
            .withColumn("business_date", F.lit(as_of).cast("date"))
            .withColumn("source_revision", F.lit(revision))
        )
    rows = frames[0]
    for frame in frames[1:]:
        rows = rows.unionByName(frame)
    rows.withColumn("arrived_at", F.lit(ARRIVED).cast("timestamp")).withColumn("raw_line", F.lit(None).cast("string")).withColumn(
        "simulated", F.lit(True)
    ).write.format("delta").save(str(folder / "bronze"))


def refine(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    bronze = spark.read.format("delta").load(str(folder / "bronze"))
    revisions = spark.createDataFrame([(f"D{n:05}", r) for n, (_, _, r) in enumerate(deliveries(listed))], "delivery_id string, source_revision int")
    typed = bronze.drop("source_revision").mapInArrow(refine_batches, spark_ddl()).join(F.broadcast(revisions), "delivery_id")
    typed.where("size(reasons) = 0").withColumn("known_at", F.col("arrived_at")).write.format("delta").save(str(folder / "refined"))
    refined = with_key(spark.read.format("delta").load(str(folder / "refined")))
    small = ("delivery_id", "row_number", "key_kind", "key_value", "normalized_name", "registration_date", "effective_from", "source_revision", "content_hash", "known_at")  # fmt: skip
    assign_subjects(refined.select(*small)).write.format("delta").save(str(folder / "assigned"))
    assigned = spark.read.format("delta").load(str(folder / "assigned"))
    facts = refined.drop("key_kind", "key_value").join(outcomes(assigned), ["delivery_id", "row_number"]).withColumn("value_kind", F.lit("simulated"))
    facts.write.format("delta").save(str(folder / "facts"))
    assigned.where("contested").selectExpr("subject_id", "'uscc_name' AS key_kind").distinct().write.format("delta").save(str(folder / "keys"))


def _model(name: str, tables: dict[str, str]) -> str:
    """The SQL of a dbt model for a full build."""
    macros = "".join(p.read_text("utf-8") for p in sorted((REPO / "dbt" / "macros").glob("*.sql")))
    text = (REPO / "dbt" / "models" / "gold" / f"{name}.sql").read_text("utf-8")
    functions = {
        "config": lambda **_: "",
        "is_incremental": lambda: False,
        "source": lambda _, table: tables[table],
        "ref": lambda table: tables[table],
    }
    return jinja2.Environment(autoescape=False).from_string(macros + text).render(**functions)  # noqa: S701 - SQL of our own


def _tables(spark: SparkSession, folder: Path) -> dict[str, str]:
    for name in ("facts", "keys", "archive"):
        if (folder / name).exists():
            spark.read.format("delta").load(str(folder / name)).createOrReplaceTempView(name)
    industries = spark.read.csv(str(CODES / "gbt4754_industries.csv"), header=True)
    industries.selectExpr(
        "code AS industry_code", "name AS industry_title", "edition AS industry_edition", "level AS industry_level"
    ).createOrReplaceTempView("industries")
    spark.sql("SELECT 0 AS write_number").createOrReplaceTempView("this_run")
    return {
        "subject_registration": "facts",
        "subject_key": "keys",
        "ref_industry": "industries",
        "archive_subject": "archive",
    }


def archive(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    spark.sql(_model("archive_subject", _tables(spark, folder))).write.format("delta").save(str(folder / "archive"))


def marts(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    monthly = _model("mart_registrations_monthly", _tables(spark, folder))
    for name, sql in (("mart_registrations_monthly", monthly), ("mart_subject_marks_monthly", _MARKS)):
        spark.sql(sql).write.format("delta").save(str(folder / name))


# Without the names of the rules, which lie in a table of the lake.
_MARKS = """SELECT cast(trunc(registration_date, 'MM') AS date) AS registration_month, district_name, mark, count(*) AS subjects, max(as_of) AS as_of
    FROM archive LATERAL VIEW explode(quality_marks) AS mark GROUP BY 1, 2, 3"""


def show(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    rows = spark.read.format("delta").load(str(folder / "archive")).select(*COLUMNS).orderBy("subject_id")
    export(folder, (tuple(row) for row in rows.toLocalIterator()))


if __name__ == "__main__":
    main({"land": land, "refine": refine, "archive": archive, "marts": marts, "export": show})
