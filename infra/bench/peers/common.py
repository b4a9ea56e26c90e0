"""What the peers share: the headers of the feed, and where things lie."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from catalog.contract import load_contracts
from catalog.derive import header_bindings

ARRIVED = "2026-01-01 00:00:00+00"
# What is compared: the columns of the archive that say what a subject is, whoever has built it.
COLUMNS = ("subject_id", "subject_name", "credit_code", "registration_date", "registered_capital", "district_code", "industry_section", "fact_count", "conflict_count")  # fmt: skip
CODES = Path(__file__).resolve().parents[3] / "catalog" / "codes"


def headers(path: Path) -> list[str]:
    """The columns of a file, by the contract's names."""
    bindings = header_bindings(load_contracts()["bronze.registration_subjects"])
    with path.open(encoding="utf-8", newline="") as file:
        return [bindings[h] for h in next(csv.reader(file))]


def deliveries(listed: Path) -> list[tuple[Path, str, int]]:
    return [(Path(p), as_of, revision) for p, as_of, revision in json.loads(listed.read_text())]


def main(stages: Mapping[str, Callable[[Path, Path], None]]) -> None:
    stage, folder, listed = sys.argv[1:4]
    stages[stage](Path(folder), Path(listed))


def export(folder: Path, rows: Iterator[tuple[object, ...]]) -> None:
    """The archive as CSV, in the order of its ids."""
    with (folder / "archive.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(["" if v is None else v for v in row] for row in rows)
