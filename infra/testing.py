"""``./lake test``: everything that must hold, cheapest first."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from rich.console import Console

from infra.settings import REPO, load

CHECKS = (
    ("style", ["ruff", "check", "--no-cache", "."]),
    ("format", ["ruff", "format", "--no-cache", "--check", "-q", "."]),
    ("types", ["mypy", "--cache-dir", os.devnull]),
)
UNIT = ["tests/unit"]
SILENCE_SECONDS = 8
REST = ["tests/security", "tests/runtime", "tests/pipeline", "tests/browser"]
# What takes many minutes: thousands of mutants, crashes by the dozen, rebuilding from nothing.
FUZZ, MUTANTS = ["tests/unit/test_fuzz_deliveries.py"], "20000"


def run(part: str, out: Console) -> int:
    """Run the static checks and the unit tests, and for ``all`` those that need a stack; for ``faults`` only the long ones. Returns the exit code."""
    settings = load()
    begin = time.monotonic()
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    pytest = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "--durations=10"]
    if part == "faults":
        code = _shown([*pytest, "-v", "-s", *FUZZ], environment | {"LAKE_FUZZ": environment.get("LAKE_FUZZ", MUTANTS)})
        code = code or _shown([*pytest, "-v", "-m", "long", *UNIT, *REST], environment)
        return _ended(code, begin, out)
    for title, command in CHECKS:
        out.print(f"• {title}")
        argv = [settings.program("lake", command[0]), *command[1:]]
        if subprocess.run(argv, cwd=REPO, env=environment).returncode:
            out.print(f"✗ {title}: see above", style="red")
            return 1
    # Unit tests are many and quick, and share nothing between files; of the others each is worth a line.
    code = _shown([*pytest, "-q", "-n", str(os.cpu_count() or 1), "--dist", "loadfile", "-m", "not long", *UNIT], environment)
    if code == 0 and part == "all":
        code = _shown([*pytest, "-v", "-m", "not long", *REST], environment)
    return _ended(code, begin, out)


def _ended(code: int, begin: float, out: Console) -> int:
    out.print(f"{'✓ passed' if code == 0 else '✗ failed'} after {time.monotonic() - begin:.0f} s", style="green" if code == 0 else "red")
    return code


def _shown(argv: list[str], environment: dict[str, str]) -> int:
    """Run a program, passing on what it prints; when it is silent for long, say that it still runs."""
    process = subprocess.Popen(argv, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout
    begin = last = time.monotonic()

    def beat() -> None:
        nonlocal last
        while process.poll() is None:
            time.sleep(1)
            if time.monotonic() - last > SILENCE_SECONDS:
                last = time.monotonic()
                print(f"  … {last - begin:.0f} s", flush=True)

    threading.Thread(target=beat, daemon=True).start()
    for line in process.stdout:
        last = time.monotonic()
        print(line, end="", flush=True)
    return process.wait()
