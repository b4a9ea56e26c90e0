"""What the stewards of an installation have changed in the declarations, put upon those that are shipped (docs/decisions/0044).

The amendments of an instance are a list of edits in a file. What they make of the declarations is a copy, named after all that it is made of: whoever
reads declarations finds the copy that fits the program and the amendments, or makes it, and nobody can read one that is behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from catalog import dbt_files, editing, places
from catalog.contract import load_contracts
from catalog.editing import Edit, Refused

TOLD = "told.json"  # in a copy: what has become of each amendment
_FOLDERS = ("catalog/contracts", "catalog/released", "dbt")
KEPT = 3  # copies beside the newest: of programs that are still running
State = Literal["in_force", "shipped", "over", "left_out"]


@dataclass(frozen=True)
class Fate:
    """What has become of an amendment. ``in_force``: it holds; ``shipped``: the program says the same by now; ``over``: it holds, and what it was
    made upon has been changed by the program since; ``left_out``: it can't be applied any more. ``says``: why, for the last two (Chinese)."""

    edit: Edit
    state: State
    says: str = ""


def read(folder: Path) -> list[Edit]:
    """The amendments of an instance, in the order in which they were approved."""
    try:
        return [Edit(**entry) for entry in json.loads((folder / places.AMENDMENTS).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def write(folder: Path, edits: Iterable[Edit]) -> None:
    """Make these the amendments of an instance."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{places.AMENDMENTS}.new"
    temporary.write_text(json.dumps([asdict(e) for e in edits], ensure_ascii=False, indent=1), encoding="utf-8")
    temporary.replace(folder / places.AMENDMENTS)


def in_force(folder: Path, repo: Path) -> Path:
    """The folder with the ``catalog/`` and ``dbt/`` that the amendments make of those of ``repo``; made where it isn't there."""
    edits = read(folder)
    return prepare(folder, edits, repo) if edits else repo


def prepare(folder: Path, edits: Sequence[Edit], repo: Path = places.REPO) -> Path:
    """The folder with what ``edits`` make of the declarations of ``repo``; made in ``folder`` where it isn't there."""
    there = folder / _key(edits, repo)
    if not there.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(edits, repo, there)
    return there


def fates(folder: Path) -> list[Fate]:
    """What has become of the amendments of an instance in the declarations that are in force."""
    there = in_force(folder, places.REPO)
    if there == places.REPO:
        return []
    return [Fate(Edit(**entry["edit"]), entry["state"], entry["says"]) for entry in json.loads((there / TOLD).read_text(encoding="utf-8"))]


def try_out(proposed: Sequence[Edit], edits: Sequence[Edit], folder: Path, repo: Path = places.REPO) -> editing.Effect:
    """What would follow from changes upon ``edits``, the amendments that are approved already; what is in force stays.

    Raises:
        Refused: as `editing.try_out`.
    """
    there = prepare(folder, edits, repo) if edits else repo
    return editing.try_out(proposed, there / "catalog")


def current(kind: str, target: str, edits: Sequence[Edit], repo: Path = places.REPO) -> dict[str, str]:
    """By attribute, what a form shows of a target with ``edits`` applied. Raises Refused: there is no such thing."""
    said = {e.attribute: e.new for e in edits if (e.kind, e.target) == (kind, target)}
    return editing.all_current(kind, target, repo / "catalog") | said


def _key(edits: Sequence[Edit], repo: Path) -> str:
    """A digest of all that a copy is made of: declarations, amendments, and the programs that put them together."""
    found = hashlib.sha256(json.dumps([asdict(e) for e in edits], ensure_ascii=False, sort_keys=True).encode())
    catalog = repo / "catalog"
    for path in sorted([*catalog.glob("*.py"), catalog / editing.FIELDS, *(p for f in _FOLDERS for p in (repo / f).rglob("*") if p.is_file())]):
        found.update(f"{path.relative_to(repo)}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _make(edits: Sequence[Edit], repo: Path, there: Path) -> None:
    with _copy(edits, repo) as (made, told):
        for name, text in dbt_files.dbt_files(load_contracts(made / "catalog" / "contracts", made / "catalog" / editing.FIELDS)).items():
            (made / "dbt" / name).write_text(text, encoding="utf-8")
        (made / TOLD).write_text(json.dumps([asdict(f) for f in told], ensure_ascii=False, indent=1), encoding="utf-8")
        fresh = Path(tempfile.mkdtemp(prefix=".", suffix=".new", dir=there.parent))
        shutil.copytree(made, fresh, dirs_exist_ok=True)
        try:
            os.rename(fresh, there)
        except OSError:  # somebody else was faster, with the same
            shutil.rmtree(fresh)
    former = sorted((p for p in there.parent.iterdir() if p.is_dir() and p != there and not p.name.startswith(".")), key=lambda p: p.stat().st_mtime)
    for old in former[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _copy(edits: Sequence[Edit], repo: Path) -> Iterator[tuple[Path, list[Fate]]]:
    """A copy of the declarations with amendments, and what has become of each."""
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        home = there / "catalog"
        _take(repo, there)
        before = load_contracts(home / "contracts", home / editing.FIELDS)
        told = [_put(e, home) for e in last_said(edits)]
        try:
            editing.bring_along(home, before)
        except Refused:  # one of them does not go with the program any more: find out which
            _take(repo, there)
            told = [_put_if_sound(f, home) for f in told]
            editing.bring_along(home, before)
        yield there, told


def _take(repo: Path, there: Path) -> None:
    for part in _FOLDERS:
        shutil.rmtree(there / part, ignore_errors=True)
        shutil.copytree(repo / part, there / part)
    shutil.copyfile(repo / "catalog" / editing.FIELDS, there / "catalog" / editing.FIELDS)


def last_said(edits: Sequence[Edit]) -> list[Edit]:
    """Of each value one edit: from what the first of its edits began with to what the last made of it."""
    found: dict[tuple[str, str, str], Edit] = {}
    for e in edits:
        place = (e.kind, e.target, e.attribute)
        found[place] = replace(e, old=found[place].old) if place in found else e
    return list(found.values())


def _put(edit: Edit, home: Path) -> Fate:
    try:
        now = editing.current(edit.kind, edit.target, edit.attribute, home)
        if now == edit.new:
            return Fate(edit, "shipped")
        editing.put(replace(edit, old=now), home)
    except Refused as refused:
        return Fate(edit, "left_out", str(refused))
    return Fate(edit, "in_force") if now == edit.old else Fate(edit, "over", f"程序现在写的是“{now}”")


def _put_if_sound(fate: Fate, home: Path) -> Fate:
    """Apply an amendment again if the declarations are in order with it."""
    if fate.state not in ("in_force", "over"):
        return fate
    file = editing.file_of(fate.edit.kind, fate.edit.target, home)
    text = file.read_text(encoding="utf-8")
    _put(fate.edit, home)
    if problems := editing.problems(home):
        file.write_text(text, encoding="utf-8")
        return replace(fate, state="left_out", says="；".join(problems))
    return fate
