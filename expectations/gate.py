"""The gates: Great Expectations judges candidate versions, independently of who made them.

Before silver is built upon and before gold is published. The router has looked at each row by itself; here the whole is judged: keys,
references between tables, conservation against what landed, volume and distribution against the release that readers see.
Results are counts; no value of a row gets into a result or into the Data Docs.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import pandas as pd
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults, ProgressBarsConfig
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from catalog.contract import Contract, Rule
from catalog.derive import WRITE_NUMBER, checksum_since, quarantine_of, records_of, table_name
from catalog.properties import Kind
from expectations import suites
from infra import settings, store
from infra.ledger import TableVersion
from infra.services.base import Context

# Counts only, and only where something is wrong: an unexpected value may be somebody's name, and each count is a further job.
QUICK = {"result_format": "BOOLEAN_ONLY"}
COUNTS = {"result_format": "BASIC", "partial_unexpected_count": 0}
FEED, FACTS, KEYS, ARCHIVE = "bronze.registration_subjects", "silver.subject_registration", "silver.subject_key", "gold.archive_subject"
USES, STATUS, UNMAPPED = "silver.mapping_use", "silver.mapping_status", "silver.unmapped_value"
PARTY = "silver.party"
PROBLEMS, LINKS = "silver.quality_problem", "silver.identity_link"
TIMELINE, ENFORCEMENT = "gold.archive_timeline", "gold.archive_enforcement"
COMMON, PRIVATE = "gold.archive_links", "gold.archive_private"
MONTHLY, MARKS = "gold.mart_registrations_monthly", "gold.mart_subject_marks_monthly"
EXIT, EXITS, ECONOMY = "gold.archive_exit", "gold.mart_exits_monthly", "gold.economy_indicators"
FORECAST, COURSE = "gold.economy_forecast", "gold.economy_monthly"
ACTIVITY, ACTIVE_SUBJECT = "gold.activity_monthly", "gold.activity_subject"
OF_MARKS, MARK_RIGHTS, MARK_ALERTS, MARK_MONTHS = "gold.trademark_marks", "gold.trademark_rights", "gold.trademark_alerts", "gold.trademark_monthly"
# So many new rows are kept with the server while they are judged; more are read again for each question.
HELD_ROWS = 200_000
# So many are handed to Great Expectations as they are: it asks some ten questions of each table, and each would be a Spark job of its own.
LOCAL_ROWS = 50_000
AT_ONCE = 2  # tables of which rows are fetched
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
    rows: DataFrame | pd.DataFrame  # few of them are here already
    expected: list[tuple[TableVersion, Any]]


@dataclass(frozen=True)
class Figure:
    """A number that is counted, and lies between ``least`` and ``most`` (None: no bound) if all is well.

    ``counted``: rows, of which the number is how many there are; or one row with the column ``figure`` alone, empty where it is 0; or the
    number itself, where it was counted together with others.
    """

    rule: str
    about: TableVersion
    counted: DataFrame | int
    least: float | None
    most: float | None
    description: str
    dimension: str = "一致性"

    @property
    def row(self) -> DataFrame:
        assert isinstance(self.counted, DataFrame)
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
    uses, status, unmapped, links = (table_name(contracts[i]) for i in (USES, STATUS, UNMAPPED, LINKS))
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
            _missing(new[facts], rows[keys].select("subject_id"), facts in part),
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
            "codes_joined_by_statement",
            at[facts],
            _unexplained_codes(_beside(rows[facts], part.get(facts), "subject_id"), rows[links]),
            0,
            0,
            "校验都通过的两个代码归为一个主体，须有更正登记或人工判定",
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
        _problems_conserved(contracts, at, new, mine, parent),
        *_parties(contracts, at, rows, part, parent),
        *_share_kept(spark, at[facts], rows[facts], baseline.get(facts)),
        *_of_records(contracts, at, rows, part, landed, parent),
    ]
    return _ask(context, "silver", [*questions, _figures(figures)])


def _of_records(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    landed: Mapping[str, int],
    parent: Mapping[str, TableVersion],
) -> list[Figure]:
    """That the typed records of each feed and its quarantine hold every row, and one state of each record and day.

    Neither is asked of a feed whose tables are as in the release, unless more rows or fewer have landed than these hold.
    """
    feeds = []
    for feed in contracts.values():
        if feed.record_key and (kept := table_name(records_of(feed))) in at:
            aside = table_name(quarantine_of(feed))
            changed = not all(_as_in(parent, at[name]) for name in (kept, aside))
            if changed or at[kept].row_count + at[aside].row_count != landed[feed.id]:
                feeds.append((feed, kept, aside))
    held = _counts({feed.name: rows[kept].select("row_number").unionAll(rows[aside].select("row_number")) for feed, kept, aside in feeds})
    key = ("record_id", "effective_from")
    applied = {feed.name: _beside(rows[kept].where("fact_outcome = 'applied'"), part.get(kept), key[0]).select(*key) for feed, kept, _ in feeds}
    several = _repeated(applied)
    found = []
    for feed, kept, _ in feeds:
        says = f"{feed.title}与其隔离之和应等于落地的 {landed[feed.id]} 条记录"
        found.append(Figure(f"{feed.name}_conserved", at[kept], held.get(feed.name, 0), landed[feed.id], landed[feed.id], says))
        found.append(Figure(f"{feed.name}_single_state", at[kept], several.get(feed.name, 0), 0, 0, "同一来源记录同一业务日期只能有一个状态"))
    return found


def _problems_conserved(
    contracts: Mapping[str, Contract], at: Mapping[str, TableVersion], new: Mapping[str, DataFrame], mine: Column, parent: Mapping[str, TableVersion]
) -> Figure:
    """That every rule which a row of the deliveries taken has failed, set aside or not, is among the problems."""
    failed = []
    for feed in contracts.values():
        if feed.kind is Kind.FEED:
            kept, aside = table_name(records_of(feed) if feed.record_key else contracts[FACTS]), table_name(quarantine_of(feed))
            for name, column in ((kept, "quality_marks"), (aside, "reasons")):
                if name in at and not _as_in(parent, at[name]):
                    failed.append(new[name].where(mine).select(F.size(column).alias("failed")))
    total = functools.reduce(DataFrame.unionAll, failed).agg(F.sum("failed")).collect()[0][0] or 0 if failed else 0
    says = f"质量问题明细应等于各批次记录上的质量标记与隔离原因之和（{total}），不多不少"
    table = table_name(contracts[PROBLEMS])
    return Figure("problems_conserved", at[table], new[table].where(mine).select("rule_id"), total, total, says)


def _parties(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    parent: Mapping[str, TableVersion],
) -> list[Figure]:
    """That every party which a new row names is among the parties, and that a subject which a party belongs to is one."""
    table, keys = table_name(contracts[PARTY]), table_name(contracts[KEYS])
    new = {**rows, **part}
    named = [
        new[kept].select(F.col(column.name).alias("party_key"))
        for feed in contracts.values()
        if feed.record_key and (kept := table_name(records_of(feed))) in at and not _as_in(parent, at[kept])
        for column in feed.derived_columns
        if column.party is not None
    ]
    belonging = new[table].where("party_basis IN ('code', 'code_and_name', 'name', 'short_name')").select("subject_id")
    found = [
        Figure(
            "party_has_subject",
            at[table],
            _missing(belonging, rows[keys].select("subject_id"), table in part),
            0,
            0,
            "当事人所归的主体都应在主体标识对照中",
        )
    ]
    if named:
        missing = _missing(functools.reduce(DataFrame.unionAll, named), rows[table].select("party_key"), table in part)
        found.append(Figure("party_known", at[table], missing, 0, 0, "标准表中的当事人键都应在当事人与主体对照中"))
    return found


def judge_gold(
    context: Context,
    spark: SparkSession,
    contracts: Mapping[str, Contract],
    candidates: Iterable[TableVersion],
    parent: Mapping[str, TableVersion],
    baseline: Mapping[str, TableVersion],
    kept: Mapping[str, TableVersion],
) -> list[Verdict]:
    """Judge the candidates of gold against the silver that they were built from, and against ``parent`` and ``baseline`` as in `judge_silver`;
    ``kept``: by contract, the newest version that was ever published of each table whose vintages stay."""
    at = {c.table_name: c for c in candidates}
    facts, keys = table_name(contracts[FACTS]), table_name(contracts[KEYS])
    gold = {i: c for i, c in contracts.items() if c.layer == "gold"}
    told = {e.feed for e in contracts[TIMELINE].events}
    records = [name for i, c in contracts.items() if c.kind is Kind.RECORD and c.name in told and (name := table_name(c)) in at]
    party = table_name(contracts[PARTY])
    rows = {name: _at(spark, at[name]) for name in [*map(table_name, gold.values()), facts, keys, party, *records]}
    part = _parts({name: at[name] for name in [*map(table_name, gold.values()), party, *records]}, rows, parent)
    archive, monthly, marked, left, exits, economy = (table_name(contracts[i]) for i in (ARCHIVE, MONTHLY, MARKS, EXIT, EXITS, ECONOMY))
    subjects = rows[facts].where("fact_outcome = 'applied'").agg(F.countDistinct("subject_id")).collect()[0][0]
    marks = rows[archive].agg(F.sum(F.size("quality_marks"))).collect()[0][0] or 0
    registered = rows[left].join(rows[archive].select("subject_id"), "subject_id", "left_semi")
    gone = registered.selectExpr("count(ended_on) + count(revoked_on)").collect()[0][0]
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
            "exits_conserved",
            at[exits],
            rows[exits].agg(total),
            gone,
            gone,
            f"退出情况各格合计应等于登记在册主体在退出档案中的退出数（{gone}），不多不少",
        ),
        *_economy(at[economy], rows[economy], rows[monthly], rows[exits]),
        Figure(
            "marks_conserved", at[marked], rows[marked].agg(total), marks, marks, f"各质量标记的户数之和应等于档案中的标记总数（{marks}），不多不少"
        ),
    ]
    forecast, course = (table_name(contracts[i]) for i in (FORECAST, COURSE))
    figures += _forecasts(at, rows, monthly, forecast, course, parent)
    figures += [
        _kept(spark, at[name], rows[name], version) for i, version in kept.items() if not _as_in(parent, at[name := table_name(contracts[i])])
    ]
    figures += _activity(at, rows, table_name(contracts[ACTIVITY]), table_name(contracts[ACTIVE_SUBJECT]), parent)
    about = (table_name(contracts[i]) for i in (OF_MARKS, MARK_RIGHTS, MARK_ALERTS, MARK_MONTHS))
    figures += _trademarks(at, rows, parent, *about)
    figures += _timeline(contracts, at, rows, part, {name for name in records if not _as_in(parent, at[name])})
    figures += _links(contracts, at, rows, part, parent)
    figures += _private(contracts, at, rows, part, parent)
    if before := baseline.get(archive):
        description = f"与当前发布相比不应减少一成以上（当前 {before.row_count}）"
        least = round(before.row_count * (1 - LARGEST_LOSS))
        figures.append(Figure("rows_not_lost", at[archive], rows[archive].select("subject_id"), least, None, description, "准确性"))
    return _ask(context, "gold", [*questions, _figures(figures)])


def _economy(about: TableVersion, indicators: DataFrame, births: DataFrame, exits: DataFrame) -> list[Figure]:
    """That the city's figures are the sums of its districts' and of its sections', those of each year what the marts count, and each year has one period."""
    parts = indicators.where("economy_indicator IN ('live_subjects', 'births', 'exits')").withColumn("year", F.year("period_end"))
    city = parts.where("district_name = '全市' AND industry_section_name = '全部'").selectExpr("economy_indicator", "year", "economy_value AS total")
    left = exits.where("exit_kind NOT IN ('revoked', 'closed')").selectExpr("'exits' AS economy_indicator", "year(exit_month) AS year", "subjects")
    came = births.selectExpr("'births' AS economy_indicator", "year(registration_month) AS year", "subjects")
    others = [parts.where(f"{column} <> '{whole}'") for column, whole in (("district_name", "全市"), ("industry_section_name", "全部"))]
    key = ["economy_indicator", "year"]
    # What is summed, and of which of the city's figures: all are the sum of their parts, those of a year what the marts count.
    sums = [(city, other.withColumnRenamed("economy_value", "subjects"), "full") for other in others]
    sums.append((city.where("economy_indicator <> 'live_subjects'"), came.unionAll(left), "left"))
    wrong = [
        told.join(some.groupBy(*key).agg(F.sum("subjects").alias("summed")), key, how).where("NOT total <=> coalesce(summed, 0)").select("year")
        for told, some, how in sums
    ]
    first, last, born, gone = came.unionAll(left).selectExpr(
        "min(year)", "max(year)", "coalesce(sum(CASE WHEN economy_indicator = 'births' THEN subjects END), 0)",
        "coalesce(sum(CASE WHEN economy_indicator = 'exits' THEN subjects END), 0)",
    ).collect()[0]  # fmt: skip
    stock = city.where("economy_indicator = 'live_subjects'")
    live = stock.where(F.col("year") == last).selectExpr("sum(total) AS figure")
    years = last - first + 1
    says = f"期末存量应等于登记户数减退出户数（{born} - {gone}）"
    return [
        Figure(
            "economy_adds_up",
            about,
            functools.reduce(DataFrame.unionAll, wrong),
            0,
            0,
            "全市的户数应等于各区之和、各行业之和，整年的应等于月度表的合计",
        ),
        # By the last period everybody's registration has been counted, also of those who are said to have left before it.
        Figure("economy_conserved", about, live, born - gone, born - gone, says),
        Figure("economy_periods", about, stock.select("year"), years, years, f"从最早到最近有数据的年份（{years} 年）各应有一期"),
    ]


def _kept(spark: SparkSession, about: TableVersion, rows: DataFrame, published: TableVersion) -> Figure:
    """That what was published once stays as it was."""
    before = _at(spark, published)
    both = [name for name in before.columns if name in rows.columns]
    gone = before.select(*both).exceptAll(rows.select(*both))
    return Figure(f"{about.table_name.rpartition('.')[2]}_kept", about, gone.select(both[0]), 0, 0, "已发布的各期应保持原样，不得改动或消失")


def _activity(
    at: Mapping[str, TableVersion], rows: Mapping[str, DataFrame], monthly: str, subject: str, parent: Mapping[str, TableVersion]
) -> list[Figure]:
    """That the city's active, idle and unclear subjects are the sums of its parts, and in the newest month those that are named one by one."""
    if _as_in(parent, at[monthly]) and _as_in(parent, at[subject]):
        return []
    counts = ("active_subjects", "inactive_subjects", "unclear_subjects")
    places = {"city": "=-=", "districts": "<>-=", "sections": "=-<>", "cells": "<>-<>"}
    sums = rows[monthly].groupBy("month_end").agg(F.max("write_number").alias("judged_by"), *(
        F.expr(f"coalesce(sum(CASE WHEN district_name {d} '全市' AND industry_section_name {s} '全部' THEN {count} END), 0) AS {place}_{count}")
        for place, (d, s) in ((p, x.split("-")) for p, x in places.items()) for count in counts
    ))  # fmt: skip
    apart = sums.where(" OR ".join(f"city_{count} <> {place}_{count}" for place in ("districts", "sections", "cells") for count in counts))
    statuses = ("active", "inactive", "unknown")
    # What was judged earlier stays as it was published, while subjects are told of as they are known now.
    named = (
        rows[subject]
        .groupBy("month_end")
        .agg(F.max("write_number").alias("named_by"), *(F.expr(f"count_if(activity_status = '{s}') AS named_{s}") for s in statuses))
    )
    differ = " OR ".join(f"city_{count} <> named_{status}" for count, status in zip(counts, statuses, strict=True))
    return [
        Figure("activity_adds_up", at[monthly], apart.select("month_end"), 0, 0, "各月全市的户数应等于各区之和、各行业之和、各区各行业之和"),
        Figure(
            "activity_of_subjects",
            at[subject],
            named.join(sums, "month_end").where(f"named_by = judged_by AND ({differ})").select("month_end"),
            0,
            0,
            "主体活跃度各状态的户数应等于月度表中同一次判断的全市户数",
        ),
    ]


def _trademarks(
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    parent: Mapping[str, TableVersion],
    marks: str,
    rights: str,
    alerts: str,
    monthly: str,
) -> list[Figure]:
    """That the city's marks are the sums of its parts; that each alert is about a filing and a right that are there, and says until when to act."""
    figures = []
    if not _as_in(parent, at[monthly]):
        counts = ("marks_applied", "marks_registered", "marks_in_force")
        places = {"city": "district_name = '全市' AND class_number = 0", "districts": "district_name NOT IN ('全市', '市外') AND class_number = 0",
                  "classes": "district_name = '全市' AND class_number <> 0", "cells": "district_name NOT IN ('全市', '市外') AND class_number <> 0"}  # fmt: skip
        sums = (
            rows[monthly]
            .groupBy("count_month")
            .agg(
                *(
                    F.expr(f"coalesce(sum(CASE WHEN {place} THEN {count} END), 0) AS {name}_{count}")
                    for name, place in places.items()
                    for count in counts
                )
            )
        )
        apart = sums.where(" OR ".join(f"city_{c} <> {name}_{c}" for name in ("districts", "classes", "cells") for c in counts))
        says = "各月全市的商标件数应等于各区之和、各类别之和、各区各类别之和"
        figures.append(Figure("trademark_adds_up", at[monthly], apart.select("count_month"), 0, 0, says))
    if not (_as_in(parent, at[alerts]) and _as_in(parent, at[marks])):
        told = rows[alerts]
        strange = told.join(rows[marks].select("mark_number", "nice_class"), ["mark_number", "nice_class"], "left_anti").select("alert_id")
        unknown = told.join(rows[rights].select("right_id"), "right_id", "left_anti").select("alert_id")
        figures.append(
            Figure("alerts_of_marks", at[alerts], strange.unionAll(unknown), 0, 0, "每条预警所说的商标和在先权利都应在商标表和受保护名称表中")
        )
        # A missed opposition can't be made up for.
        open_ended = told.where("mark_stage IN ('published', 'unsure', 'registered') AND act_until IS NULL OR act_until < preliminarily_published_on")
        figures.append(
            Figure(
                "alerts_say_until_when", at[alerts], open_ended.select("alert_id"), 0, 0, "公告中和注册五年内的预警都应有最晚行动日期，且不早于公告"
            )
        )
    return figures


def _forecasts(
    at: Mapping[str, TableVersion], rows: Mapping[str, DataFrame], births: str, forecast: str, course: str, parent: Mapping[str, TableVersion]
) -> list[Figure]:
    """That forecasts add up and lie inside their intervals, and that the months they go on from are what the mart counts."""
    figures = []
    if not _as_in(parent, at[forecast]):
        by_place = {"city": "district_name = '全市' AND industry_section_name = '全部'", "districts": "district_name <> '全市' AND industry_section_name = '全部'",
                    "sections": "district_name = '全市' AND industry_section_name <> '全部'", "cells": "district_name <> '全市' AND industry_section_name <> '全部'"}  # fmt: skip
        sums = rows[forecast].groupBy("forecast_origin", "series_month").agg(
            *(F.expr(f"coalesce(sum(CASE WHEN {place} THEN forecast_value END), 0) AS {name}") for name, place in by_place.items()), F.count("*").alias("said")
        )  # fmt: skip
        # Six places are kept of each cell: so much may a sum be off.
        apart = sums.where(" OR ".join(f"abs(city - {name}) > 0.000001 * said" for name in ("districts", "sections", "cells"))).select("series_month")
        bounds = ("forecast_low_wide", "forecast_low", "forecast_value", "forecast_high", "forecast_high_wide")
        inside = " AND ".join(f"{low} <= {high}" for low, high in itertools.pairwise(bounds))
        outside = rows[forecast].where(f"NOT coalesce({inside}, false)").select("series_month")
        figures = [
            Figure("forecast_adds_up", at[forecast], apart, 0, 0, "各期预测中全市应等于各区之和、各行业之和、各区各行业之和"),
            Figure("forecast_in_interval", at[forecast], outside, 0, 0, "预测都应有区间，值在区间内，宽区间包含窄区间", "准确性"),
        ]
    if not _as_in(parent, at[course]):
        key = ["series_month", "district_name", "industry_section_name"]
        told = rows[course].where("series_month <= forecast_origin").select(*key, "month_subjects")
        first, last = told.selectExpr("min(series_month)", "max(series_month)").collect()[0]
        counted = rows[births].withColumnRenamed("registration_month", "series_month").where(F.col("series_month").between(first, last))
        city = counted.groupBy("series_month").agg(F.sum("subjects").alias("summed"))
        # Of cells with names; cells of which there has been nobody for years are not told of.
        named = told.where("district_name NOT IN ('全市', '未分配') AND industry_section_name NOT IN ('全部', '未分配')")
        cells = counted.join(named.select(*key[1:]).distinct(), key[1:], "left_semi").groupBy(*key).agg(F.sum("subjects").alias("summed"))
        wrong = functools.reduce(DataFrame.unionAll, [
            part.join(sums, on, "full").where("NOT coalesce(month_subjects, 0) <=> coalesce(summed, 0)").select("series_month")
            for part, sums, on in ((told.where("district_name = '全市' AND industry_section_name = '全部'"), city, key[:1]), (named, cells, key))
        ])  # fmt: skip
        figures.append(Figure("forecast_from_counts", at[course], wrong, 0, 0, "预测所依据的各月户数应等于登记情况月度表的合计，各区各行业也是"))
    return figures


def _timeline(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    changed: Collection[str],
) -> list[Figure]:
    """That the timeline tells what new statements say, and nothing that no statement says, of whom their parties belong to; and that the archive of each
    theme has each subject that it should."""
    timeline, party = table_name(contracts[TIMELINE]), table_name(contracts[PARTY])
    new = {**rows, **part}
    told: dict[str, list[str]] = {}
    for e in contracts[TIMELINE].events:
        told.setdefault(e.feed, []).append(f"{e.day} IS NOT NULL" if e.through else f"({e.party} IS NOT NULL AND {e.day} IS NOT NULL)")
    statement = "concat_ws('/', {}, delivery_id, row_number) AS statement"
    feeds = [(feed, name) for feed in sorted(told) if (name := table_name(contracts[f"silver.{feed}"])) in changed]
    found = []
    if feeds:
        missing = []
        # Where all rows of a feed are new (its table was put together into few files), the timeline's are not.
        for whole in (False, True):
            mine = [(feed, name) for feed, name in feeds if (name not in part) == whole]
            stated = [new[name].where(" OR ".join(told[feed])).selectExpr(statement.format(f"'{feed}'")) for feed, name in mine]
            if stated:
                among = (rows if whole else new)[timeline].where(F.col("event_feed").isin([feed for feed, _ in mine]))
                missing.append(_missing(functools.reduce(DataFrame.unionAll, stated), among.selectExpr(statement.format("event_feed"))))
        says = "说到主体事项的每次新陈述都应在主体事项中"
        found.append(Figure("timeline_conserved", at[timeline], functools.reduce(DataFrame.unionAll, missing), 0, 0, says))
        names = [feed for feed, _ in feeds]
        told_now = new[timeline].where(F.col("event_feed").isin(names)).selectExpr(statement.format("event_feed"))
        held = functools.reduce(DataFrame.unionAll, [rows[name].selectExpr(statement.format(f"'{feed}'")) for feed, name in feeds])
        # Also of deliveries that have left.
        delivery = "concat_ws('/', {}, delivery_id) AS statement"
        all_told = rows[timeline].where(F.col("event_feed").isin(names)).selectExpr(delivery.format("event_feed"))
        delivered = functools.reduce(DataFrame.unionAll, [rows[name].selectExpr(delivery.format(f"'{feed}'")).distinct() for feed, name in feeds])
        more = _missing(told_now, held, timeline in part).unionAll(_missing(all_told, delivered))
        found.append(Figure("timeline_stated", at[timeline], more, 0, 0, "主体事项都应有标准层的陈述为据"))
    # Parties of new rows, and rows of parties that were looked at anew.
    belongs = rows[party].select("party_key", F.col("subject_id").alias("belongs_to"))
    if timeline in part:
        belongs = belongs.join(F.broadcast(new[timeline].select("party_key").distinct()), "party_key", "left_semi")
    wrong = new[timeline].where("party_key IS NOT NULL").join(belongs, "party_key", "left").where("NOT subject_id <=> belongs_to").select("party_key")
    moved = rows[timeline].join(new[party].select("party_key", F.col("subject_id").alias("belongs_to")), "party_key")
    wrong = wrong.unionAll(moved.where("NOT subject_id <=> belongs_to").select("party_key"))
    found.append(Figure("timeline_belongs", at[timeline], wrong, 0, 0, "主体事项应归到其当事人所归的主体"))
    if following := {e.feed: e.through for e in contracts[TIMELINE].events if e.through}:
        stray = [_astray(rows[timeline], new[timeline], timeline in part, feed, through) for feed, through in sorted(following.items())]
        says = "没有写明当事人的事项应归同一编号的事项所写的当事人"
        found.append(Figure("timeline_follows", at[timeline], functools.reduce(DataFrame.unionAll, stray), 0, 0, says))
    themes = [c for c in contracts.values() if c.tells_of]
    of_theme = [F.expr(f"count(DISTINCT CASE WHEN event_feed IN {_in(c.tells_of)} THEN subject_id END) AS {c.name}") for c in themes]
    subjects = rows[timeline].where("is_standing AND subject_id IS NOT NULL").agg(*of_theme).collect()[0]
    for c in themes:
        says, many = f"{c.title}应有每个有这类事项的主体（{subjects[c.name]} 个），没有别的", subjects[c.name]
        held = rows[table_name(c)].select("subject_id").distinct()
        found.append(Figure(f"{c.name.removeprefix('archive_')}_conserved", at[table_name(c)], held, many, many, says))
    enforcement, penalties = table_name(contracts[ENFORCEMENT]), table_name(contracts["silver.penalties"])
    if penalties in at:
        stand = rows[timeline].where("event_feed = 'penalties' AND is_standing AND subject_id IS NOT NULL").select("delivery_id", "row_number")
        decided = rows[penalties].join(stand, ["delivery_id", "row_number"], "left_semi").agg(F.sum("fine_amount")).collect()[0][0] or 0
        says = f"监管执法档案的罚款合计应等于现在成立的各处罚决定的罚款之和（{decided} 元），不因环节、案件而重复"
        fines = rows[enforcement].agg(F.sum("fine_amount").alias("figure"))
        found.append(Figure("fines_conserved", at[enforcement], fines, float(decided), float(decided), says))
    return found


def _links(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    parent: Mapping[str, TableVersion],
) -> list[Figure]:
    """That what subjects have in common is told of all of them alike, and that addresses which are written alike are one."""
    links, archive = table_name(contracts[COMMON]), table_name(contracts[ARCHIVE])
    if _as_in(parent, at[links]):
        return []
    key, place = ["common_kind", "common_key"], ["registered_address", "district_code"]
    new, mine = part.get(links, rows[links]), rows[links]
    if links in part:
        mine = mine.join(F.broadcast(new.select(*key).distinct()), key, "left_semi")
    several = mine.groupBy(*key).agg(
        F.count("*").alias("n"), F.min("common_subjects").alias("least"), F.max("common_subjects").alias("most"),
        F.expr("sum(CASE WHEN common_subject_ids IS NULL THEN 0 ELSE size(common_subject_ids) END)").alias("others"),
    )  # fmt: skip
    uneven = several.where("least <> n OR most <> n OR others <> CASE WHEN n BETWEEN 2 AND 20 THEN n * (n - 1) ELSE 0 END").select("common_key")
    addressed = rows[archive].where("registered_address RLIKE '[0-9]号' AND district_code IS NOT NULL").select("subject_id", *place)
    if archive in part:
        addressed = addressed.join(F.broadcast(part[archive].select(*place).distinct()), place, "left_semi")
    keyed = addressed.join(rows[links].where("common_kind = 'same_address'").select("subject_id", "common_key"), "subject_id", "left")
    told = F.expr("count(*) <> count(common_key) OR min(common_key) <> max(common_key)").alias("is_apart")
    apart = keyed.groupBy(*place).agg(told).where("is_apart").select("district_code")
    return [
        Figure("links_agree", at[links], uneven, 0, 0, "相同之处在各主体的行上所说的户数、对方应彼此一致"),
        Figure(
            "links_of_subjects", at[links], _missing(new, rows[archive].select("subject_id"), links in part), 0, 0, "关联线索的主体都应在主体档案中"
        ),
        Figure("addresses_linked", at[links], apart, 0, 0, "同一区内写法完全相同、有门牌的住所，应有同一个相同之处"),
    ]


def _private(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    parent: Mapping[str, TableVersion],
) -> list[Figure]:
    """That the archive of traders and private enterprises has each of them and no other, and in its new rows all that stands of them in the timeline."""
    private, archive, timeline = (table_name(contracts[i]) for i in (PRIVATE, ARCHIVE, TIMELINE))
    if all(_as_in(parent, at[name]) for name in (private, archive, timeline)):
        return []
    kinds = (
        rows[archive].where("subject_category = 'individual' OR subject_category = 'enterprise' AND ownership_group = 'private'").select("subject_id")
    )
    many, new = kinds.count(), part.get(private, rows[private])
    events = rows[timeline].where("is_standing AND event_feed IN ('penalties', 'complaints', 'trademark_applications')")
    counts = F.expr("coalesce(sum(penalties_count + complaints_count + marks_applied_count), 0)")
    told = events.join(new.select("subject_id"), "subject_id", "left_semi").count()
    says = f"个体私营档案应有每个个体工商户和私营企业（{many} 个），没有别的"
    adds = f"个体私营档案新的各行的处罚、诉求、商标申请合计应等于主体事项中现在成立的（{told} 项）"
    return [
        Figure("private_conserved", at[private], rows[private].select("subject_id"), many, many, says),
        Figure("private_of_kinds", at[private], _missing(new, kinds, private in part), 0, 0, "个体私营档案的主体都应是个体工商户或私营企业"),
        Figure("private_adds_up", at[private], new.agg(counts.alias("figure")), told, told, adds),
    ]


def _in(values: Iterable[str]) -> str:
    return "('" + "', '".join(values) + "')"


def _astray(rows: DataFrame, new: DataFrame, few: bool, feed: str, through: Collection[str]) -> DataFrame:
    """Events of ``feed`` that are of somebody else than the matter of their number, where either is new. ``few``: not all of them are."""
    of_matter = new.where(F.col("event_feed").isin([feed, *through]) & F.col("matter_number").isNotNull()).select("matter_number").distinct()
    either = rows.join(F.broadcast(of_matter) if few else of_matter, "matter_number", "left_semi")
    named = either.where(F.col("event_feed").isin(list(through)) & F.col("is_standing") & F.col("party_key").isNotNull())
    told = named.groupBy("matter_number").agg(F.expr("min(struct(event_feed, party_key)).party_key").alias("named"))
    mine = either.where(F.col("event_feed") == feed).join(told, "matter_number", "left")
    return mine.where("event_name IS NOT NULL AND NOT party_key <=> named").select("matter_number")


def _at(spark: SparkSession, table: TableVersion) -> DataFrame:
    return spark.sql(f"SELECT * FROM {store.at_version(settings.load(), table.table_name, table.version)}")  # noqa: S608 - names come from contracts


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
            # Which of all rows belong to a few is told without sorting all of them. (Spark does not know how few they are.)
            parts[name] = F.broadcast(new.localCheckpoint()) if new.count() <= HELD_ROWS else new
    return parts


def _of_contracts(
    contracts: Mapping[str, Contract],
    at: Mapping[str, TableVersion],
    rows: Mapping[str, DataFrame],
    part: Mapping[str, DataFrame],
    parent: Mapping[str, TableVersion],
) -> tuple[list[Question], list[Figure]]:
    """What the contracts of the candidates that are not as in ``parent`` expect: of their new rows, and of those with the same keys."""
    asked: list[tuple[str, DataFrame, bool, list[tuple[TableVersion, Any]]]] = []  # the third: there may be few rows
    figures: list[Figure] = []
    twice: dict[tuple[str, ...], dict[str, DataFrame]] = {}  # by the types of their columns, to be counted together
    told: dict[str, tuple[TableVersion, Rule]] = {}
    for contract in contracts.values():
        name = table_name(contract)
        if name not in at or _as_in(parent, at[name]):
            continue
        candidate, expected = at[name], suites.from_contract(contract)
        if name in part:
            # Of a part of the rows neither says anything: what stands beside it is counted.
            for rule in [r for r, _ in expected if r.metric == "duplicateValues"]:
                if rule.id in told:
                    raise RuntimeError(f"two rules have one name: {rule.id}")
                beside = _beside(rows[name], part[name], *rule.columns).select(*rule.columns)
                twice.setdefault(tuple(t for _, t in beside.dtypes), {})[rule.id] = beside
                told[rule.id] = (candidate, rule)
            for rule in [r for r, _ in expected if r.metric == "rowCount"]:
                least = rule.threshold + (rule.operator == "mustBeGreaterThan")
                figures.append(Figure(rule.id, candidate, candidate.row_count, least, None, rule.description, rule.dimension))
            expected = [(r, e) for r, e in expected if r.metric not in ("duplicateValues", "rowCount")]
        if not expected:
            continue
        asked_of = part.get(name, rows[name]).select(*dict.fromkeys(c for r, _ in expected for c in r.columns or contract.keys))
        asked.append((contract.id, asked_of, name in part or candidate.row_count <= LOCAL_ROWS, [(candidate, e) for _, e in expected]))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        questions = list(pool.map(lambda a: Question(a[0], _local(a[1]) if a[2] else a[1], a[3]), asked))
    for frames in twice.values():
        several = _repeated(frames)
        for identity in frames:
            candidate, rule = told[identity]
            figures.append(Figure(identity, candidate, several.get(identity, 0), 0, 0, rule.description, rule.dimension))
    return questions, figures


def _local(rows: DataFrame) -> DataFrame | pd.DataFrame:
    """The rows themselves where they are few."""
    local = rows.limit(LOCAL_ROWS + 1).toPandas()
    return local if len(local) <= LOCAL_ROWS else rows


def _figures(figures: list[Figure]) -> Question:
    """Count all of them in one statement, and put the numbers into one row."""
    asked = [f.row for f in figures if isinstance(f.counted, DataFrame)]
    counted: dict[str, float] = dict(functools.reduce(DataFrame.unionAll, asked).collect()) if asked else {}
    counted |= {f.rule: float(f.counted) for f in figures if not isinstance(f.counted, DataFrame)}
    if len(counted) != len(figures):
        raise RuntimeError(f"two of these figures have one name: {sorted(f.rule for f in figures)}")
    row = pd.DataFrame({f.rule: [counted[f.rule]] for f in figures}, dtype=float)
    return Question("figures", row, [(f.about, suites.figure(f.rule, f.least, f.most, f.description, f.dimension)) for f in figures])


def _share_kept(spark: SparkSession, facts: TableVersion, rows: DataFrame, before: TableVersion | None) -> list[Figure]:
    """The share of facts with a district did not fall by more than LARGEST_DROP against the release; of too few rows it says nothing."""
    if before is None or before.row_count < FEWEST_ROWS or "district_code" not in (then := _at(spark, before)).columns:
        return []  # the last: older than the column
    share = F.expr("count(district_code) / count(*)").alias("figure")
    kept = then.agg(share).collect()[0][0]
    description = f"与当前发布相比，能判定所在区的比例不应下降 {LARGEST_DROP:.0%} 以上（当前 {kept:.1%}）"
    return [Figure("district_code_share_kept", facts, rows.agg(share), max(0.0, kept - LARGEST_DROP), None, description, "准确性")]


def _missing(rows: DataFrame, known: DataFrame, part: bool = False) -> DataFrame:
    """The values of a column of ``rows`` that are not in the only column of ``known``, each once. ``part``: rows are new ones only."""
    (column,) = known.columns
    values = rows.where(F.col(column).isNotNull()).select(column).distinct()
    # Of what is known first those that few rows ask for: the rest is not sorted.
    return values.join(known.join(values, column, "left_semi") if part else known, column, "left_anti")


def _unexplained_codes(facts: DataFrame, links: DataFrame) -> DataFrame:
    """The codes that passed their checks and stand for a subject beside another such, although nobody has said so."""
    codes = facts.where("identifier_kind = 'uscc' AND identifier_check IN ('passed', 'pilot')").select("subject_id", "credit_code").distinct()
    several = codes.groupBy("subject_id").agg(F.collect_set("credit_code").alias("codes")).where("size(codes) > 1")
    said = links.where("is_applied AND link_kind IN ('code_correction', 'decided_same')")
    ends = said.selectExpr("explode(array(first_value, second_value)) AS credit_code")
    return several.selectExpr("explode(codes) AS credit_code").join(ends, "credit_code", "left_anti")


def _counts(frames: Mapping[str, DataFrame]) -> dict[str, int]:
    """How many rows each of them has, asked in one statement; those without any are left out."""
    named = [frame.select(F.lit(name).alias("name")) for name, frame in frames.items()]
    return {row[0]: row[1] for row in functools.reduce(DataFrame.unionAll, named).groupBy("name").count().collect()} if named else {}


def _repeated(frames: Mapping[str, DataFrame]) -> dict[str, int]:
    """How many rows of each, of columns of the same types, are there more than once, asked in one statement; those without any are left out."""
    named = [frame.toDF(*[f"c{n}" for n in range(len(frame.columns))]).withColumn("name", F.lit(name)) for name, frame in frames.items()]
    if not named:
        return {}
    union = functools.reduce(DataFrame.unionAll, named)
    return {row[0]: row[1] for row in _several(union, *union.columns).groupBy("name").count().collect()}


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
    source, local = data.data_sources.add_spark("lake", persist=False), data.data_sources.add_pandas("local")
    verdicts: list[Verdict] = []
    for question in questions:
        if not question.expected:
            continue
        about = {str(e.meta["rule"]): candidate for candidate, e in question.expected}
        suite = data.suites.add(gx.ExpectationSuite(name=question.name, expectations=[e for _, e in question.expected]))
        asked = local if isinstance(question.rows, pd.DataFrame) else source
        batch = asked.add_dataframe_asset(question.name).add_batch_definition_whole_dataframe("candidate")
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
