"""Code lists of catalog/codes as rows, read once; and what a list says to a text."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

UNKNOWN = "unknown"  # the basis of a text that the list doesn't have
FOLDER = Path(__file__).resolve().parents[2] / "catalog" / "codes"


class Reading(NamedTuple):
    """What a list says to a text of a day: the comparable code, None where not exactly one is meant; how it was found; the edition of that day.

    `basis` is one of the allowed values that the dictionary states for the list, `UNKNOWN` in each; `edition` is a year, None for a list without.
    """

    code: str | None
    basis: str | None
    edition: int | None = None


NOTHING = Reading(None, None)  # nothing is stated


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `catalog/codes/<name>.csv`, by header. Raises FileNotFoundError."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
