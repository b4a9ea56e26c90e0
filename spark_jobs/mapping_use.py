"""Which corrections and crosswalks were used, which no longer apply, and what no list knows.

`silver.mapping_use` and `silver.unmapped_value` are counted for each delivery and keyed by `delivery_id`: a delivery can be taken out again.
`silver.mapping_status` is made from the first and from the files: after rows of a delivery were taken out, `refresh` sets it right.
Rows that were set aside count nowhere: they are sent again once they are put right.

    python -m spark_jobs.mapping_use        check the files of corrections and crosswalks; exit code 1 if one is not in order
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from catalog.contract import Contract, load_fields
from catalog.derive import physical_columns, spark_schema, table_name
from infra.ledger import Delivery, Run
from infra.problems import Problem
from spark_jobs.refine import corrections, kinds, registration
from spark_jobs.refine.editions import LISTS
from spark_jobs.refine.mappings import CORRECTIONS, CROSSWALKS, MappingError
from spark_jobs.refine.unmapped import CODE_LISTS
from spark_jobs.writing import Writer

USES, STATUS, UNMAPPED = "silver.mapping_use", "silver.mapping_status", "silver.unmapped_value"
# Deliveries on later days, all within the dates of a mapping, after which one that was not used is reported: a month of daily deliveries.
IDLE_AFTER = 30

# What each mapping was used for. Plain SQL (a test runs it elsewhere). A row is either within the dates of its mapping, with the number of
# rows that it was applied to, which may be 0, or after them, with the number of rows that it would have fitted.
# Deliveries of one day have no order: only those of later days count as "since".
FIGURES = """
WITH used AS (
    SELECT *, max(CASE WHEN applied_rows > 0 THEN delivered_on END) OVER (PARTITION BY mapping_id) AS last_applied_on FROM {uses}
)
SELECT mapping_id,
    sum(CASE WHEN expired_rows = 0 THEN 1 ELSE 0 END) AS covered_deliveries,
    sum(applied_rows) AS applied_rows,
    last_applied_on,
    sum(CASE WHEN expired_rows = 0 AND (last_applied_on IS NULL OR delivered_on > last_applied_on) THEN 1 ELSE 0 END) AS idle_deliveries,
    sum(expired_rows) AS expired_rows,
    max(CASE WHEN expired_rows > 0 THEN delivered_on END) AS last_expired_on,
    max(max(delivered_on)) OVER () AS latest
FROM used GROUP BY mapping_id, last_applied_on
"""


class Definition(NamedTuple):
    """A correction or a row of a crosswalk, as silver.mapping_status shows it."""

    mapping_id: str
    mapping_kind: str  # correction | crosswalk
    mapping_list: str  # the file's name without its ending
    source_column: str
    source_text: str
    condition_text: str | None
    target_text: str | None
    valid_from: dt.date | None
    valid_to: dt.date | None
    mapping_reason: str
    decided_by: str | None


class Figures(NamedTuple):
    """One row of FIGURES, but for `latest`, the day of the latest delivery. Deliveries and rows are numbers of them, dates are days of delivery (Asia/Shanghai)."""

    covered_deliveries: int = 0
    applied_rows: int = 0
    last_applied_on: dt.date | None = None
    idle_deliveries: int = 0
    expired_rows: int = 0
    last_expired_on: dt.date | None = None


def definitions() -> dict[str, Definition]:
    """Every correction and crosswalk row by its id. Raises MappingError: a file is not in order, is used by nothing, or repeats an id."""
    feed, types = registration.FEED, "enterprise_types"
    found = [
        Definition(
            c.mapping_id, "correction", feed, c.column, c.delivered, f"{c.when_column}={c.when_value}" if c.when_column else None,
            c.corrected or None, c.valid_from, c.valid_to, c.reason, c.decided_by,
        )
        for c in corrections.listed(feed, registration.INPUTS)
    ] + [
        Definition(r.mapping_id, "crosswalk", types, "enterprise_type", r.source_text, None, r.target_code, r.valid_from, r.valid_to, r.reason, None)
        for rows in kinds.crosswalk().values()
        for r in rows
    ]  # fmt: skip
    used = {CORRECTIONS / f"{feed}.csv", CROSSWALKS / f"{types}.csv"}
    problems = [
        f"{p.parent.name}/{p.name}：没有数据源或代码表使用这个文件；请核对文件名"
        for folder in (CORRECTIONS, CROSSWALKS)
        for p in sorted(folder.iterdir())
        if p not in used and p.suffix == ".csv"
    ]
    ids = [d.mapping_id for d in found]
    problems += [f"编号 {i} 在两个文件中都有；请换掉一个" for i in sorted({i for i in ids if ids.count(i) > 1})]
    if problems:
        raise MappingError(problems)
    return {d.mapping_id: d for d in found}


def check_files() -> None:
    """Raises Problem, in Chinese, where a file of corrections or crosswalks is not in order."""
    try:
        definitions()
    except MappingError as error:
        raise Problem(
            "更正或对照文件有误，没有开始加工", str(error), "请按 docs/how-to/corrections.zh.md 改正后再运行；读者仍看到上一次发布"
        ) from None


def day_of(delivery: Delivery) -> dt.date:
    """The day by which validity is judged: the business date, else the day of arrival (Asia/Shanghai)."""
    return delivery.business_date or delivery.arrived_on


def uses(days: Mapping[str, dt.date], counts: Mapping[tuple[str, str, bool], int], known: Mapping[str, Definition]) -> list[tuple[object, ...]]:
    """Rows of silver.mapping_use: delivery_id, mapping_id, mapping_kind, delivered_on, applied_rows, expired_rows.

    `days`: day of each delivery. `counts`: (delivery_id, mapping_id, whether the mapping had ended) → rows. A mapping whose dates cover a
    delivery has a row for it also with 0 rows: only so can one that is never used be told from one that nothing was delivered for.
    """
    rows: list[tuple[object, ...]] = []
    for delivery, day in sorted(days.items()):
        for d in known.values():
            covers = (d.valid_from is None or d.valid_from <= day) and (d.valid_to is None or day < d.valid_to)
            applied, ended = (counts.get((delivery, d.mapping_id, over), 0) for over in (False, True))
            if covers or ended:
                rows.append((delivery, d.mapping_id, d.mapping_kind, day, applied, ended))
    return rows


def state(mapping: Definition, figures: Figures, latest: dt.date | None) -> str:
    """What a mapping is at the day of the latest delivery; the values are those of `mapping_state` in catalog/fields.yaml.

    It no longer applies, and a steward looks at it, where it is `never_used` or `idle` (its dates cover IDLE_AFTER deliveries or more, on
    later days than it was last used, and it was applied to no row of them), or `expired_arriving` (it has ended and its text still arrives).
    """
    if mapping.valid_to is not None and latest is not None and mapping.valid_to <= latest:
        return "expired_arriving" if figures.expired_rows else "closed"
    if figures.idle_deliveries >= IDLE_AFTER:
        return "idle" if figures.applied_rows else "never_used"
    return "in_use" if figures.applied_rows else "waiting"


def record(
    writer: Writer,
    contracts: Mapping[str, Contract],
    run: Run,
    deliveries: Iterable[Delivery],
    counts: Mapping[tuple[str, str, bool], int],
    unknown: DataFrame | None,
) -> None:
    """Write down what the rows of `deliveries` that became facts used (`counts` as in `uses`) and what no list knows; then `refresh`.

    `unknown`: the rows with values that no list knows, None if there are none.
    """
    rows = uses({d.delivery_id: day_of(d) for d in deliveries}, counts, definitions())
    if rows:
        frame = writer.spark.createDataFrame(rows, spark_schema(contracts[USES]))
        writer.write(frame, table_name(contracts[USES]), "append", "mapping use", run.run_id)
    if unknown is not None:
        write_unmapped(writer, contracts[UNMAPPED], run, unknown, registration.FEED, CODE_LISTS)
    refresh(writer, contracts, run)


def write_unmapped(writer: Writer, contract: Contract, run: Run, accepted: DataFrame, feed: str, lists: Mapping[str, str]) -> None:
    """Note what no list knows in the ``unmapped`` of rows of a feed; ``lists``: the name of the list of each column that has one, beside those
    by whose editions columns are read in any feed."""
    lists = {f.derived.of: LISTS[f.derived.code_list].title for f in load_fields().values() if f.derived is not None} | dict(lists)
    rows = (
        accepted.select("delivery_id", F.explode("unmapped").alias("said"))
        .groupBy("delivery_id", "said")
        .agg(F.count("*").alias("unmapped_rows"))
        .withColumn("feed", F.lit(feed))
        .withColumn("source_column", F.substring_index("said", "=", 1))
        .withColumn("unmapped_text", F.expr("substring(said, instr(said, '=') + 1)"))
        .withColumn("code_list", F.coalesce(*[F.when(F.col("source_column") == column, F.lit(name)) for column, name in lists.items()]))
        .select(*[c.name for c in physical_columns(contract)])
    )
    writer.write(rows, table_name(contract), "append", "unmapped", run.run_id)
    values, number = rows.agg(F.countDistinct("source_column", "unmapped_text"), F.sum("unmapped_rows")).collect()[0]
    print(f"代码表中没有的取值 {values} 种（{number} 处），见 silver.unmapped_value", flush=True)


def refresh(writer: Writer, contracts: Mapping[str, Contract], run: Run) -> None:
    """Make silver.mapping_status say what silver.mapping_use and the files say. Writes nothing where it does already."""
    contract, counted = contracts[STATUS], writer.spark.table(table_name(contracts[USES]))
    rows = writer.spark.sql(FIGURES, uses=counted).collect()
    figures, latest = {r[0]: Figures(*r[1:-1]) for r in rows}, rows[0].latest if rows else None
    wanted = []
    for mapping in definitions().values():
        own = figures.get(mapping.mapping_id, Figures())
        values = mapping._asdict() | own._asdict() | {"mapping_state": state(mapping, own, latest)}
        wanted.append(tuple(values[c.name] for c in contract.columns))
    stored = {tuple(r) for r in writer.spark.table(table_name(contract)).select(*[c.name for c in contract.columns]).collect()}
    if stored != set(wanted):
        writer.write(writer.spark.createDataFrame(wanted, spark_schema(contract)), table_name(contract), "overwrite", "mapping status", run.run_id)


def main() -> int:
    try:
        print(f"更正和对照共 {len(definitions())} 条，格式正确")
    except MappingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
