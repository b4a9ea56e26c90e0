"""Delivered records of any feed that its contract describes in full: typed by its columns, judged by its rules, told apart by its key."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from catalog.contract import Column, Contract
from infra.clock import china_day
from spark_jobs.refine import rules
from spark_jobs.refine.batches import UNSPLITTABLE, few
from spark_jobs.refine.columns import Texts, each, no_ids
from spark_jobs.refine.text import stated
from spark_jobs.refine.unmapped import shown
from spark_jobs.refine.values import canonical, reader

# What a refined row says beside its columns.
_SAYS: dict[str, pa.DataType] = {
    "record_id": pa.string(),
    "occurred_on": pa.date32(),
    "content_hash": pa.string(),
    **dict.fromkeys(("unmapped", "quality_marks", "reasons"), pa.list_(pa.string())),
}
_PASSED_ON: dict[str, pa.DataType] = {
    "delivery_id": pa.string(),
    "row_number": pa.int64(),
    "arrived_at": pa.timestamp("us", tz="UTC"),
    "simulated": pa.bool_(),
}
_ARROW = {
    "STRING": pa.string(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Rows:
    """Rows by column: `delivered` texts, the same tidied in `said` (None: nothing), values in `record`; the day each arrived (China);
    the columns of allowed values."""

    delivered: Mapping[str, Texts]
    said: Mapping[str, Texts]
    record: Mapping[str, Sequence[Any]]
    arrived_on: Sequence[dt.date]
    listed: Collection[str]


def own_columns(feed: Contract) -> tuple[Column, ...]:
    """The columns that a delivery brings."""
    return tuple(c for c in feed.columns if not c.reserved)


def refine_columns(feed: Contract, values: Mapping[str, Texts], arrived_on: Sequence[dt.date]) -> dict[str, list[Any]]:
    """The records that delivered texts state, by column: those of the feed, then what is said of each (`_SAYS`).

    `values`: texts by column; one that is left out counts as empty. `arrived_on`: day of arrival of each row, Asia/Shanghai.
    `record_id` is the same for all rows that agree in the feed's `recordKey`; `occurred_on` is the first day that its `recordDate` states, in
    China. A record with `reasons` is set aside. What stands in a column of allowed values and is none of them is `unmapped`, and the column
    empty. Never raises for any text.
    """
    nothing: Texts = [None] * len(arrived_on)
    columns = own_columns(feed)
    delivered = {c.name: values.get(c.name, nothing) for c in columns}
    said: dict[str, Texts] = {name: each(stated, texts) for name, texts in delivered.items()}
    record: dict[str, list[Any]] = {}
    for column in columns:
        read = reader(column)
        record[column.name] = list(said[column.name]) if read is None else each(_of_stated(read), said[column.name])
    reasons, marks = rules.Router(feed).route(Rows(delivered, said, record, arrived_on, [c.name for c in columns if c.allowed]))
    return record | {
        "record_id": _digests(feed.name, [record[name] for name in feed.record_key], 24),
        "occurred_on": [_first_day(days) for days in zip(*[record[name] for name in feed.record_date], strict=True)],
        "content_hash": _digests("", [record[c.name] for c in columns], 64),
        "unmapped": _unmapped(columns, said, record, reasons),
        "quality_marks": marks,
        "reasons": reasons,
    }


def output_schema(feed: Contract) -> pa.Schema:
    """What `refine_batches` makes of rows of the feed."""
    own = [(c.name, _ARROW[c.type] if c.type in _ARROW else _decimal(c.type)) for c in own_columns(feed)]
    return pa.schema([*own, *_SAYS.items(), *_PASSED_ON.items(), ("effective_from", pa.date32())])


def refine_batches(feed: Contract) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The refinement of batches of bronze rows of a feed, for Spark's mapInArrow.

    Input columns: those of the feed, delivery_id, row_number, raw_line, arrived_at, business_date, simulated. One row for each row.
    `effective_from`, from when on the statement holds, is the business date of the delivery, else `occurred_on` (docs/decisions/0025).
    A row with raw_line was never split: its columns are empty, its only reason is `unsplittable_line`.
    """

    def refined(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _refined(feed, batch)

    return refined


def _refined(feed: Contract, batch: pa.RecordBatch) -> pa.RecordBatch:
    schema = output_schema(feed)
    texts = {c.name: batch.column(c.name).to_pylist() for c in own_columns(feed) if c.name in batch.schema.names}
    output = refine_columns(feed, texts, few(batch.column("arrived_at"), china_day))
    for row, raw_line in enumerate(batch.column("raw_line").to_pylist()):
        if raw_line is not None:
            for name, held in output.items():
                held[row] = [] if name in ("unmapped", "quality_marks") else [UNSPLITTABLE] if name == "reasons" else None
    arrays = {name: pa.array(held, schema.field(name).type) for name, held in output.items()}
    arrays |= {name: batch.column(name).cast(type_) for name, type_ in _PASSED_ON.items()}
    arrays["effective_from"] = pc.coalesce(batch.column("business_date").cast(pa.date32()), arrays["occurred_on"])
    return pa.RecordBatch.from_pydict(arrays, schema=schema)


def _first_day(values: Iterable[dt.date | None]) -> dt.date | None:
    return next((china_day(v) if isinstance(v, dt.datetime) else v for v in values if v is not None), None)


def _decimal(spark_type: str) -> pa.DataType:
    precision, scale = spark_type.removeprefix("DECIMAL(").removesuffix(")").split(",")
    return pa.decimal128(int(precision), int(scale))


def _of_stated(read: Callable[[str], Any]) -> Callable[[str | None], Any]:
    return lambda text: None if text is None else read(text)


def _digests(first: str, columns: Sequence[Sequence[Any]], length: int) -> list[Any]:
    """Of each row the first hexadecimal digits of SHA-256 over its values as a JSON list, after ``first``; NULL is null, told from ''."""
    texts = [[_json_text(canonical(value)) for value in column] for column in columns]
    return [hashlib.sha256(f"{first}[{','.join(row)}]".encode("utf-8", "surrogatepass")).hexdigest()[:length] for row in zip(*texts, strict=True)]


def _json_text(text: str | None) -> str:
    return "null" if text is None else encode_basestring(text)


def _unmapped(
    columns: Sequence[Column], said: Mapping[str, Texts], record: Mapping[str, Sequence[Any]], reasons: Sequence[Sequence[str]]
) -> list[Sequence[str]]:
    """What each record states in columns of allowed values that is none of them, as `<column>=<text>`; nothing of one that is set aside."""
    found = no_ids(len(reasons))
    for column in columns:
        if not column.allowed:
            continue
        for row, (text, value) in enumerate(zip(said[column.name], record[column.name], strict=True)):
            if value is None and text is not None and not reasons[row]:
                found[row] = [*found[row], f"{column.name}={shown(text)}"]
    return found
