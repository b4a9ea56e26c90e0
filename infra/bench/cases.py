"""What is worked on: a sandbox city of some size, made once, and cut into a first load and days."""

from __future__ import annotations

import csv
import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from infra.settings import REPO

FEED = "registration_subjects"
DAY_ROWS = 20_000
SEED = 20  # of the cities that are measured on


@dataclass(frozen=True)
class Delivery:
    """A file with what its sender states beside it."""

    path: Path
    as_of: str
    revision: int


@dataclass(frozen=True)
class Case:
    """A city of so many live subjects. ``folder``: where contenders may write."""

    subjects: int
    city: Path
    folder: Path

    @property
    def register(self) -> list[Delivery]:
        """The register as it stood before the first day: the first load."""
        return [_delivery(p) for p in sorted((self.city / "deliveries" / FEED).glob("*_全量*.csv")) if "_重复" not in p.name]

    def day(self, number: int, rows: int | None = None) -> Delivery:
        """The next ``rows`` (default: DAY_ROWS) records behind the register, one file for each ``number`` from 0; fewer where the city has no more.

        Raises:
            IndexError: the city has no such day.
        """
        rows = rows or DAY_ROWS
        path = self.folder / f"day-{number:02}-of-{rows}_2023-{number // 28 + 1:02}-{number % 28 + 1:02}.csv"
        if not path.exists():
            lines = self._later[number * rows : (number + 1) * rows]
            if not lines:
                raise IndexError(number)
            path.write_text(self._header + "".join(lines), encoding="utf-8")
            manifest = {"as_of": path.stem[-10:], "revision": 0, "simulated": True, "rows": len(lines)}
            path.with_name(f"{path.name}.manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
            for made in (path, path.with_name(f"{path.name}.manifest.json")):
                os.chmod(made, 0o644)
        return _delivery(path)

    @property
    def _header(self) -> str:
        with self.register[0].path.open(encoding="utf-8", newline="") as file:
            return file.readline()

    def share(self, days: int) -> int:
        """How many records a day has if so many days are to be had, at most DAY_ROWS."""
        return min(DAY_ROWS, len(self._later) // days)

    @functools.cached_property
    def _later(self) -> list[str]:
        """The lines of all files behind the register, in the order of their days; a line with a damaged number of cells is left out."""
        width = len(next(csv.reader([self._header])))
        lines: list[str] = []
        for path in sorted((self.city / "deliveries" / FEED).glob("*.csv")):
            if "_全量" not in path.name and "_重复" not in path.name and not path.with_name(path.stem + "_更正.csv").exists():
                with path.open(encoding="utf-8", newline="") as file:
                    lines += [line for line in file.readlines()[1:] if len(next(csv.reader([line]))) == width]
        return lines


def _delivery(path: Path) -> Delivery:
    says = json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8"))
    return Delivery(path, says["as_of"], says["revision"])


def case(subjects: int, root: Path, out: Console) -> Case:
    """The city of that size, made where it isn't there yet."""
    city = root / "cities" / f"{subjects}-{SEED}"
    if not (city / "city.json").exists():
        out.print(f"• making a city of {subjects:,} live subjects")
        subprocess.run(
            [sys.executable, "-P", "-m", "samples.city", str(city), "--subjects", str(subjects), "--seed", str(SEED)], check=True, cwd=REPO
        )
    folder = root / f"work-{subjects}"
    folder.mkdir(parents=True, exist_ok=True)
    for at in (root.parent, root, root / "cities", city, city / "deliveries", city / "deliveries" / FEED, folder):
        at.chmod(0o755)
    for path in (city / "deliveries" / FEED).iterdir():
        path.chmod(0o644)
    return Case(subjects, city, folder)
