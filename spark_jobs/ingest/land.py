"""Land files: keep the bytes, give them their identity, find the table in them, split it into records.

Spark sees UTF-8 Parquet only. A file that can't be understood whole is refused whole, with a message
for the department that sent it; one bad record is kept as raw text and stops nothing.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.contract import Contract
from catalog.derive import required_headers
from infra.clock import china_day
from infra.durable import copy
from infra.ledger import Delivery, Ledger, Statement
from infra.settings import Settings
from infra.store import sha256_of
from spark_jobs.ingest import readers, tables
from spark_jobs.ingest.formats import found
from spark_jobs.ingest.refusal import Refused

FRESH_SECONDS, SETTLE_SECONDS = 60, 1.0
BATCH_ROWS = 1_000  # rows held as Python objects; more of them cost memory, and the garbage collector walks through all of them again and again
GROUP_ROWS = 50_000  # rows held as Arrow columns, written as one row group
MANIFEST = ".manifest.json"


@dataclass(frozen=True)
class Landing:
    """What became of one file: its delivery and whether its content was new."""

    delivery: Delivery
    new: bool


class Manifest(BaseModel):
    """What a sender may state beside a file, in ``<file name>.manifest.json``. Every entry may be left out.

    ``as_of``: the business day that the content describes, as YYYY-MM-DD. ``revision``: a rising number where a file
    replaces one that was sent before. ``simulated``: the content is made up, for demonstration. ``rows``, ``sha256``: how many
    records the sender wrote, and the digest of the bytes: a file that was cut at the end of a record shows by nothing else.
    """

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    department: str = Field("", max_length=60)
    as_of: dt.date | None = None
    revision: int = Field(0, ge=0, le=10**6)
    simulated: bool = False
    rows: int | None = Field(None, ge=0)
    sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$")


# What a clerk is told that an entry of the manifest must be.
_MANIFEST_FORMS = {
    "department": "不超过 60 个字的部门名称",
    "as_of": "真实存在的日期，写作 2019-06-30",
    "revision": "不小于 0 的整数，不加引号",
    "simulated": " true 或 false，不加引号",
    "rows": "不小于 0 的整数，不加引号",
    "sha256": "64 位十六进制的 SHA-256 摘要",
}


def inbox(settings: Settings, feed: str) -> Path:
    """Where files of a feed wait for the next run. Write beside it and move in, so that no half file is taken; a manifest goes first."""
    return settings.folder(f"landing/inbox/{feed}")


def land_waiting(settings: Settings, ledger: Ledger, contract: Contract) -> list[Landing]:
    """Land every file in the feed's inbox, in the order in which they were put there, and move it to the archive of bytes.

    What is no file of its own (a link, a folder) stays where it is, and so does a file that somebody is still writing, for the next run.
    """
    results = []
    # Of two that say the same the one that came first counts.
    for path in sorted(inbox(settings, contract.name).iterdir(), key=_put_there):
        if path.name.startswith(".") or path.name.endswith(MANIFEST):
            continue
        if path.is_symlink() or not path.is_file():
            print(f"{shown_name(path)}: 是链接或文件夹，不收。请放入文件本身。", flush=True)
        elif still_written(path):
            print(f"{shown_name(path)}: 还在写入，留待下次运行。", flush=True)
        else:
            landing = land(settings, ledger, contract, path)
            if landing is None:
                print(f"{shown_name(path)}: 还在写入，留待下次运行。", flush=True)
            else:
                results.append(landing)
    # What a killed run had noted but not yet split is taken up again from the kept bytes.
    for delivery in ledger.deliveries(contract.name, "arrived"):
        results.append(_split(settings, ledger, contract, delivery, new=False))
    return results


def read_again(settings: Settings, ledger: Ledger, contract: Contract) -> list[tuple[Delivery, str]]:
    """Split the kept bytes of deliveries that shall be replayed once more, as the contract and the readers are today.

    Returns each with the reason why that can't be done; where it can't, the delivery stays as it was loaded.
    """
    results = []
    for delivery in ledger.to_replay(contract.name):
        try:
            target, rows = _split_again(settings, ledger, contract, delivery)
        except Refused as refusal:
            ledger.replay_refused(delivery.delivery_id, str(refusal))
            results.append((delivery, str(refusal)))
        else:
            if ledger.replayed(delivery.delivery_id, str(target.relative_to(settings.folder("landing"))), rows):
                results.append((ledger.delivery(delivery.delivery_id), ""))
    return results


def _split_again(settings: Settings, ledger: Ledger, contract: Contract, delivery: Delivery) -> tuple[Path, int]:
    kept = settings.folder(f"landing/kept/{contract.name}") / f"{ledger.sha256(delivery.delivery_id)}.bin"
    if not kept.exists():
        raise Refused("保存的原件不见了。请从备份恢复，或请报送单位再送一次同一个文件。")
    if sha256_of(kept) != kept.stem:
        raise Refused("保存的原件与收到时不同，不能用它重放。请从备份恢复，或请报送单位再送一次同一个文件。")
    return split_kept(settings, ledger, contract, delivery)


def shown_name(path: Path) -> str:
    """A file's name as it is shown and kept: what is no printable text (line breaks, control characters, bytes that are no UTF-8) escaped."""
    text = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def still_written(path: Path) -> bool:
    """Whether another program has the file open for writing, as the kernel knows it; where it doesn't tell, whether the file changes."""
    with path.open("rb") as file:
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        except OSError:  # somebody else's file, or a file system without leases
            before = _state(path)
            time.sleep(SETTLE_SECONDS if time.time() - path.stat().st_mtime < FRESH_SECONDS else 0)
            return _state(path) != before
    return False


def _put_there(path: Path) -> tuple[int, str]:
    """Since when a file is where it is (the change of its entry, not of its content, which may be older), and its name."""
    try:
        return path.lstat().st_ctime_ns, path.name
    except FileNotFoundError:  # taken back
        return 0, path.name


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def land(settings: Settings, ledger: Ledger, contract: Contract, path: Path) -> Landing | None:
    """Land one file. The same bytes as before, under whatever name, are noted and not taken again. None: it grew while it was read."""
    before = _state(path)
    digest, size = _keep(path, settings.folder(f"landing/kept/{contract.name}"))
    if _state(path) != before:
        return None
    name, manifest = shown_name(path), path.with_name(path.name + MANIFEST)
    try:
        says, objection = stated(contract, name, manifest.read_bytes() if manifest.is_file() else b"{}"), ""
    except Refused as refusal:
        says, objection = Statement(contract.department), str(refusal)
    if says.sha256 and says.sha256 != digest:
        objection = "文件的 SHA-256 摘要与说明文件里的不同，多半没有传完或传错了文件。请重新传送。"
    delivery, new = ledger.arrive(contract.name, digest, size, name, says)
    if delivery.state == "arrived":
        objection = objection or _name_taken(ledger.namesake(contract.name, name, delivery.delivery_id), delivery)
        if objection:
            ledger.refuse(delivery.delivery_id, objection)
            result = Landing(ledger.delivery(delivery.delivery_id), new)
        else:
            result = _split(settings, ledger, contract, delivery, new, says.rows)
    else:
        result = Landing(delivery, new)
    path.unlink()
    manifest.unlink(missing_ok=True)
    return result


def _keep(path: Path, folder: Path) -> tuple[str, int]:
    """Copy a file's bytes durably to ``<digest>.bin``; return the digest (SHA-256) and the size."""
    temporary = folder / f".{os.getpid()}.new"
    with path.open("rb") as source:
        digest, size = copy(source, temporary)
    temporary.replace(folder / f"{digest}.bin")
    return digest, size


def stated(contract: Contract, file_name: str, manifest: bytes) -> Statement:
    """What is known about a file beside its content: from the manifest (JSON in UTF-8), else from its name, else from the contract.

    Raises:
        Refused: the manifest can't be understood, or the business date lies in the future.
    """
    try:
        says = Manifest.model_validate_json(manifest.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Refused(
            f"随附的说明文件（{file_name}{MANIFEST}）不是 UTF-8 编码（第 {error.start + 1} 个字节）。请另存为 UTF-8 后连同数据再送。"
        ) from error
    except ValidationError as error:
        faults = "；".join(dict.fromkeys(_fault(e["type"], str(e["loc"][0]) if e["loc"] else "") for e in error.errors()))
        raise Refused(
            f"随附的说明文件（{file_name}{MANIFEST}）不符合约定：{faults}。"
            "请改正后连同数据再送；说明文件是一个 JSON 对象，可写 department、as_of、revision、simulated、rows、sha256，都可省略。"
        ) from error
    date = says.as_of or _date_in_name(contract, file_name)
    if date and date > china_day(dt.datetime.now(dt.UTC)):
        raise Refused(f"声明的业务日期 {date} 在将来。请核对说明文件或文件名里的日期。")
    digest = says.sha256.lower() if says.sha256 else None
    return Statement(says.department or contract.department, date, says.revision, says.simulated, says.rows, digest)


def _fault(kind: str, field: str) -> str:
    """One fault of a manifest, by the kind that pydantic gives it, in words for a clerk."""
    if kind == "json_invalid":
        return "不是完整的 JSON"
    if not field:
        return '应为一个 JSON 对象，如 {"as_of": "2019-06-30"}'
    if kind == "extra_forbidden":
        return f"不认识的项“{field}”"
    return f"{field} 应为{_MANIFEST_FORMS[field]}"


def _date_in_name(contract: Contract, file_name: str) -> dt.date | None:
    found = re.search(contract.file_name_date, file_name) if contract.file_name_date else None
    if not found:
        return None
    try:
        return dt.date(int(found["y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise Refused(f"文件名里的日期“{found.group()}”不是真实的日期。请改正文件名，或在说明文件里写 as_of。") from None


def _name_taken(namesake: Delivery | None, delivery: Delivery) -> str:
    """Why a file may not come under the name of an earlier one with other content; empty if it may."""
    if namesake is None or delivery.source_revision > namesake.source_revision or delivery.business_date != namesake.business_date:
        return ""
    return (
        f"同名文件已于 {namesake.arrived_at[:10]} 送达（批次 {namesake.delivery_id}），内容不同。"
        f"如果这是更正，请声明修订号（大于 {namesake.source_revision}）；如果是另一天的数据，请声明业务日期；否则请换一个文件名。"
    )


def _split(settings: Settings, ledger: Ledger, contract: Contract, delivery: Delivery, new: bool, stated_rows: int | None = None) -> Landing:
    try:
        target, rows = split_kept(settings, ledger, contract, delivery)
        if stated_rows is not None and rows != stated_rows:
            raise Refused(f"文件里有 {rows:,} 条记录，说明文件里写的是 {stated_rows:,} 条，多半没有传完。请重新传送，或改正说明文件。")
    except Refused as refusal:
        ledger.refuse(delivery.delivery_id, str(refusal))
    else:
        ledger.landed(delivery.delivery_id, str(target.relative_to(settings.folder("landing"))), rows)
    return Landing(ledger.delivery(delivery.delivery_id), new)


def split_kept(settings: Settings, ledger: Ledger, contract: Contract, delivery: Delivery) -> tuple[Path, int]:
    """Split the kept bytes of a delivery into records; return their file and their number."""
    source = settings.folder(f"landing/kept/{contract.name}") / f"{ledger.sha256(delivery.delivery_id)}.bin"
    target = settings.folder(f"landing/records/{contract.name}") / f"{delivery.delivery_id}.parquet"
    return target, _write_records(contract, delivery, source, target)


def records(contract: Contract, path: Path, scratch: Path) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    """Per record of a file ``(number, values, raw text)``; ``values`` is None where it can't be split, and only ``raw`` says what came.

    Records are numbered from 1 over all sheets. What is no record (a banner, a footer, a repeated header) is printed.

    Raises:
        Refused: the file is none of ours, is damaged, or its columns are not those of the contract; also after some records.
    """
    for number, (table, (_, cells, raw)) in enumerate(rows_of(contract, path, scratch), 1):
        yield number, None if cells is None else dict(zip(table.columns, cells, strict=True)), raw


def rows_of(contract: Contract, path: Path, scratch: Path) -> Iterator[tuple[tables.Table, readers.Row]]:
    """``records`` without a dictionary for each: the table that it stands in, its line there, its cells, its raw text."""
    without_table, tabled = [], False
    with found(path, scratch) as file:
        padded = file.kind in ("workbook", "spreadsheetml")
        for sheet in readers.sheets(file, tables.known_header(contract)):
            table = tables.table(contract, sheet, padded)
            if table is None:
                without_table.append(sheet.name)
                continue
            tabled = True
            for row in table.rows:
                yield table, row
            for note in table.notes:
                print(f"{f'{sheet.name} ' if sheet.name else ''}{note}", flush=True)
    if not tabled:
        where = f"（看过的工作表：{'、'.join(without_table[:10])}）" if any(without_table) else ""
        wanted = "、".join(contract.column(name).chinese for name in required_headers(contract))
        raise Refused(f"前 {tables.BANNER_ROWS} 行里没有一行是《{contract.chinese}》的表头{where}，至少应有：{wanted}。请带上表头重新导出。")
    for name in without_table:
        print(f"{name} 没有表头，未读", flush=True)


def _write_records(contract: Contract, delivery: Delivery, source: Path, target: Path) -> int:
    names = [c.name for c in contract.columns if not c.reserved]
    placed = [("delivery_id", pa.string()), ("row_number", pa.int64()), ("sheet_name", pa.string()), ("line_number", pa.int64())]
    schema = pa.schema([*((n, pa.string()) for n in names), *placed, ("raw_line", pa.string())])
    temporary = target.with_suffix(".new")
    count = 0
    try:
        # Names, codes, addresses and scopes are nearly all distinct: dictionaries of them cost time, and zstd packs as well without.
        with pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=False) as writer:
            group: list[pa.RecordBatch] = []
            for table, rows in _batches(rows_of(contract, source, target.parent)):
                group.append(_batch(schema, delivery.delivery_id, count + 1, table, rows))
                count += len(rows)
                if sum(batch.num_rows for batch in group) >= GROUP_ROWS:
                    writer.write_table(pa.Table.from_batches(group))
                    group.clear()
            writer.write_table(pa.Table.from_batches(group, schema))
        if count == 0:
            raise Refused("文件只有表头，没有记录。如果当期确实没有数据，不必送文件：报送日历会提示缺报，请向数据管理员说明。")
    except Refused:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(target)
    return count


def _batches(rows: Iterator[tuple[tables.Table, readers.Row]]) -> Iterator[tuple[tables.Table, list[readers.Row]]]:
    """Up to BATCH_ROWS rows at a time, all of one table."""
    for table, of_table in groupby(rows, key=itemgetter(0)):
        while batch := [row for _, row in islice(of_table, BATCH_ROWS)]:
            yield table, batch


def _batch(schema: pa.Schema, delivery_id: str, first: int, table: tables.Table, rows: list[readers.Row]) -> pa.RecordBatch:
    """Rows as columns; ``first`` is the number of the first. A row without cells has its raw text and nothing else."""
    nothing = (None,) * len(table.columns)
    cells = zip(*[nothing if c is None else c for _, c, _ in rows], strict=True)
    delivered = {name: pa.array(values, pa.string()) for name, values in zip(table.columns, cells, strict=True)}
    return pa.RecordBatch.from_pydict(
        {name: delivered[name] if name in delivered else pa.nulls(len(rows), pa.string()) for name in schema.names}
        | {
            "delivery_id": pa.repeat(delivery_id, len(rows)),
            "row_number": pa.array(range(first, first + len(rows)), pa.int64()),
            "sheet_name": pa.repeat(pa.scalar(table.sheet or None, pa.string()), len(rows)),
            "line_number": pa.array([line for line, _, _ in rows], pa.int64()),
            "raw_line": pa.array([raw if c is None else None for _, c, raw in rows], pa.string()),
        },
        schema=schema,
    )
