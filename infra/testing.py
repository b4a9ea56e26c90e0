"""``./lake test``: everything that must hold, cheapest first."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from rich.console import Console

from infra.settings import REPO, load

CHECKS = (
    ("style", ["ruff", "check", "--no-cache", "."]),
    ("format", ["ruff", "format", "--no-cache", "--check", "-q", "."]),
    ("types", ["mypy", "--cache-dir", os.devnull]),
)
UNIT = ["tests/unit"]
REST = ["tests/security", "tests/runtime", "tests/pipeline", "tests/browser"]


def run(part: str, out: Console) -> int:
    """Run the static checks and the unit tests, and for ``all`` those that need a stack. Returns the exit code."""
    settings = load()
    begin = time.monotonic()
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    for title, command in CHECKS:
        out.print(f"• {title}")
        argv = [settings.program("lake", command[0]), *command[1:]]
        if subprocess.run(argv, cwd=REPO, env=environment).returncode:
            out.print(f"✗ {title}: see above", style="red")
            return 1
    pytest = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "--durations=10"]
    code = subprocess.run([*pytest, *UNIT, *(REST if part == "all" else [])], cwd=REPO, env=environment).returncode
    out.print(f"{'✓ passed' if code == 0 else '✗ failed'} after {time.monotonic() - begin:.0f} s", style="green" if code == 0 else "red")
    return code
