"""What is worked on: a sandbox city of some size, made once, and cut into a first load and days, of the register or of all feeds."""

from __future__ import annotations

import csv
import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from infra.settings import REPO
from spark_jobs.ingest.land import MANIFEST

FEED = "registration_subjects"
DAY_ROWS = 20_000
SEED = 20  # of the cities that are measured on


@dataclass(frozen=True)
class Delivery:
    """A file with what its sender states beside it."""

    path: Path
    as_of: str
    revision: int
    feed: str = FEED
    rows: int = 0


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
            path.with_name(path.name + MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
            for made in (path, path.with_name(path.name + MANIFEST)):
                made.chmod(0o644)
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

    # ---- all feeds ----

    @property
    def sent(self) -> list[Delivery]:
        """What all departments had sent by the city's last day, late or twice, wrong and corrected, in that order: the first load of all feeds."""
        return [delivery for day, delivery in self._schedule if day <= self._last_day]

    def day_of_all(self, number: int) -> list[Delivery]:
        """What all departments send for the period that ends on the last day, as though nobody were late: DAY_ROWS records of it in all.

        A file has the form in which it comes, and of its records the next share for each ``number`` from 0; all of them where the city has no
        more than DAY_ROWS (samples/city/day.py).

        Raises:
            IndexError: the city has no such day.
        """
        out = self.folder / "days" / f"{number:02}"
        if not out.exists():
            made = out.with_name(f".{out.name}")
            _make("samples.city.day", self.city, made, "--rows", str(DAY_ROWS), "--number", str(number))
            made.mkdir(parents=True, exist_ok=True)  # there was nothing left to make
            made.rename(out)
            _open(out.parent)
        if not (found := [_delivery(p, p.parent.name) for p in sorted(out.glob("*/*")) if not p.name.endswith(MANIFEST)]):
            raise IndexError(number)
        return found

    @functools.cached_property
    def _schedule(self) -> list[tuple[str, Delivery]]:
        with (self.city / "schedule.csv").open(encoding="utf-8", newline="") as file:
            plan = [(day, self.city / name) for day, name in list(csv.reader(file))[1:]]
        return [(day, _delivery(path, path.parent.name)) for day, path in plan]

    @property
    def _last_day(self) -> str:
        return max(delivery.as_of for _, delivery in self._schedule)


def _delivery(path: Path, feed: str = FEED) -> Delivery:
    says = json.loads(path.with_name(path.name + MANIFEST).read_text("utf-8"))
    return Delivery(path, says["as_of"], says["revision"], feed, says.get("rows", 0))


def case(subjects: int, root: Path, out: Console, cadence: str = "real") -> Case:
    """The city of that size, made where it isn't there yet. ``cadence``: `monthly` puts the days of a month into one file."""
    kind = "" if cadence == "real" else f"-{cadence}"
    city = root / "cities" / f"{subjects}-{SEED}{kind}"
    if not (city / "city.json").exists():
        out.print(f"• making a city of {subjects:,} live subjects")
        _make("samples.city", city, "--subjects", str(subjects), "--seed", str(SEED), "--cadence", cadence)
    folder = root / f"work-{subjects}{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    for at in (root.parent, root, root / "cities", city, folder):
        at.chmod(0o755)
    _open(city / "deliveries")
    return Case(subjects, city, folder)


def without_city(subjects: int, root: Path) -> Case:
    """For work on something else than a city."""
    folder = root / f"work-{subjects}"
    folder.mkdir(parents=True, exist_ok=True)
    return Case(subjects, root, folder)


def _make(module: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-P", "-m", module, *map(str, arguments)], check=True, cwd=REPO)


def _open(folder: Path) -> None:
    """Let others read what lies in a folder."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
