"""What the peers share: what was delivered in which form, by which names, and where things lie."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from catalog.contract import Contract, load_contracts
from catalog.derive import header_bindings
from infra.clock import china_day
from spark_jobs.ingest.land import records
from spark_jobs.routing import FEW

REGISTER, CHANGES = "registration_subjects", "registration_changes"
# What happens to lie ahead of the day of arrival is judged by it: today's, as for the lake.
ARRIVED = f"{china_day(dt.datetime.now(dt.UTC))} 00:00:00+08"
# What is compared: the columns of the archive that say what a subject is, whoever has built it.
COLUMNS = ("subject_id", "subject_name", "credit_code", "registration_date", "registered_capital", "district_code", "industry_section", "fact_count", "conflict_count")  # fmt: skip
CODES = Path(__file__).resolve().parents[3] / "catalog" / "codes"
GB18030 = ("annual_reports",)  # feeds whose CSV is not in UTF-8
SHEETS = (".xlsx", ".xls", ".xml")


@dataclass(frozen=True)
class Sent:
    """A delivered file: its place among all, what its sender states beside it."""

    identity: str
    feed: str
    path: Path
    as_of: str
    revision: int
    rows: int


@dataclass(frozen=True)
class Lot:
    """Files of one feed that can be read together. ``form``: csv, gb18030, json or sheet (spreadsheets and XML); ``headers`` as they are delivered."""

    form: str
    headers: tuple[str, ...]
    sent: list[Sent]


def contract(feed: str) -> Contract:
    return load_contracts()[f"bronze.{feed}"]


def deliveries(listed: Path, feed: str = REGISTER) -> list[Sent]:
    return [sent for sent in _all(listed) if sent.feed == feed]


def feeds(listed: Path) -> list[str]:
    return sorted({sent.feed for sent in _all(listed)})


def others(listed: Path) -> list[str]:
    """The feeds whose records are built by their contract alone."""
    return [feed for feed in feeds(listed) if feed != REGISTER]


def _all(listed: Path) -> list[Sent]:
    stated = enumerate(json.loads(listed.read_text()))
    return [Sent(f"D{n:05}", d["feed"], Path(d["path"]), d["as_of"], d["revision"], d["rows"]) for n, d in stated]


def lots(sent: Iterable[Sent]) -> list[Lot]:
    found: dict[tuple[str, tuple[str, ...]], list[Sent]] = {}
    for one in sent:
        form = _form(one)
        found.setdefault((form, _headers(one, form)), []).append(one)
    return [Lot(form, names, several) for (form, names), several in found.items()]


def _form(sent: Sent) -> str:
    if sent.path.suffix in SHEETS:
        return "sheet"
    return "json" if sent.path.suffix == ".json" else "gb18030" if sent.feed in GB18030 else "csv"


def _headers(sent: Sent, form: str) -> tuple[str, ...]:
    if form == "sheet":
        return ()
    opened = gzip.open if sent.path.suffix == ".gz" else open
    with opened(sent.path, "rt", encoding="gb18030" if form == "gb18030" else "utf-8", newline="") as file:
        return tuple(json.loads(file.readline())) if form == "json" else tuple(next(csv.reader(file)))


def columns(feed: str, headers: Iterable[str]) -> list[str]:
    """Headers by the contract's names."""
    bindings = header_bindings(contract(feed))
    return [bindings[h] for h in headers]


def sheets(lot: Lot) -> pa.Table:
    """The records of spreadsheets and XML by the contract's names, with the identity of their delivery, as the lake's own reader splits them."""
    feed = contract(lot.sent[0].feed)
    names = [c.name for c in feed.columns if not c.reserved]
    rows = [{**values, "delivery_id": s.identity} for s in lot.sent for _, values, _ in records(feed, s.path, s.path.parent) if values]
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in (*names, "delivery_id")]))


def held(feed: str, sent: Iterable[Sent], good: Mapping[str, int]) -> list[str]:
    """The deliveries of which too many records are bad: by how many were stated and how many are ``good``. The lake keeps them back whole."""
    budget = contract(feed).quarantine_budget
    bad = {s.identity: s.rows - good.get(s.identity, 0) for s in sent}
    return [s.identity for s in sent if budget is not None and bad[s.identity] > FEW and bad[s.identity] > s.rows * budget]


def applied(source: str) -> str:
    """A query, the same in all engines, of what stands in the records of a feed: whichever copy carries it."""
    what = "record_id, effective_from, content_hash, is_conflict"
    return f"SELECT DISTINCT {what} FROM {source} WHERE fact_outcome = 'applied' ORDER BY record_id, effective_from"  # noqa: S608 - our own names


def main(stages: Mapping[str, Callable[[Path, Path], None]]) -> None:
    stage, folder, listed = sys.argv[1:4]
    stages[stage](Path(folder), Path(listed))


def export(folder: Path, name: str, rows: Iterator[tuple[object, ...]]) -> None:
    """What is compared as CSV, in the order of its ids."""
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(["" if v is None else v for v in row] for row in rows)
