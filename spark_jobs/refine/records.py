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

from catalog.contract import CHANGED_AT, RECORD_STATE, Column, Contract
from infra.clock import china_day
from spark_jobs.refine import rules
from spark_jobs.refine.batches import UNSPLITTABLE, few
from spark_jobs.refine.codes import UNKNOWN, Reading
from spark_jobs.refine.columns import Texts, each, no_ids
from spark_jobs.refine.editions import readings
from spark_jobs.refine.parties import party
from spark_jobs.refine.text import stated
from spark_jobs.refine.unmapped import shown
from spark_jobs.refine.values import canonical, reader

# What a refined row says beside its columns.
_SAYS: dict[str, pa.DataType] = {
    "record_id": pa.string(),
    "fact_state": pa.string(),
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
    China. A record that its source has withdrawn (`fact_state`) may have nothing but its key and the time of that: it is not judged by rules about
    other columns, and that time dates it. A record with `reasons` is set aside. What stands in a column of allowed values and is none of them is `unmapped`, and the column
    empty; so is what a code list doesn't know on `occurred_on`, and the columns derived by it say so. No digest covers these: a new edition
    of a list changes no record. Never raises for any text.
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
    states = ["active" if state is None else state for state in record.get(RECORD_STATE, nothing)]
    dates = [*feed.record_date]
    if CHANGED_AT in record:
        dates.append(CHANGED_AT)
        _judge_by_key_alone(feed, states, record[CHANGED_AT], reasons, marks)
    occurred_on = [_first_day(days) for days in zip(*[record[name] for name in dates], strict=True)]
    listed = _listed(feed, said, occurred_on)
    derived = _derived(feed, listed)
    return {
        **record,
        **derived,
        **_parties(feed, {**record, **derived}, nothing),
        "record_id": _digests(feed.name, [record[name] for name in feed.record_key], 24),
        "fact_state": states,
        "occurred_on": occurred_on,
        # When a row was touched is no content: touched and left as it was, it says nothing new.
        "content_hash": _digests("", [record[c.name] for c in columns if c.name != CHANGED_AT], 64),
        "unmapped": _unmapped(columns, said, record, listed, reasons),
        "quality_marks": marks,
        "reasons": reasons,
    }


def _judge_by_key_alone(
    feed: Contract, states: Sequence[str], changed: Sequence[Any], reasons: list[Sequence[str]], marks: list[Sequence[str]]
) -> None:
    """Drop what rules about other columns than the key say of records that their source says at some time to have withdrawn."""
    about_key = {rule.id for rule in feed.rules if set(rule.columns) <= {*feed.record_key, CHANGED_AT, RECORD_STATE}}
    for row, (state, moment) in enumerate(zip(states, changed, strict=True)):
        if state == "withdrawn" and moment is not None:
            reasons[row], marks[row] = ([i for i in ids if i in about_key] for ids in (reasons[row], marks[row]))


def output_schema(feed: Contract) -> pa.Schema:
    """What `refine_batches` makes of rows of the feed."""
    own = [(c.name, _ARROW[c.type] if c.type in _ARROW else _decimal(c.type)) for c in (*own_columns(feed), *feed.derived_columns)]
    return pa.schema([*own, *_SAYS.items(), *_PASSED_ON.items(), ("effective_from", pa.date32())])


def refine_batches(feed: Contract) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The refinement of batches of bronze rows of a feed, for Spark's mapInArrow.

    Input columns: those of the feed, delivery_id, row_number, raw_line, arrived_at, business_date, simulated. One row for each row.
    `effective_from`, from when on the statement holds, is the day on which its source changed the row, else the business date of the delivery,
    else `occurred_on` (docs/decisions/0025, 0026).
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
    changed = pa.array([_first_day([moment]) for moment in output.get(CHANGED_AT, ())] or [None] * batch.num_rows, pa.date32())
    arrays["effective_from"] = pc.coalesce(changed, batch.column("business_date").cast(pa.date32()), arrays["occurred_on"])
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


def _listed(feed: Contract, said: Mapping[str, Texts], days: Sequence[dt.date | None]) -> dict[str, list[Reading]]:
    """What a code list says to the texts of a column on the day of each record, by column."""
    lists = {c.derived.of: c.derived.code_list for c in feed.derived_columns if c.derived is not None}
    return {name: readings(code_list, said[name], days) for name, code_list in lists.items()}


def _derived(feed: Contract, listed: Mapping[str, Sequence[Reading]]) -> dict[str, list[Any]]:
    return {c.name: [getattr(reading, c.derived.gives) for reading in listed[c.derived.of]] for c in feed.derived_columns if c.derived is not None}


def _parties(feed: Contract, record: Mapping[str, Sequence[Any]], nothing: Texts) -> dict[str, list[Any]]:
    """Whom each record means, by the keys of parties. A name that is personal data says nothing."""
    found: dict[str, list[Any]] = {}
    for column in feed.derived_columns:
        if column.party is not None:
            named = party_columns(feed, column)
            columns = [record[name] if name is not None else nothing for name in named]
            meant = each(lambda said: party(*said), list(zip(*columns, strict=True)))
            found[column.name] = [None if one is None else one.key for one in meant]
    return found


def party_columns(feed: Contract, column: Column) -> tuple[str | None, str | None, str | None]:
    """The columns of code, name and district by which the records of a feed say who is meant, None for one that they lack."""
    assert column.party is not None
    there = {c.name: c for c in (*own_columns(feed), *feed.derived_columns)}
    code, name, district = (of if of in there else None for of in (column.party.code, column.party.name, column.party.district))
    return code, None if name is None or there[name].personal else name, district


def _unmapped(
    columns: Sequence[Column],
    said: Mapping[str, Texts],
    record: Mapping[str, Sequence[Any]],
    listed: Mapping[str, Sequence[Reading]],
    reasons: Sequence[Sequence[str]],
) -> list[Sequence[str]]:
    """What each record states that is none of a column's allowed values or that its code list doesn't know, as `<column>=<text>`; nothing of
    one that is set aside."""
    found = no_ids(len(reasons))
    for column in columns:
        if column.allowed:
            unknown = [value is None and text is not None for text, value in zip(said[column.name], record[column.name], strict=True)]
        elif column.name in listed:
            unknown = [reading.basis == UNKNOWN for reading in listed[column.name]]
        else:
            continue
        for row, text in enumerate(said[column.name]):
            if unknown[row] and text is not None and not reasons[row]:
                found[row] = [*found[row], f"{column.name}={shown(text)}"]
    return found
