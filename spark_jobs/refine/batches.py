"""The refinement as a function of Arrow batches, for Spark's mapInArrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pyarrow as pa

from spark_jobs.refine.registration import INPUTS, OUTPUTS, refine

CHINA = ZoneInfo("Asia/Shanghai")
UNSPLITTABLE = "unsplittable_line"  # the record could not be split into columns; the text is in raw_line

_TYPES: dict[str, pa.DataType] = {
    "registration_date": pa.date32(),
    "registered_capital": pa.decimal128(20, 2),
    "capital_amount": pa.decimal128(24, 6),
    "capital_rate": pa.decimal128(14, 6),
    "capital_rate_year": pa.int32(),
    "scope_truncated": pa.bool_(),
    **dict.fromkeys(("corrections", "crosswalks", "ended", "unmapped", "quality_marks"), pa.list_(pa.string())),
    "reasons": pa.list_(pa.string()),
}
_PASSED_ON: dict[str, pa.DataType] = {
    "delivery_id": pa.string(),
    "row_number": pa.int64(),
    "raw_line": pa.string(),
    "arrived_at": pa.timestamp("us", tz="UTC"),
    "effective_from": pa.date32(),
    "simulated": pa.bool_(),
}
OUTPUT_SCHEMA = pa.schema([(name, _TYPES.get(name, pa.string())) for name in OUTPUTS] + list(_PASSED_ON.items()))
_EMPTY: dict[str, object] = {name: [] if name in _TYPES and pa.types.is_list(_TYPES[name]) else None for name in OUTPUTS} | {
    "reasons": [UNSPLITTABLE]
}


def spark_ddl(schema: pa.Schema = OUTPUT_SCHEMA) -> str:
    """The schema as a Spark DDL string. Raises KeyError for a type that is not used here."""
    fixed = {
        pa.string(): "STRING",
        pa.int32(): "INT",
        pa.int64(): "BIGINT",
        pa.bool_(): "BOOLEAN",
        pa.date32(): "DATE",
        pa.timestamp("us", tz="UTC"): "TIMESTAMP",
        pa.list_(pa.string()): "ARRAY<STRING>",
    }
    return ", ".join(f"{f.name} {f'DECIMAL({f.type.precision},{f.type.scale})' if pa.types.is_decimal(f.type) else fixed[f.type]}" for f in schema)


def refine_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Refine batches of bronze rows.

    Input columns: those of the feed that are there (INPUTS), delivery_id, row_number, raw_line, arrived_at, business_date, simulated.
    Output: OUTPUT_SCHEMA, one row for each row. `effective_from` is the business date of the delivery, else the registration date (0010).
    A row with raw_line was never split: its typed columns are null, its only reason is `unsplittable_line`.
    """
    for batch in batches:
        yield _refined(batch)


def _refined(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
    inputs = [name for name in INPUTS if name in columns]
    texts = list(zip(*(columns[name] for name in inputs), strict=True)) or [()] * batch.num_rows
    days: dict[dt.datetime, dt.date] = {}
    output: dict[str, list[object]] = {name: [] for name in OUTPUTS}
    effective: list[object] = []
    for values, arrived_at, raw_line, business_date in zip(texts, columns["arrived_at"], columns["raw_line"], columns["business_date"], strict=True):
        if raw_line is None:
            day = days.get(arrived_at)
            if day is None:
                day = days[arrived_at] = (arrived_at if arrived_at.tzinfo else arrived_at.replace(tzinfo=dt.UTC)).astimezone(CHINA).date()
            record = refine(dict(zip(inputs, values, strict=True)), day, business_date)
        else:
            record = _EMPTY
        for name, held in output.items():
            held.append(record[name])
        effective.append(business_date if business_date is not None else record["registration_date"])
    arrays = [pa.array(output[name], OUTPUT_SCHEMA.field(name).type) for name in OUTPUTS]
    for name, type_ in _PASSED_ON.items():
        arrays.append(pa.array(effective, type_) if name == "effective_from" else batch.column(name).cast(type_))
    return pa.RecordBatch.from_arrays(arrays, schema=OUTPUT_SCHEMA)
