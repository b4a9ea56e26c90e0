"""Columns of texts: what the steps of refinement work on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Texts = Sequence[str | None]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def each(function: Callable[[Key], Value], column: Sequence[Key]) -> list[Value]:
    """`[function(value) for value in column]` of a pure function that is asked once for equal values; they must be alike to it."""
    known = {value: function(value) for value in set(column)}
    return [known[value] for value in column]
