"""Columns of texts: what the steps of refinement work on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Texts = Sequence[str | None]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def no_ids(rows: int) -> list[Sequence[str]]:
    """An empty list for each row; all rows share one, for most rows keep it: set another in its place, never add to it."""
    nothing: Sequence[str] = []
    return [nothing] * rows


def each(function: Callable[[Key], Value], column: Sequence[Key]) -> list[Value]:
    """`[function(value) for value in column]` of a pure function that is asked once for equal values; they must be alike to it."""
    known = {value: function(value) for value in set(column)}
    return [known[value] for value in column]
