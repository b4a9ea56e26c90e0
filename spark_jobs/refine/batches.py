"""The refinement as a function of Arrow batches, for Spark's mapInArrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from infra.clock import china_day
from spark_jobs.refine.columns import Value
from spark_jobs.refine.registration import INPUTS, OUTPUTS, refine_columns

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
    texts = {name: batch.column(name).to_pylist() for name in INPUTS if name in batch.schema.names}
    business_date = batch.column("business_date").cast(pa.date32())
    output = refine_columns(texts, few(batch.column("arrived_at"), china_day), few(business_date, lambda date: date))
    for row, raw_line in enumerate(batch.column("raw_line").to_pylist()):
        if raw_line is not None:
            for name, held in output.items():
                held[row] = _EMPTY[name]
    arrays = {name: pa.array(output[name], OUTPUT_SCHEMA.field(name).type) for name in OUTPUTS}
    effective = pc.coalesce(business_date, arrays["registration_date"])
    passed_on = {name: batch.column(name).cast(type_) for name, type_ in _PASSED_ON.items() if name != "effective_from"}
    return pa.RecordBatch.from_pydict(arrays | passed_on | {"effective_from": effective}, schema=OUTPUT_SCHEMA)


def few(column: pa.Array, function: Callable[[Any], Value]) -> list[Value]:
    """The function of each value of a column in which few different values stand: what is the same for all rows of a delivery."""
    encoded = column.dictionary_encode(null_encoding="encode")
    values = [function(value) for value in encoded.dictionary.to_pylist()]
    return [values[index] for index in encoded.indices.to_pylist()]
