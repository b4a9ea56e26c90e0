"""``./lake try``: read a file as the lake would, and show what would come of each record. Needs no services, and keeps nothing."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from catalog.contract import Contract
from infra.clock import china_day
from infra.problems import Problem
from infra.querying import plain
from spark_jobs.ingest import land
from spark_jobs.ingest.refusal import Refused
from spark_jobs.refine import records as records_of_feed
from spark_jobs.refine import registration, rules
from spark_jobs.refine.batches import UNSPLITTABLE

_SAYS = ("reasons", "quality_marks", "unmapped")


def show(feed: Contract, path: Path, number: int, as_json: bool, out: Console) -> None:
    """Print what each record of a file is read as, which rules it fails, and the sums; ``number``: of records that are shown whole.

    Raises:
        Problem: the file can't be read or would be refused, or a rule of the contract can't judge any row.
    """
    records = read(feed, path)
    if as_json:
        shown = [{name: plain(value) for name, value in r.items() if name != "headers"} for r in records]
        print(json.dumps(shown, ensure_ascii=False, indent=1, default=str))
        return
    _sums(feed, records, out)
    # What shows most first: one record for each kind of fault, then the others.
    faults: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        faults.setdefault(tuple(record["reasons"] or record["quality_marks"] or record["unmapped"]), []).append(record)
    ordered = [r for kind in sorted(faults, key=lambda k: (not k, k)) for r in faults[kind][:1]]
    ordered += [r for kind in faults.values() for r in kind[1:]]
    for record in sorted(ordered[:number], key=lambda r: r["row_number"]):
        _record(feed, record, out)
    if len(records) > number:
        out.print(f"其余 {len(records) - number:,} 条未列出；--rows 可多列一些，--json 列出全部", style="dim")


def read(feed: Contract, path: Path) -> list[dict[str, Any]]:
    """The records of a file: ``row_number``, ``delivered`` (texts by column), ``headers`` (what the file calls these columns), the values read,
    ``reasons``, ``quality_marks``, ``unmapped``."""
    if not path.is_file():
        raise Problem(f"没有文件 {path}", "路径写错，或不是一个文件", "核对路径")
    if faults := list(rules.faults(feed)):
        raise Problem("合同里有不能用的规则", "\n".join(faults), "改正合同后再试")
    try:
        with tempfile.TemporaryDirectory() as folder:
            came = list(land.rows_of(feed, path, Path(folder)))
    except Refused as refused:
        raise Problem(f"{path.name} 会被拒收", str(refused), "改正文件，或补全合同的列名") from refused
    today = [china_day(dt.datetime.now(dt.UTC))] * len(came)
    split = [dict(zip(table.columns, cells or (), strict=cells is not None)) for table, (_, cells, _) in came]
    texts = {c.name: [values.get(c.name) for values in split] for c in records_of_feed.own_columns(feed)}
    if feed.record_key:
        refined: Mapping[str, Sequence[Any]] = records_of_feed.refine_columns(feed, texts, today)
    else:
        refined = registration.refine_columns(texts, today, [None] * len(came))
    records = []
    for place, (table, (_, cells, raw)) in enumerate(came):
        record = {
            "row_number": place + 1,
            "delivered": {name: texts[name][place] for name in texts},
            "headers": dict(zip(table.columns, table.headers, strict=True)),
            **{n: held[place] for n, held in refined.items()},
        }
        if cells is None:
            record |= {"delivered": {"": raw}, "reasons": [UNSPLITTABLE], "quality_marks": [], "unmapped": []}
        records.append(record)
    return records


def _sums(feed: Contract, records: Sequence[Mapping[str, Any]], out: Console) -> None:
    aside, marked = (sum(1 for r in records if test(r)) for test in (lambda r: r["reasons"], lambda r: r["quality_marks"] and not r["reasons"]))
    out.print(f"《{feed.chinese}》共 {len(records):,} 条：隔离 {aside:,} 条，标记 {marked:,} 条，其余 {len(records) - aside - marked:,} 条没有问题")
    says = {r.id: r.description for r in feed.rules} | {UNSPLITTABLE: "记录的列数与表头不符，无法拆分"}
    # The name of a rule is copied into commands: on a narrow screen the text beside it gives way.
    table = Table("处理", Column("规则", no_wrap=True), Column("说明", overflow="fold"), "条数", box=None)
    for title, which in (("隔离", "reasons"), ("标记", "quality_marks")):
        for rule, number in Counter(rule for r in records for rule in r[which]).most_common():
            table.add_row(title, rule, says.get(rule, ""), f"{number:,}")
    for text, number in Counter(text for r in records for text in r["unmapped"]).most_common():
        table.add_row("不认识", *map(Text, text.split("=", 1)), f"{number:,}")
    if table.row_count:
        out.print(table)


def _record(feed: Contract, record: Mapping[str, Any], out: Console) -> None:
    faults = "；".join(f"{title} {'、'.join(record[which])}" for title, which in zip(("隔离", "标记", "不认识"), _SAYS, strict=True) if record[which])
    out.print(Text(f"第 {record['row_number']:,} 条　{faults or '没有问题'}", style="italic"), soft_wrap=True)
    table = Table(*(Column(title, overflow="fold") for title in ("文件的列", "来源原文", "读出的值")), box=None)
    for name, text in record["delivered"].items():
        value = record.get(name)
        # Delivered brackets are no markup.
        header = record["headers"].get(name) or (feed.column(name).chinese if name else "原文")
        table.add_row(Text(header), Text(text or ""), Text("" if value is None else str(plain(value))))
    for column in feed.derived_columns:
        table.add_row(column.chinese, "", Text("" if record[column.name] is None else str(record[column.name])))
    out.print(table)
