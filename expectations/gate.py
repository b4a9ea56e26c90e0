"""The gates: Great Expectations judges candidate versions, independently of who made them.

Before silver is built upon and before gold is published. The router has looked at each row by itself; here the whole is judged: keys,
references between tables, conservation against what landed, volume and distribution against the release that readers see.
Results are counts; no value of a row gets into a result or into the Data Docs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import quarantine_of, table_name
from expectations import suites
from infra.ledger import TableVersion
from infra.services.base import Context

# Counts only, and only where something is wrong: an unexpected value may be somebody's name, and each count is a further job.
QUICK = {"result_format": "BOOLEAN_ONLY"}
COUNTS = {"result_format": "BASIC", "partial_unexpected_count": 0}
FEED, FACTS, KEYS, ARCHIVE = "bronze.registration_subjects", "silver.subject_registration", "silver.subject_key", "gold.archive_subject"
USES, STATUS, UNMAPPED = "silver.mapping_use", "silver.mapping_status", "silver.unmapped_value"
MONTHLY, MARKS = "gold.mart_registrations_monthly", "gold.mart_subject_marks_monthly"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one expectation on one candidate version."""

    table_name: str
    version: int
    rule: str
    description: str
    dimension: str
    passed: bool
    observed: str


@dataclass(frozen=True)
class Question:
    """Rows of a candidate (or a view of them) and what is expected of them."""

    name: str
    about: TableVersion
    rows: DataFrame
    expectations: list[Any]


def judge_silver(
    context: Context,
    spark: SparkSession,
    contracts: Mapping[str, Contract],
    candidates: Iterable[TableVersion],
    parent: Mapping[str, TableVersion],
    baseline: Mapping[str, TableVersion],
    landed: int,
) -> list[Verdict]:
    """Judge the candidates of silver.

    ``parent``: the release that they were built on; a table that is unchanged since was judged then. ``baseline``: what volume and
    distribution are compared with, also after everything was built anew by other rules. ``landed``: rows that were counted at landing in
    all deliveries that the candidates contain.
    """
    at = {c.table_name: c for c in candidates}
    rows = {name: _at(spark, c) for name, c in at.items()}
    facts, keys, quarantine = (table_name(c) for c in (contracts[FACTS], contracts[KEYS], quarantine_of(contracts[FEED])))
    uses, status, unmapped = (table_name(contracts[i]) for i in (USES, STATUS, UNMAPPED))
    applied = rows[facts].where("fact_outcome = 'applied'")
    told = rows[facts].agg(F.sum(F.size("corrections")), F.expr("count_if(array_contains(quality_marks, 'enterprise_type_known'))")).collect()[0]
    corrected, unknown_types = (n or 0 for n in told)
    # What a table is by itself was judged when its version was new.
    new = {name for name, c in at.items() if name not in parent or parent[name].version != c.version}
    questions = [Question(c.id, at[table_name(c)], rows[table_name(c)], suites.from_contract(c)) for c in contracts.values() if table_name(c) in new]
    aside = rows[quarantine].count()
    areas = rows[table_name(contracts["silver.ref_area"])].where("end_year IS NULL")
    sections = rows[table_name(contracts["silver.ref_industry"])].where("industry_level = 'section'")
    questions += [
        Question(
            "conservation", at[facts], rows[facts], suites.row_count("facts_conserved", landed - aside, f"事实与隔离之和应等于落地的 {landed} 条记录")
        ),
        Question(
            "history", at[facts], applied, suites.unique(["subject_id", "effective_from"], "fact_single_state", "同一主体同一业务日期只能有一个状态")
        ),
        Question(
            "subjects",
            at[facts],
            _missing(rows[facts], rows[keys], ["subject_id"]),
            suites.row_count("subject_has_key", 0, "事实的主体都应在主体标识对照中"),
        ),
        Question(
            "districts",
            at[facts],
            _missing(rows[facts].where("district_code IS NOT NULL"), areas.selectExpr("area_code AS district_code"), ["district_code"]),
            suites.row_count("district_in_reference", 0, "所在区代码都应是现行行政区划代码"),
        ),
        Question(
            "industries",
            at[facts],
            _missing(
                rows[facts].where("industry_section IS NOT NULL"), sections.selectExpr("industry_code AS industry_section"), ["industry_section"]
            ),
            suites.row_count("industry_in_reference", 0, "行业门类代码都应在行业分类中"),
        ),
        Question(
            "key owners",
            at[keys],
            rows[keys].where("is_anchor").groupBy("subject_id").count().where("count > 1"),
            suites.row_count("subject_single_anchor", 0, "一个主体只能有一个主键"),
        ),
        Question(
            "corrections",
            at[uses],
            rows[uses].where("mapping_kind = 'correction' AND applied_rows > 0"),
            suites.conservation("applied_rows", corrected, "更正的使用次数应等于事实上记载的更正数"),
        ),
        Question(
            "mappings",
            at[uses],
            _missing(rows[uses], rows[status], ["mapping_id"]),
            suites.row_count("mapping_has_status", 0, "用到的更正和对照都应在使用情况清单中"),
        ),
        Question(
            "unknown types",
            at[unmapped],
            rows[unmapped].where("source_column = 'enterprise_type'"),
            suites.conservation("unmapped_rows", unknown_types, "清单中未识别的企业类型应等于带有该质量标记的事实数"),
        ),
    ]
    if facts in baseline:
        before = _at(spark, baseline[facts])
        questions.append(Question("against the release", at[facts], rows[facts], suites.share_kept("district_code", before, "能判定所在区的比例")))
    return _ask(context, "silver", questions)


def judge_gold(
    context: Context, spark: SparkSession, contracts: Mapping[str, Contract], candidates: Iterable[TableVersion], baseline: Mapping[str, TableVersion]
) -> list[Verdict]:
    """Judge the candidates of gold against the silver that they were built from and against ``baseline``, the release that readers see."""
    at = {c.table_name: c for c in candidates}
    gold = {c.id: table_name(c) for c in contracts.values() if c.layer == "gold"}
    rows = {name: _at(spark, at[name]) for name in [*gold.values(), table_name(contracts[FACTS])]}
    archive = rows[gold[ARCHIVE]]
    subjects = rows[table_name(contracts[FACTS])].where("fact_outcome = 'applied'").agg(F.countDistinct("subject_id")).collect()[0][0]
    marks = archive.agg(F.sum(F.size("quality_marks"))).collect()[0][0] or 0
    questions = [Question(i, at[name], rows[name], suites.from_contract(contracts[i])) for i, name in gold.items()]
    questions += [
        Question(
            "archives", at[gold[ARCHIVE]], archive, suites.row_count("archive_conserved", subjects, f"主体档案应与标准层的 {subjects} 个主体一一对应")
        ),
        Question("totals", at[gold[MONTHLY]], rows[gold[MONTHLY]], suites.conservation("subjects", subjects, "登记情况各格合计应等于主体数")),
        Question("marks", at[gold[MARKS]], rows[gold[MARKS]], suites.conservation("subjects", marks, "各质量标记的户数之和应等于档案中的标记总数")),
    ]
    if gold[ARCHIVE] in baseline:
        expected = suites.not_lost(baseline[gold[ARCHIVE]].row_count)
        questions.append(Question("against the release", at[gold[ARCHIVE]], archive, expected))
    return _ask(context, "gold", questions)


def _at(spark: SparkSession, table: TableVersion) -> DataFrame:
    return spark.sql(f"SELECT * FROM {table.table_name} VERSION AS OF {int(table.version)}")  # noqa: S608 - names come from contracts


def _missing(rows: DataFrame, known: DataFrame, columns: list[str]) -> DataFrame:
    return rows.join(known, columns, "left_anti")


def _ask(context: Context, layer: str, questions: Iterable[Question]) -> list[Verdict]:
    """Put the questions to Great Expectations and render its Data Docs for the layer."""
    data = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults()))
    data.variables.progress_bars = ProgressBarsConfig(globally=False)
    folder = context.settings.folder(f"data/quality/{layer}")
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    pages: Any = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}}
    data.add_data_docs_site(site_name=layer, site_config=pages)
    # Left to itself it caches what it judges, on the server, for good: every later write to such a table would build the cache again.
    source = data.data_sources.add_spark("lake", persist=False)
    verdicts: list[Verdict] = []
    for question in questions:
        if not question.expectations:
            continue
        suite = data.suites.add(gx.ExpectationSuite(name=question.name, expectations=question.expectations))
        batch = source.add_dataframe_asset(question.name).add_batch_definition_whole_dataframe("candidate")
        definition = data.validation_definitions.add(gx.ValidationDefinition(name=question.name, data=batch, suite=suite))
        result = definition.run(batch_parameters={"dataframe": question.rows}, result_format=QUICK)
        if not result.success:
            result = definition.run(batch_parameters={"dataframe": question.rows}, result_format=COUNTS)
        if len(result.results) != len(question.expectations):
            raise RuntimeError(f"{question.name}: {len(question.expectations)} expectations, {len(result.results)} results")
        verdicts += [_verdict(question.about, r) for r in result.results]
    data.build_data_docs()
    return verdicts


def _verdict(candidate: TableVersion, result: Any) -> Verdict:
    meta = result.expectation_config.meta
    details = result.result or {}
    observed = details.get("observed_value", details.get("unexpected_count", ""))
    raised = _raised(result.exception_info or {})
    if raised:
        observed = f"这条规则没能执行：{raised}"
    return Verdict(candidate.table_name, candidate.version, meta["rule"], meta["description"], meta["dimension"], bool(result.success), str(observed))


def _raised(info: dict[str, Any]) -> str:
    """The first line of an exception inside a result; Great Expectations nests them by metric."""
    entries = [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, dict)]
    return next((str(e.get("exception_message", "")).strip().splitlines()[0][:300] for e in entries if e.get("raised_exception")), "")
