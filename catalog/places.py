"""Where declarations are read: in the repository, or as an installation's stewards have amended them (docs/decisions/0044)."""

from __future__ import annotations

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
# Names the folder of an instance's amendments. Without it declarations are those of the repository: for tests, and for who works on them.
VARIABLE = "LAKE_DECLARATIONS"
AMENDMENTS = "amendments.json"  # in that folder


def root() -> Path:
    """The folder with the ``catalog/`` and ``dbt/`` that are in force: the repository, or a copy of both with the amendments in it."""
    folder = os.environ.get(VARIABLE)
    if not folder or not (Path(folder) / AMENDMENTS).exists():
        return REPO
    from catalog import amendments  # which reads contracts itself

    return amendments.in_force(Path(folder), REPO)


def in_force(path: Path, base: Path | None = None) -> Path:
    """The file that counts for a file of the repository. ``base``: `root`, by whoever has asked already."""
    there = (base or root()) / path.relative_to(REPO)
    return there if there.exists() else path


def name(path: Path, base: Path) -> Path:
    """What a file is called in the repository, wherever it lies. ``base``: `root`."""
    at = next((p for p in (base, REPO) if path.is_relative_to(p)), None)  # the copies lie below the repository, too
    return path if at is None else path.relative_to(at)
