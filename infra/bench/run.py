"""Run workloads at scales, contenders taking turns, and write down what was measured."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import pkgutil
import platform
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from infra.bench import cases, report, workloads
from infra.bench.contenders import Contender
from infra.bench.measure import Measured
from infra.bench.report import Row
from infra.problems import Problem
from infra.settings import REPO

ROOT = REPO / ".lake" / "bench"


def names() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(workloads.__path__))


def run(chosen: list[str], scales: list[int], rounds: int | None, only: list[str], out: Console) -> Path:
    """Measure, and return the folder of the results: ``results.json``, ``results.md``, ``results.svg``.

    Raises:
        Problem: a workload is unknown, or contenders come to different results.
    """
    unknown = set(chosen) - set(names())
    if unknown:
        raise Problem(f"there is no workload {', '.join(sorted(unknown))}", f"there are {', '.join(names())}", "choose some of them, or none for all")
    rows: list[Row] = []
    notes: list[str] = []  # what a workload has to say beside its times
    for subjects in scales:
        for name in chosen or names():
            module = importlib.import_module(f"infra.bench.workloads.{name}")
            city = getattr(module, "CITY", True)
            case = cases.case(subjects, ROOT, out, getattr(module, "CADENCE", "real")) if city else cases.without_city(subjects, ROOT)
            contenders = [c for c in module.contenders(case) if not only or c.name in only]
            out.print(f"• {module.SAYS}, {subjects:,} live subjects: {', '.join(c.name for c in contenders)}")
            rows += _turns(name, subjects, contenders, rounds or module.ROUNDS, out)
            if hasattr(module, "notes"):
                notes.append(module.notes(case, [c.name for c in contenders]))
    folder = ROOT / "results" / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    machine = f"{os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    (folder / "results.json").write_text(json.dumps({"machine": machine, "rows": [asdict(r) for r in rows]}, indent=1))
    said = "\n".join([report.markdown(rows, machine), *notes])
    (folder / "results.md").write_text(said)
    (folder / "results.svg").write_text(report.picture(rows))
    out.print(said, markup=False)
    if not all(r.agrees for r in rows if r.outcome):
        raise Problem(
            "contenders come to different results", "see the column `agrees`", f"compare what they left in {ROOT}; no time of that workload counts"
        )
    return folder


def _turns(workload: str, subjects: int, contenders: list[Contender], rounds: int, out: Console) -> list[Row]:
    """Each contender once a round, in turning order, so that what the machine does meanwhile falls on all of them."""
    measured: dict[str, list[Measured]] = {c.name: [] for c in contenders}
    outcomes = {}
    agrees = dict.fromkeys(measured, True)
    for number in range(rounds):
        turned = contenders[number % len(contenders) :] + contenders[: number % len(contenders)]
        for contender in turned:
            contender.prepare(number)
            measured[contender.name].append(contender.work(number))
            outcomes[contender.name] = contender.outcome(number)
            out.print(f"  {contender.name}: {measured[contender.name][-1].seconds:.1f} s")
        for name in measured:
            agrees[name] &= outcomes[name] == outcomes[contenders[0].name]
    return [Row(workload, subjects, name, times, outcomes[name], agrees[name]) for name, times in measured.items()]
