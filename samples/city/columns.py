"""Columns of text, built all rows at once with Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Column: TypeAlias = Any  # an Arrow array of texts
Numbers: TypeAlias = np.ndarray


def pick(words: Sequence[str | None] | pa.Array, which: Numbers) -> Column:
    """The words at places."""
    found = words if isinstance(words, pa.Array) else pa.array(words, pa.string())
    return found.take(pa.array(which))


def join(*parts: Column | str) -> Column:
    """Texts put together row by row."""
    return pc.binary_join_element_wise(*[pa.scalar(p, pa.string()) if isinstance(p, str) else p for p in parts], "")


def dates(days: Numbers, never: int | None = None) -> Column:
    """Days since 1970-01-01 as 2024-03-15; ``never`` as an empty text."""
    texts = pa.array(days.astype("int32"), pa.int32()).cast(pa.date32()).cast(pa.string())
    return texts if never is None else where(days == never, "", texts)


def numbers(values: Numbers, decimals: int = 0) -> Column:
    """Numbers as text: whole, or with so many digits behind the point, of values in units of the last digit."""
    if decimals == 0:
        return pa.array(values.astype("int64")).cast(pa.string())
    unit = 10**decimals
    whole, rest = np.divmod(np.abs(values.astype("int64")), unit)
    digits = pc.utf8_lpad(pa.array(rest).cast(pa.string()), decimals, "0")
    return join(where(values < 0, "-", ""), pa.array(whole).cast(pa.string()), ".", digits)


def where(condition: Numbers, yes: Column | str, no: Column | str) -> Column:
    return pc.if_else(pa.array(condition), _text(yes), _text(no))


def repeat(text: str, rows: int) -> Column:
    return pa.repeat(pa.scalar(text, pa.string()), rows)


def choose(generator: np.random.Generator, rows: int, shares: Sequence[float] | Numbers) -> Numbers:
    """Places drawn with shares (they need not add up to 1)."""
    ends = np.cumsum(np.asarray(shares, dtype=float))
    return np.minimum(np.searchsorted(ends, generator.random(rows) * ends[-1], side="right"), len(ends) - 1)


def _text(value: Any) -> Any:
    return pa.scalar(value, pa.string()) if isinstance(value, str) else value
