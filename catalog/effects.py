"""What the rows of the lake depend on: programs, lists, and of declarations all but the texts that are shown beside rows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from catalog import places
from catalog.places import REPO

DICTIONARY = Path("catalog/fields.yaml")
# Keys of the field dictionary, of a contract, of its table, and names of its properties that stand in no row.
_FIELD = {"meaning", "aliases", "element"}
_CONTRACT = {"version", "status", "description", "team", "roles", "slaProperties"}
_TABLE = {"description", "dataGranularityDescription"}
_PROPERTIES = {"englishName", "sharing", "sharingCondition", "recordSharing", "recordSharingCondition", "recordReaders"}


def build_id(*parts: str) -> str:
    """A short hash over the files below ``parts`` (paths in the repository): what a layer was built with.

    Of declarations without the texts that stand in no row: a better definition is no reason to build a lake anew. Of the field dictionary only the
    fields that any of the other parts names, and those that are worked out from them: another name for a column of a report builds no archive.
    """
    found = files(*parts)
    words = words_of(found)
    return digest(found, lambda path, content: of(path, content, words))[:16]


def words_of(paths: Iterable[Path]) -> set[bytes]:
    """The words that files other than the dictionary use."""
    return {w for p in paths if p.name != DICTIONARY.name for w in re.findall(rb"\w+", p.read_bytes())}


def files(*parts: str) -> list[Path]:
    """The files below ``parts`` (paths in the repository), but for compiled ones; of declarations, those in force."""
    roots, base = [REPO / part for part in parts], places.root()
    found = [p for root in roots for p in sorted([root] if root.is_file() else root.rglob("*")) if p.is_file() and p.suffix != ".pyc"]
    return found if base == REPO else [places.in_force(p, base) for p in found]


def digest(paths: Iterable[Path], counts: Callable[[Path, bytes], bytes] = lambda path, content: content) -> str:
    """A hash over files by name. ``counts``: what of a file (path in the repository, content) counts; all of it."""
    found, base = hashlib.sha256(), places.root()
    for path in paths:
        name = places.name(path, base)
        found.update(f"{name}\0".encode() + counts(name, path.read_bytes()) + b"\0")
    return found.hexdigest()


def of(path: Path, content: bytes, words: Collection[bytes] | None = None) -> bytes:
    """The part of a file (``path`` in the repository) that rows depend on; of what is no declaration, all of it.

    ``words``: of the dictionary, the names that count beside those that follow from them; None: all.
    """
    if path.suffix not in (".yaml", ".yml"):
        return content
    if path == DICTIONARY:
        fields = yaml.load(content, yaml.CSafeLoader)
        named = fields if words is None else _named(fields, words)
        return _canonical({name: {k: v for k, v in fields[name].items() if k not in _FIELD} for name in named})
    if path.is_relative_to("catalog/contracts"):
        return _canonical(_of_contract(yaml.load(content, yaml.CSafeLoader)))
    if path.is_relative_to("dbt/models") and not path.stem.endswith("_unit_tests"):
        return _canonical(_without_descriptions(yaml.load(content, yaml.CSafeLoader)))
    return content


def _named(fields: dict[str, Any], words: Collection[bytes]) -> list[str]:
    """The fields that are among the words, and those that are worked out from such a one."""
    named = {name for name in fields if name.encode() in words}
    while True:
        more = {
            name
            for name, field in fields.items()
            if name not in named and not named.isdisjoint([(field.get("derived") or {}).get("of"), *(field.get("party") or {}).values()])
        }
        if not more:
            return sorted(named)
        named |= more


def _of_contract(contract: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in contract.items() if k not in _CONTRACT}
    kept["customProperties"] = [p for p in contract.get("customProperties") or () if p["property"] not in _PROPERTIES]
    kept["schema"] = [{k: v for k, v in table.items() if k not in _TABLE} for table in contract.get("schema") or ()]
    return kept


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_descriptions(v) for k, v in value.items() if k != "description"}
    return [_without_descriptions(v) for v in value] if isinstance(value, list) else value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).encode()
