"""The gates: Great Expectations judges candidate versions, independently of who made them.

Before silver is built upon and before gold is published. The router has looked at each row by itself; here the whole is judged: keys,
references between tables, conservation against what landed, volume and distribution against the release that readers see.
Results are counts; no value of a row gets into a result or into the Data Docs.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract
from catalog.derive import WRITE_NUMBER, checksum_since, quarantine_of, records_of, table_name
from expectations import suites
from infra.ledger import TableVersion
from infra.services.base import Context

# Counts only, and only where something is wrong: an unexpected value may be somebody's name, and each count is a further job.
QUICK = {"result_format": "BOOLEAN_ONLY"}
COUNTS = {"result_format": "BASIC", "partial_unexpected_count": 0}
FEED, FACTS, KEYS, ARCHIVE = "bronze.registration_subjects", "silver.subject_registration", "silver.subject_key", "gold.archive_subject"
USES, STATUS, UNMAPPED = "silver.mapping_use", "silver.mapping_status", "silver.unmapped_value"
MONTHLY, MARKS = "gold.mart_registrations_monthly", "gold.mart_subject_marks_monthly"
# So many new rows are kept with the server while they are judged; more are read again for each question.
HELD_ROWS = 200_000
# A table that loses more than this share of its rows against the current release is not published.
LARGEST_LOSS = 0.10
# Nor facts of which so much less can be placed than before: a changed form of addresses, say.
LARGEST_DROP = 0.10
FEWEST_ROWS = 500


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
    """Rows, and what is expected of them; each expectation with the candidate that it is about."""

    name: str
    rows: DataFrame
    expected: list[tuple[TableVersion, Any]]


@dataclass(frozen=True)
class Figure:
    """A number that is counted, and lies between ``least`` and ``most`` (None: no bound) if all is well.

    ``counted``: rows, of which the number is how many there are; or one row with the column ``figure`` alone, empty where it is 0.
    """

    rule: str
    about: TableVersion
    counted: DataFrame
    least: float | None
    most: float | None
    description: str
    dimension: str = "一致性"

    @property
    def row(self) -> DataFrame:
        number = "coalesce(figure, 0)" if self.counted.columns == ["figure"] else "count(*)"
        return self.counted.selectExpr(f"'{self.rule}' AS rule", f"CAST({number} AS DOUBLE) AS figure")


def judge_silver(
    context: Context,
    spark: SparkSession,
    contracts: Mapping[str, Contract],
    candidates: Iterable[TableVersion],
    parent: Mapping[str, TableVersion],
    baseline: Mapping[str, TableVersion],
    landed: Mapping[str, int],
    taken: Collection[str],
) -> list[Verdict]:
    """Judge the candidates of silver.

    ``parent``: the release that they were built on. A table that is unchanged since was judged then, and so were the rows of a tracked table
    that this run did not write; where rows belong together (keys, histories), those that belong to new ones are judged with them.
    ``baseline``: what volume and distribution are compared with, also after everything was built anew by other rules. ``landed``: rows
    by feed (its contract's id) that were counted at landing in all deliveries that the candidates contain. ``taken``: the deliveries that the run has put in.
    """
    at = {c.table_name: c for c in candidates}
    rows = {name: _at(spark, c) for name, c in at.items()}
    facts, keys, quarantine = (table_name(c) for c in (contracts[FACTS], contracts[KEYS], quarantine_of(contracts[FEED])))
    uses, status, unmapped = (table_name(contracts[i]) for i in (USES, STATUS, UNMAPPED))
    area, industry = (table_name(contracts[i]) for i in ("silver.ref_area", "silver.ref_industry"))
    part = _parts(at, rows, parent)
    new = rows | part
    questions, figures = _of_contracts(contracts, at, rows, part, parent)
    mine = F.col("delivery_id").isin(sorted(taken))
    told = new[facts].where(mine).agg(F.sum(F.size("corrections")), F.expr("count_if(array_contains(quality_marks, 'enterprise_type_known'))"))
    corrected, unknown_types = (n or 0 for n in told.collect()[0])
    applied, anchors = rows[facts].where("fact_outcome = 'applied'"), rows[keys].where("is_anchor")
    figures += [
        Figure(
            "facts_conserved",
            at[facts],
            rows[facts].select("row_number").unionAll(rows[quarantine].select("row_number")),
            landed[FEED],
            landed[FEED],
            f"事实与隔离之和应等于落地的 {landed[FEED]} 条记录",
        ),
        Figure(
            "fact_single_state",
            at[facts],
            _several(_beside(applied, part.get(facts), "subject_id"), "subject_id", "effective_from"),
            0,
            0,
            "同一主体同一业务日期只能有一个状态",
        ),
        Figure(
            "subject_has_key",
            at[facts],
            _missing(new[facts], rows[keys].select("subject_id")),
            0,
            0,
            "事实的主体都应在主体标识对照中",
        ),
        Figure(
            "district_in_reference",
            at[facts],
            _missing(new[facts], rows[area].where("end_year IS NULL").selectExpr("area_code AS district_code")),
            0,
            0,
            "所在区代码都应是现行行政区划代码",
        ),
        Figure(
            "industry_in_reference",
            at[facts],
            _missing(new[facts], rows[industry].where("industry_level = 'section'").selectExpr("industry_code AS industry_section")),
            0,
            0,
            "行业门类代码都应在行业分类中",
        ),
        Figure(
            "subject_single_anchor",
            at[keys],
            _several(_beside(anchors, part.get(keys), "subject_id"), "subject_id"),
            0,
            0,
            "一个主体只能有一个主键",
        ),
        Figure(
            "applied_rows_conserved",
            at[uses],
            rows[uses].where(mine & (F.col("mapping_kind") == "correction")).agg(F.sum("applied_rows").alias("figure")),
            corrected,
            corrected,
            f"更正的使用次数应等于事实上记载的更正数（{corrected}），不多不少",
        ),
        Figure("mapping_has_status", at[uses], _missing(rows[uses], rows[status].select("mapping_id")), 0, 0, "用到的更正和对照都应在使用情况清单中"),
        Figure(
            "unmapped_rows_conserved",
            at[unmapped],
            rows[unmapped]
            .where(mine & (F.col("source_column") == "enterprise_type") & (F.col("feed") == contracts[FEED].name))
            .agg(F.sum("unmapped_rows").alias("figure")),
            unknown_types,
            unknown_types,
            f"清单中未识别的企业类型应等于带有该质量标记的事实数（{unknown_types}），不多不少",
        ),
        *_share_kept(spark, at[facts], rows[facts], baseline.get(facts)),
        *(f for feed in contracts.values() if feed.record_key for f in _of_records(feed, at, rows, part, landed[feed.id], parent)),
    ]
    return _ask(context, "silver", [*questions, _figures(spark, figures)])


def _of_records(
    feed: Contract,
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    landed: int,
    parent: Mapping[str, TableVersion],
) -> list[Figure]:
    """That the typed records of a feed, as far as it has come in, and its quarantine hold every row, and one state of each record and day."""
    kept, aside = table_name(records_of(feed)), table_name(quarantine_of(feed))
    if kept not in at or all(_as_in(parent, at[name]) for name in (kept, aside)):
        return []
    every = rows[kept].select("row_number").unionAll(rows[aside].select("row_number"))
    says = f"{feed.chinese.removesuffix('（到达）')}与其隔离之和应等于落地的 {landed} 条记录"
    applied = _beside(rows[kept].where("fact_outcome = 'applied'"), part.get(kept), "record_id")
    several = _several(applied, "record_id", "effective_from")
    return [
        Figure(f"{feed.name}_conserved", at[kept], every, landed, landed, says),
        Figure(f"{feed.name}_single_state", at[kept], several, 0, 0, "同一来源记录同一业务日期只能有一个状态"),
    ]


def judge_gold(
    context: Context,
    spark: SparkSession,
    contracts: Mapping[str, Contract],
    candidates: Iterable[TableVersion],
    parent: Mapping[str, TableVersion],
    baseline: Mapping[str, TableVersion],
) -> list[Verdict]:
    """Judge the candidates of gold against the silver that they were built from, and against ``parent`` and ``baseline`` as in `judge_silver`."""
    at = {c.table_name: c for c in candidates}
    facts, keys = table_name(contracts[FACTS]), table_name(contracts[KEYS])
    gold = {i: c for i, c in contracts.items() if c.layer == "gold"}
    rows = {name: _at(spark, at[name]) for name in [*map(table_name, gold.values()), facts, keys]}
    part = _parts({name: at[name] for name in map(table_name, gold.values())}, rows, parent)
    archive, monthly, marked = (table_name(contracts[i]) for i in (ARCHIVE, MONTHLY, MARKS))
    subjects = rows[facts].where("fact_outcome = 'applied'").agg(F.countDistinct("subject_id")).collect()[0][0]
    marks = rows[archive].agg(F.sum(F.size("quality_marks"))).collect()[0][0] or 0
    total = F.sum("subjects").alias("figure")
    questions, figures = _of_contracts(gold, at, rows, part, parent)
    figures += [
        Figure(
            "archive_conserved",
            at[archive],
            rows[archive].select("subject_id"),
            subjects,
            subjects,
            f"主体档案应与标准层的 {subjects} 个主体一一对应",
        ),
        Figure(
            "anchors_conserved", at[keys], rows[keys].where("is_anchor").select("subject_id"), subjects, subjects, f"{subjects} 个主体各应有一个主键"
        ),
        Figure(
            "subjects_conserved", at[monthly], rows[monthly].agg(total), subjects, subjects, f"登记情况各格合计应等于主体数（{subjects}），不多不少"
        ),
        Figure(
            "marks_conserved", at[marked], rows[marked].agg(total), marks, marks, f"各质量标记的户数之和应等于档案中的标记总数（{marks}），不多不少"
        ),
    ]
    if before := baseline.get(archive):
        description = f"与当前发布相比不应减少一成以上（当前 {before.row_count}）"
        least = round(before.row_count * (1 - LARGEST_LOSS))
        figures.append(Figure("rows_not_lost", at[archive], rows[archive].select("subject_id"), least, None, description, "准确性"))
    return _ask(context, "gold", [*questions, _figures(spark, figures)])


def _at(spark: SparkSession, table: TableVersion) -> DataFrame:
    return spark.sql(f"SELECT * FROM {table.table_name} VERSION AS OF {int(table.version)}")  # noqa: S608 - names come from contracts


def _as_in(parent: Mapping[str, TableVersion], candidate: TableVersion) -> bool:
    before = parent.get(candidate.table_name)
    return before is not None and before.version == candidate.version


def _parts(at: Mapping[str, TableVersion], rows: Mapping[str, DataFrame], parent: Mapping[str, TableVersion]) -> dict[str, DataFrame]:
    """The new rows of the tables of which not all rows are new: of a tracked one, what its run has written; of one that is as in ``parent``, none."""
    parts = {}
    for name, candidate in at.items():
        if _as_in(parent, candidate):
            parts[name] = rows[name].limit(0)
        elif since := checksum_since(candidate.checksum):
            new = rows[name].where(F.col(WRITE_NUMBER) >= since)
            parts[name] = new.localCheckpoint() if new.count() <= HELD_ROWS else new
    return parts


def _of_contracts(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    parent: Mapping[str, TableVersion],
) -> tuple[list[Question], list[Figure]]:
    """What the contracts of the candidates that are not as in ``parent`` expect: of their new rows, and of those with the same keys."""
    questions, figures = [], []
    for contract in contracts.values():
        name = table_name(contract)
        if name not in at or _as_in(parent, at[name]):
            continue
        candidate, expected = at[name], suites.from_contract(contract)
        if name in part:
            # Of a part of the rows neither says anything: what stands beside it is counted.
            for rule in [r for r, _ in expected if r.metric == "duplicateValues"]:
                twice = _several(_beside(rows[name], part[name], *rule.columns), *rule.columns)
                figures.append(Figure(rule.id, candidate, twice, 0, 0, rule.description, rule.dimension))
            for rule in [r for r, _ in expected if r.metric == "rowCount"]:
                least = rule.threshold + (rule.operator == "mustBeGreaterThan")
                figures.append(Figure(rule.id, candidate, rows[name].select(WRITE_NUMBER), least, None, rule.description, rule.dimension))
            expected = [(r, e) for r, e in expected if r.metric not in ("duplicateValues", "rowCount")]
        questions.append(Question(contract.id, part.get(name, rows[name]), [(candidate, e) for _, e in expected]))
    return questions, figures


def _figures(spark: SparkSession, figures: list[Figure]) -> Question:
    """Count all of them in one statement, and put the numbers into one row."""
    counted: dict[str, float] = dict(functools.reduce(DataFrame.unionAll, [f.row for f in figures]).collect())
    if len(counted) != len(figures):
        raise RuntimeError(f"two of these figures have one name: {sorted(f.rule for f in figures)}")
    row = spark.createDataFrame([tuple(counted[f.rule] for f in figures)], ", ".join(f"{f.rule} DOUBLE" for f in figures))
    return Question("figures", row, [(f.about, suites.figure(f.rule, f.least, f.most, f.description, f.dimension)) for f in figures])


def _share_kept(spark: SparkSession, facts: TableVersion, rows: DataFrame, before: TableVersion | None) -> list[Figure]:
    """The share of facts with a district did not fall by more than LARGEST_DROP against the release; of too few rows it says nothing."""
    if before is None or before.row_count < FEWEST_ROWS or "district_code" not in (then := _at(spark, before)).columns:
        return []  # the last: older than the column
    share = F.expr("count(district_code) / count(*)").alias("figure")
    kept = then.agg(share).collect()[0][0]
    description = f"与当前发布相比，能判定所在区的比例不应下降 {LARGEST_DROP:.0%} 以上（当前 {kept:.1%}）"
    return [Figure("district_code_share_kept", facts, rows.agg(share), max(0.0, kept - LARGEST_DROP), None, description, "准确性")]


def _missing(rows: DataFrame, known: DataFrame) -> DataFrame:
    """The values of a column of ``rows`` that are not in the only column of ``known``, each once."""
    (column,) = known.columns
    return rows.where(F.col(column).isNotNull()).select(column).distinct().join(known, column, "left_anti")


def _several(rows: DataFrame, *columns: str) -> DataFrame:
    return rows.groupBy(*columns).count().where("count > 1")


def _beside(rows: DataFrame, new: DataFrame | None, *columns: str) -> DataFrame:
    """Those of ``rows`` that agree with a new one in ``columns``; all where ``new`` is None, as every row is."""
    return rows if new is None else rows.join(new.select(*columns).distinct(), [*columns], "left_semi")


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
        if not question.expected:
            continue
        about = {str(e.meta["rule"]): candidate for candidate, e in question.expected}
        suite = data.suites.add(gx.ExpectationSuite(name=question.name, expectations=[e for _, e in question.expected]))
        batch = source.add_dataframe_asset(question.name).add_batch_definition_whole_dataframe("candidate")
        definition = data.validation_definitions.add(gx.ValidationDefinition(name=question.name, data=batch, suite=suite))
        result = definition.run(batch_parameters={"dataframe": question.rows}, result_format=QUICK)
        if not result.success:
            result = definition.run(batch_parameters={"dataframe": question.rows}, result_format=COUNTS)
        if len(result.results) != len(question.expected):
            raise RuntimeError(f"{question.name}: {len(question.expected)} expectations, {len(result.results)} results")
        verdicts += [_verdict(about, r) for r in result.results]
    data.build_data_docs()
    return verdicts


def _verdict(about: Mapping[str, TableVersion], result: Any) -> Verdict:
    meta = result.expectation_config.meta
    candidate = about[meta["rule"]]
    details = result.result or {}
    observed = details.get("observed_value", details.get("unexpected_count", ""))
    if isinstance(observed, float) and observed.is_integer():
        observed = int(observed)
    raised = _raised(result.exception_info or {})
    if raised:
        observed = f"这条规则没能执行：{raised}"
    return Verdict(candidate.table_name, candidate.version, meta["rule"], meta["description"], meta["dimension"], bool(result.success), str(observed))


def _raised(info: dict[str, Any]) -> str:
    """The first line of an exception inside a result; Great Expectations nests them by metric."""
    entries = [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, dict)]
    return next((str(e.get("exception_message", "")).strip().splitlines()[0][:300] for e in entries if e.get("raised_exception")), "")
