"""Plain PySpark scripts, one process for each step as with spark-submit, Delta tables between them, all cores."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Any

import jinja2
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from catalog.contract import CHANGED_AT, load_contracts
from catalog.dbt_files import macro_values
from infra.bench.peers.common import (
    ARRIVED,
    CHANGES,
    CODES,
    COLUMNS,
    REGISTER,
    Lot,
    applied,
    columns,
    contract,
    deliveries,
    export,
    feeds,
    held,
    lots,
    main,
    others,
    sheets,
)
from infra.settings import REPO, load
from spark_jobs.history import outcomes
from spark_jobs.identity import ties
from spark_jobs.identity.keys import ORDER_OF_A_DAY, TRUSTED, assign_subjects, with_key
from spark_jobs.refine import batches
from spark_jobs.refine import records as records_of

# Of one day and revision, what is said of the later day stands.
ORDER = "CAST(source_revision AS BIGINT) * 10000000 + datediff(occurred_on, DATE '1900-01-01')"

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
        .config("spark.sql.legacy.javaCharsets", "true")  # GB18030, which Spark knows and no longer offers
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )


def land(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    for feed in feeds(listed):
        frames = [_read(spark, feed, lot) for lot in lots(deliveries(listed, feed))]
        rows = functools.reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
        placed = rows.withColumn("row_number", F.monotonically_increasing_id()).withColumn("arrived_at", F.lit(ARRIVED).cast("timestamp"))
        placed.withColumn("raw_line", F.lit(None).cast("string")).withColumn("simulated", F.lit(True)).write.format("delta").save(
            str(folder / "bronze" / feed)
        )


def _read(spark: SparkSession, feed: str, lot: Lot) -> DataFrame:
    """The records of files by the contract's names, each with its delivery and business date; what can't be split is left out."""
    listing = spark.createDataFrame([(s.identity, s.path.name, s.as_of) for s in lot.sent], "delivery_id string, file string, business_date string")
    sent = F.broadcast(listing.withColumn("business_date", F.col("business_date").cast("date")))
    if lot.form == "sheet":
        return spark.createDataFrame(sheets(lot)).join(sent.drop("file"), "delivery_id")
    fields = ", ".join(f"`{header}` STRING" for header in [*lot.headers, "_damaged"])
    paths = [str(s.path) for s in lot.sent]
    if lot.form == "json":
        read = spark.read.json(paths, schema=fields, columnNameOfCorruptRecord="_damaged")
    else:
        encoding = "GB18030" if lot.form == "gb18030" else "UTF-8"
        read = spark.read.csv(paths, schema=fields, header=True, columnNameOfCorruptRecord="_damaged", escape='"', encoding=encoding)
    renamed = [F.col(f"`{header}`").alias(name) for header, name in zip(lot.headers, columns(feed, lot.headers), strict=True)]
    whole = read.where("_damaged IS NULL").select(*renamed, F.expr("url_decode(_metadata.file_name)").alias("file"))
    return whole.join(sent, "file").drop("file")


def _good(spark: SparkSession, folder: Path, listed: Path, feed: str) -> DataFrame:
    """The records of a feed that nothing sets aside, with the revision of their delivery, as the lake's own functions type and judge them."""
    sent = deliveries(listed, feed)
    own, types = (
        (batches.refine_batches, batches.OUTPUT_SCHEMA)
        if feed == REGISTER
        else (records_of.refine_batches(contract(feed)), records_of.output_schema(contract(feed)))
    )
    revisions = spark.createDataFrame([(s.identity, s.revision) for s in sent], "delivery_id string, source_revision int")
    typed = spark.read.format("delta").load(str(folder / "bronze" / feed)).mapInArrow(own, batches.spark_ddl(types))
    good = typed.join(F.broadcast(revisions), "delivery_id").where("size(reasons) = 0").withColumn("known_at", F.col("arrived_at"))
    good.write.format("delta").save(str(folder / "refined" / feed))
    refined = spark.read.format("delta").load(str(folder / "refined" / feed))
    over = held(feed, sent, {r[0]: r[1] for r in refined.groupBy("delivery_id").count().collect()})
    return refined.where(~F.col("delivery_id").isin(over)) if over else refined


def refine(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    refined = with_key(_good(spark, folder, listed, REGISTER))
    small = ("delivery_id", "row_number", "key_kind", "key_value", "normalized_name", "registration_date", "district_code", "trusted", "effective_from", "source_revision", "content_hash", "known_at")  # fmt: skip
    refined = refined.withColumn("trusted", F.expr(TRUSTED))
    rows = refined.select(*small)
    changes = folder / "records" / CHANGES
    said = ties.said_by(CHANGES, spark.read.format("delta").load(str(changes))).collect() if changes.exists() else []
    tied, resolved = ties.resolve_rows(rows, [ties.statement_of(row) for row in said], lambda frame: frame.localCheckpoint())
    loose = assign_subjects(rows.join(F.broadcast(tied), ["key_kind", "key_value"], "left_anti"))
    bound = rows.join(F.broadcast(ties.said_of(spark, resolved)), ["key_kind", "key_value", "normalized_name"])
    loose.unionByName(bound).write.format("delta").save(str(folder / "assigned"))
    assigned = spark.read.format("delta").load(str(folder / "assigned"))
    facts = (
        refined.drop("key_kind", "key_value", "trusted")
        .join(outcomes(assigned.withColumn("source_revision", F.expr(ORDER_OF_A_DAY))), ["delivery_id", "row_number"])
        .withColumn("value_kind", F.lit("simulated"))
    )
    facts.write.format("delta").save(str(folder / "facts"))
    assigned.where("contested").selectExpr("subject_id", "'uscc_name' AS key_kind").distinct().write.format("delta").save(str(folder / "keys"))


def records(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    for feed in others(listed):
        refined = _good(spark, folder, listed, feed)
        order = f"coalesce(unix_millis({CHANGED_AT}), {ORDER})" if CHANGED_AT in refined.columns else ORDER
        small = ("delivery_id", "row_number", "record_id AS subject_id", "effective_from", f"{order} AS source_revision", "content_hash", "known_at")
        said = outcomes(refined.selectExpr(*small)).drop("subject_id")
        facts = refined.join(said, ["delivery_id", "row_number"]).withColumn("value_kind", F.lit("simulated"))
        facts.write.format("delta").save(str(folder / "records" / feed))


def model(name: str, tables: dict[str, str]) -> str:
    """The SQL of a dbt model for a full build."""
    values = macro_values(load_contracts())  # dbt's ``return`` is more than a template engine has
    macros = "".join(p.read_text("utf-8") for p in sorted((REPO / "dbt" / "macros").glob("*.sql")) if p.stem not in values)
    text = (REPO / "dbt" / "models" / "gold" / f"{name}.sql").read_text("utf-8")
    functions = {
        "config": lambda **_: "",
        "is_incremental": lambda: False,
        "source": lambda _, table: tables[table],
        "ref": lambda table: tables[table],
        **{name: lambda value=value: value for name, value in values.items()},
    }
    return jinja2.Environment(autoescape=False, extensions=["jinja2.ext.do"]).from_string(macros + text).render(**functions)  # noqa: S701 - SQL of our own


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
    spark.sql(model("archive_subject", _tables(spark, folder))).write.format("delta").save(str(folder / "archive"))


def marts(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    monthly = model("mart_registrations_monthly", _tables(spark, folder))
    for name, sql in (("mart_registrations_monthly", monthly), ("mart_subject_marks_monthly", _MARKS)):
        spark.sql(sql).write.format("delta").save(str(folder / name))


# Without the names of the rules, which lie in a table of the lake.
_MARKS = """SELECT cast(trunc(registration_date, 'MM') AS date) AS registration_month, district_name, mark, count(*) AS subjects, max(as_of) AS as_of
    FROM archive LATERAL VIEW explode(quality_marks) AS mark GROUP BY 1, 2, 3"""


def show(folder: Path, listed: Path) -> None:
    spark = _session(folder)
    rows = spark.read.format("delta").load(str(folder / "archive")).select(*COLUMNS).orderBy("subject_id")
    export(folder, "archive.csv", map(tuple, rows.toLocalIterator()))
    if names := others(listed):
        asked = ((feed, spark.sql(applied(f"delta.`{folder / 'records' / feed}`"))) for feed in names)
        export(folder, "records.csv", ((feed, *row) for feed, rows in asked for row in rows.toLocalIterator()))


if __name__ == "__main__":
    main({"land": land, "refine": refine, "records": records, "archive": archive, "marts": marts, "export": show})
