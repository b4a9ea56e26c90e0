"""Cut a day out of a city: python -m samples.city.day CITY OUT [--rows N] [--number K]

The day after the last one, when files of all cadences fall due, as though nobody were late. The files of a monthly city hold a month: of each a
share is taken, so many records in all, in the form in which the file comes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from python_calamine import CalamineWorkbook

from samples.city import forms
from samples.city.feeds import FEEDS, Feed

MANIFEST = ".manifest.json"
BANNER, FOOTER = 3, 2  # rows of a spreadsheet above and below its records


def day(city: Path, out: Path, rows: int, number: int = 0) -> int:
    """Write ``OUT/<feed>/…`` with manifests; return how many files. ``number``: the how manieth share of the same files, from 0.

    A file that holds less is there with all that it has in the first share, and then not at all. What a feed corrects later comes wrong.
    A line with a damaged number of cells is left out.
    """
    due = _due(city)
    whole = sum(says["rows"] for _, says in due)
    made = 0
    for path, says in due:
        share = max(1, says["rows"] * rows // max(whole, rows))
        feed = FEEDS[path.parent.name]
        form = forms.form_of(feed, says["rows"])
        lines = _lines(feed, form, path)[number * share : (number + 1) * share]
        if lines:
            target = out / feed.name / f"{number:02}-of-{share}_{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = target.with_name(f".{target.name}")
            scratch.write_bytes("".join(lines).encode())
            forms.finish(feed, form, scratch, target)
            stated = {"as_of": says["as_of"], "revision": 0, "simulated": True, "rows": len(lines)}
            target.with_name(target.name + MANIFEST).write_text(json.dumps(stated), encoding="utf-8")
            made += 1
    return made


def _due(city: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Of each feed the first file that describes a period up to the last day, with what is stated beside it."""
    with (city / "schedule.csv").open(encoding="utf-8", newline="") as file:
        paths = [city / name for _, name in list(csv.reader(file))[1:]]
    stated = [(path, json.loads(path.with_name(path.name + MANIFEST).read_text("utf-8"))) for path in paths]
    last = max(says["as_of"] for _, says in stated)
    first: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path, says in stated:
        if says["as_of"] == last:
            first.setdefault(path.parent.name, (path, says))
    return list(first.values())


def _lines(feed: Feed, form: str, path: Path) -> list[str]:
    """The records of a file as the lines of which `forms.finish` makes one, without a header."""
    if form in ("xlsx", "xls"):
        return _written(CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()[BANNER:-FOOTER])
    if form == "xml":
        return _written([[cell.text or "" for cell in record] for record in ElementTree.parse(path).getroot()])  # noqa: S314 - our own file
    opened = gzip.open if form == "gz" else open
    with opened(path, "rt", encoding="gb18030" if form == "gb18030" else "utf-8", newline="") as file:
        lines = file.readlines()
    return lines if form == "json" else [line for line in lines[1:] if len(next(csv.reader([line]))) == len(feed.headers)]


def _written(rows: Iterable[Iterable[object]]) -> list[str]:
    lines = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text).writerow(row)
        lines.append(text.getvalue())
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m samples.city.day", description="从一座模拟城市截取末日次日的报送")
    parser.add_argument("city", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=20_000, help="各文件合计的记录数")
    parser.add_argument("--number", type=int, default=0, help="第几份，从 0 起")
    given = parser.parse_args()
    print(f"{day(given.city, given.out, given.rows, given.number)} 个文件")
