"""Land files: keep the bytes, give them their identity, decode them strictly, split them into records.

Spark sees UTF-8 Parquet only. A file that can't be understood whole is refused whole, with a message
for the department that sent it; one bad record is kept as raw text and stops nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.contract import Contract
from catalog.derive import header_bindings, required_headers
from infra.ledger import Delivery, Ledger
from infra.settings import Settings

BATCH_ROWS = 50_000
csv.field_size_limit(16 * 2**20)


class Refused(Exception):
    """A delivery that can't be taken; the text is Chinese, for the clerk who sent it."""


@dataclass(frozen=True)
class Landing:
    """What became of one file: its delivery and whether its content was new."""

    delivery: Delivery
    new: bool


def inbox(settings: Settings, feed: str) -> Path:
    """Where files of a feed wait for the next run. Write beside it and move in, so that no half file is taken."""
    return settings.folder(f"landing/inbox/{feed}")


def land_waiting(settings: Settings, ledger: Ledger, contract: Contract) -> list[Landing]:
    """Land every file in the feed's inbox, in the order of their names, and move it to the archive of bytes."""
    files = sorted(p for p in inbox(settings, contract.name).iterdir() if p.is_file() and not p.is_symlink() and not p.name.startswith("."))
    results = [land(settings, ledger, contract, path) for path in files]
    # What a killed run had noted but not yet split is taken up again from the kept bytes.
    for delivery in ledger.deliveries(contract.name, "arrived"):
        results.append(_split(settings, ledger, contract, delivery, new=False))
    return results


def land(settings: Settings, ledger: Ledger, contract: Contract, path: Path) -> Landing:
    """Land one file. The same bytes as before, under whatever name, are noted and not taken again."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    kept = settings.folder(f"landing/kept/{contract.name}") / f"{digest}.bin"
    if not kept.exists():
        temporary = kept.with_suffix(".new")
        with temporary.open("wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        temporary.replace(kept)
    delivery, new = ledger.arrive(contract.name, digest, len(content), path.name, contract.department)
    result = _split(settings, ledger, contract, delivery, new) if delivery.state == "arrived" else Landing(delivery, new)
    path.unlink()
    return result


def _split(settings: Settings, ledger: Ledger, contract: Contract, delivery: Delivery, new: bool) -> Landing:
    kept = settings.folder(f"landing/kept/{contract.name}")
    digest = ledger.sha256(delivery.delivery_id)
    target = settings.folder(f"landing/records/{contract.name}") / f"{delivery.delivery_id}.parquet"
    try:
        rows = _write_records(contract, delivery, (kept / f"{digest}.bin").read_bytes(), target)
    except Refused as refusal:
        ledger.refuse(delivery.delivery_id, str(refusal))
    else:
        ledger.landed(delivery.delivery_id, str(target), rows)
    return Landing(ledger.delivery(delivery.delivery_id), new)


def decode(content: bytes) -> str:
    """Decode strictly: UTF-8 (with or without a mark), else GB18030.

    Raises:
        Refused: neither fits, or the text carries replacement characters or NULs.
    """
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            position = error.start
            continue
        if "\ufffd" in text:
            raise Refused("文件里有替换字符“\ufffd”，说明它在到达前已经被错误转码。请从源系统重新导出为 UTF-8 或 GB18030。")
        if "\x00" in text:
            raise Refused("文件里有空字节（NUL），多半是传输中断或导出出错。请重新导出后再送。")
        return text
    raise Refused(f"文件既不是 UTF-8 也不是 GB18030（第 {position + 1} 个字节无法识别），可能被截断。请重新导出后再送。")


def records(contract: Contract, text: str) -> tuple[list[str], Iterator[tuple[int, dict[str, str] | None, str]]]:
    """Bind the header to columns by name; return the columns and, per record, ``(row number, values, raw text)``.

    ``values`` is None where the record has not as many fields as the header; then only ``raw`` says what came.

    Raises:
        Refused: no header, a required column is missing, a column is unknown or twice.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
    except StopIteration:
        raise Refused("文件是空的，没有表头。请确认导出是否完成。") from None
    bindings = header_bindings(contract)
    unknown = [name for name in header if name not in bindings]
    columns = [bindings.get(name, "") for name in header]
    missing = [contract.column(name).chinese for name in required_headers(contract) if name not in columns]
    twice = [contract.column(name).chinese for name in sorted({c for c in columns if c and columns.count(c) > 1})]
    if unknown or missing or twice:
        parts = [f"不认识的列：{'、'.join(unknown)}"] if unknown else []
        parts += [f"缺少的列：{'、'.join(missing)}"] if missing else []
        parts += [f"重复的列：{'、'.join(twice)}"] if twice else []
        raise Refused(
            f"表头与《{contract.chinese}》的约定不符。{'；'.join(parts)}。读到的表头是：{'、'.join(header)}。请按约定的列名重新导出，或请数据管理员登记新的列名。"
        )
    return columns, _numbered(reader, columns)


def _numbered(reader: Iterator[list[str]], columns: list[str]) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    number = 0
    try:
        for fields in reader:
            number += 1
            if len(fields) == len(columns):
                yield number, dict(zip(columns, fields, strict=True)), ""
            elif any(field.strip() for field in fields):
                yield number, None, ",".join(fields)
            else:
                number -= 1  # a blank line is no record
    except csv.Error as error:
        raise Refused(f"第 {number + 1} 条记录附近的引号不成对（{error}），后面的内容无法可靠分行。请检查导出程序对引号的处理。") from error


def _write_records(contract: Contract, delivery: Delivery, content: bytes, target: Path) -> int:
    _, rows = records(contract, decode(content))
    names = [c.name for c in contract.columns if not c.reserved]
    schema = pa.schema([(n, pa.string()) for n in names] + [("delivery_id", pa.string()), ("row_number", pa.int64()), ("raw_line", pa.string())])
    temporary = target.with_suffix(".new")
    count = 0
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        batch: list[dict[str, object]] = []
        for number, values, raw in rows:
            batch.append({**(values or {}), "delivery_id": delivery.delivery_id, "row_number": number, "raw_line": raw if values is None else None})
            count += 1
            if len(batch) == BATCH_ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch.clear()
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    if count == 0:
        temporary.unlink()
        raise Refused("文件只有表头，没有记录。如果当期确实没有数据，请在交换平台登记“零报送”。")
    temporary.replace(target)
    return count
