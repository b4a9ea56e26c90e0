"""Hand files over to the lake, and say what became of each."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from catalog.contract import Contract, load_contracts
from catalog.properties import Kind
from infra import store
from infra.durable import copy
from infra.ledger import Ledger, delivery_id
from infra.problems import Problem
from infra.services.base import Context
from spark_jobs.ingest.land import MANIFEST, inbox

STATES = {"arrived": "已到达", "landed": "已落地，等待入湖", "refused": "拒收", "loaded": "已入湖", "held": "已扣留", "withdrawn": "已撤回"}


def feed(name: str) -> Contract:
    """The contract of a feed, by its name.

    Raises:
        Problem: there is no such feed.
    """
    feeds = {c.name: c for c in load_contracts().values() if c.kind is Kind.FEED}
    if name.removeprefix("bronze.") not in feeds:
        known = "\n".join(f"{n}（{c.title}）" for n, c in feeds.items())
        raise Problem(f"没有数据源 {name}", f"现有的数据源：\n{known}", "写其中一个名称")
    return feeds[name.removeprefix("bronze.")]


def identities(contract: Contract, files: Iterable[Path]) -> list[str]:
    """The delivery ids that files have or would get: they follow from the content alone."""
    return [delivery_id(contract.name, store.sha256_of(path)) for path in files]


def hand_over(context: Context, contract: Contract, files: Iterable[Path], manifest: dict[str, Any]) -> list[str]:
    """Put files into the feed's inbox, each with what is stated beside it; return their delivery ids in the same order.

    A file is written beside the inbox's name and moved in whole; its manifest goes first. A manifest that lies
    beside the file is taken along where ``manifest`` says nothing.

    Raises:
        Problem: a file can't be read, two have one name, or one of that name waits already.
    """
    paths = list(files)
    names = [p.name for p in paths]
    for path in paths:
        if not path.is_file():
            raise Problem(f"读不到文件 {path}", "它不存在或不是普通文件", "核对路径")
        if names.count(path.name) > 1:
            raise Problem(f"有两个文件都叫 {path.name}", "同一次报送里文件名不能重复", "改名，或分两次报送")
    folder = inbox(context.settings, contract.name)
    given = []
    for path in paths:
        if (folder / path.name).exists():
            raise Problem(f"{path.name} 已在等待处理", "收件夹里有同名文件", "先运行 ./lake run，再报送这个文件")
        try:
            content = path.open("rb")
            beside = path.with_name(path.name + MANIFEST)
            stated = json.dumps(manifest, ensure_ascii=False) if manifest else beside.read_text(encoding="utf-8") if beside.is_file() else ""
        except PermissionError as error:
            raise Problem(f"读不到文件 {error.filename}", "运行服务的用户没有读取权限", "放宽权限（如 chmod a+r），或换一个位置") from None
        if stated:
            _move_in(folder, path.name + MANIFEST, io.BytesIO(stated.encode()))
        with content:
            given.append(delivery_id(contract.name, _move_in(folder, path.name, content)))
    return given


def _move_in(folder: Path, name: str, content: BinaryIO) -> str:
    """Copy a content, then show it under its name; return its digest."""
    temporary = folder / f".{name}.new"
    digest, _ = copy(content, temporary)
    temporary.rename(folder / name)
    return digest


def account(context: Context, contract: Contract, identities: Iterable[str], before: set[str], out: Console) -> None:
    """Print what became of each delivery: 到达 = 应用 + 被取代 + 重复 + 隔离, with reasons and where to look.

    ``before``: deliveries that were there before this hand-over. Values of rows are not repeated: a row in the wrong
    columns shows a person's name where nobody expects one. The row's number leads to it.
    """
    rules = {r.id: r for r in contract.rules}
    total = dict.fromkeys(("arrived", "applied", "superseded", "duplicate", "quarantined"), 0)
    with Ledger(context) as ledger:
        release = ledger.current_release()
        accounts = ledger.accounts(release)
        for identity in dict.fromkeys(identities):
            try:
                delivery = ledger.delivery(identity)
            except KeyError:
                out.print(f"{identity}  还没有落地", style="red")
                continue
            again = "（内容曾经送达，这次不再入湖，下面是它原来的账）" if identity in before and delivery.state == "loaded" else ""
            if delivery.state == "withdrawn":
                again = f"（这份内容已撤回，再送也不入湖；要恢复采用：./lake withdraw {identity} --undo）"
            out.print(f"\n[bold]{delivery.file_name}[/]  批次 {identity}  {STATES[delivery.state]}{again}", soft_wrap=True)
            if delivery.reason:
                out.print(f"  {delivery.reason}", style="red", markup=False, soft_wrap=True)
            a = accounts.get(identity)
            if a is None:
                if delivery.state == "loaded":
                    out.print(f"  到达 {delivery.row_count:,}，尚未进入任何发布")
                continue
            for name in total:
                total[name] += getattr(a, name)
            out.print(
                f"  到达 {a.arrived:,} = 应用 {a.applied:,} + 被取代 {a.superseded:,} + 重复 {a.duplicate:,} + 隔离 {a.quarantined:,}   （发布 {release}）"
            )
            for f in ledger.findings(release, identity):
                column = rules[f.rule].columns[0] if f.rule in rules and rules[f.rule].columns else None
                where = f"“{contract.column(column).chinese}”" if column else "整行"
                place = _place(store.records_file(context.settings, delivery), f.first_row)
                kind = "[red]隔离[/]" if f.severity == "quarantine" else "[yellow]提示[/]"
                out.print(f"    {kind} {f.affected:>6,} 条  {f.description}  （{f.rule}；例：{place}的{where}）", soft_wrap=True)
    if total["arrived"]:
        out.print(
            f"\n合计  到达 {total['arrived']:,} = 应用 {total['applied']:,} + 被取代 {total['superseded']:,} + 重复 {total['duplicate']:,} + 隔离 {total['quarantined']:,}"
        )


def _place(records: Path, row_number: int) -> str:
    """Where a record stands in the file that was sent, as the sender sees it."""
    try:
        found = pq.read_table(records, columns=["sheet_name", "line_number"], filters=[("row_number", "==", row_number)]).to_pylist()
    except (OSError, pa.ArrowException, KeyError):  # gone, damaged, or split before places were noted
        found = []
    if not found:
        return f"第 {row_number} 条记录"
    sheet = f"工作表“{found[0]['sheet_name']}”" if found[0]["sheet_name"] else ""
    return f"{sheet}第 {found[0]['line_number']} 行"
