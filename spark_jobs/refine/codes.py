"""Code lists of catalog/codes as rows, read once."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "catalog" / "codes"


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `catalog/codes/<name>.csv`, by header. Raises FileNotFoundError."""
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
