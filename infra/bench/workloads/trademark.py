"""Candidates for marks that come close to a name: the index beside TF-IDF neighbours and all pairs; time beside the recall that it buys."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys

from infra.bench.cases import Case
from infra.bench.contenders import Contender
from infra.bench.measure import Measured, measuring, tree
from infra.bench.trademark import METHODS
from infra.bench.trademark_truth import BEYOND, STYLES
from infra.settings import REPO

SAYS = "names that come close to a mark"
ROUNDS = 1
CITY = False  # names are made up; live subjects are how many
_MOST = 500_000  # names with which those that compare all pairs end within minutes


def contenders(case: Case) -> list[Contender]:
    return [_method(case, name) for name in METHODS if name == "keys" or case.subjects <= _MOST]


def _method(case: Case, name: str) -> Contender:
    folder = case.folder / f"trademark-{name}"

    def prepare(number: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def work(number: int) -> Measured:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "infra.bench.trademark", name, str(case.subjects), str(folder)], cwd=REPO, env=os.environ
        )
        with measuring(functools.partial(tree, process.pid)) as measured:
            process.wait()
        if process.returncode:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        found = json.loads((folder / "found.json").read_text())
        measured.stages = {"build": found["build"], "ask": found["ask"]}
        measured.seconds = found["build"] + found["ask"]  # without making the names
        return measured

    return Contender(name, prepare, work)


def notes(case: Case, ran: list[str]) -> str:
    """Recall by style and time of every contender that has run now, and precision of the similarity alone."""
    found = {name: json.loads((case.folder / f"trademark-{name}" / "found.json").read_text()) for name in ran}
    lines = [f"Recall over {case.subjects:,} names ({', '.join(sorted(BEYOND))} not in the overall recall):", ""]
    lines += [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for label, key in (("build, s", "build"), ("ask, s", "ask"), ("candidates for a mark", "candidates")):
        lines.append(f"| {label} | {' | '.join(f'{f[key]:,.1f}' for f in found.values())} |")
    lines.append(f"| overall | {' | '.join(_share([f['styles'][s] for s in STYLES if s not in BEYOND]) for f in found.values())} |")
    for style in STYLES:
        lines.append(
            f"| {style} ({next(iter(found.values()))['styles'][style][0]}) | {' | '.join(_share([f['styles'][style]]) for f in found.values())} |"
        )
    folder = case.folder / "trademark-precision"
    folder.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-P", "-m", "infra.bench.trademark", "precision", str(case.subjects), str(folder)], check=True, cwd=REPO)
    shares = json.loads((folder / "found.json").read_text())
    lines += ["", "Precision of the similarity alone: " + ", ".join(f"{k} {share:.2f}" for k, share in shares.items()), ""]
    return "\n".join(lines)


def _share(counted: list[tuple[int, int]]) -> str:
    return f"{sum(hit for _, hit in counted) / max(1, sum(number for number, _ in counted)):.3f}"
