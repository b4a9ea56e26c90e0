"""When marks have to be worked on, and which names of a release are written: a file that says so. No library is imported: every run looks here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from infra.ledger import TableVersion
from infra.settings import Settings

RIGHTS, MARKS, SUBJECTS = "gold_tables.trademark_rights", "gold_tables.trademark_marks", "gold_tables.archive_subject"
# What is told of marks, stage by stage, and what becomes of them.
FEEDS = ("trademark_applications", "trademark_publications", "trademark_registrations", "trademark_renewals", "trademark_outcomes")
FOLDER, CURRENT = "data/names", "current"


def folder(settings: Settings) -> Path:
    """Where names are, each state of the tables in a folder of its own."""
    return settings.folder(FOLDER)


def key(tables: Iterable[TableVersion]) -> str | None:
    """The folder of the names of a release, by its tables; None where it has no marks."""
    versions = {t.table_name: int(t.version) for t in tables}
    return f"{versions[RIGHTS]}-{versions[MARKS]}" if {RIGHTS, MARKS, SUBJECTS} <= versions.keys() else None


def read_current(where: Path) -> tuple[str, str]:
    """(release, folder) of the names that are asked. Raises FileNotFoundError where no release has names, ValueError where the file says something else."""
    release, folder_ = (where / CURRENT).read_text(encoding="utf-8").split()
    return release, folder_


def says(where: Path, release: str | None, wanted: str | None) -> bool:
    """Whether the names of a release are those that are asked; of one without marks, whether there are none."""
    try:
        told = read_current(where)
    except FileNotFoundError:
        return release is None or wanted is None
    except ValueError:
        return False
    return release is not None and told == (release, wanted)
