"""The SQL of the gold models as dbt last ran it, and what their columns come from.

To follow the columns of all models takes ten seconds of a core, and their SQL stays the same from day to day: what was found is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from catalog.contract import Contract
from catalog.derive import physical_columns
from catalog.site import lineage
from infra.credentials import write_private
from infra.settings import Settings

_OF_A_RUN = re.compile(r"\b(?:changed_|concerned_|touched_|exit_month_before|work\.)")  # what only a run that goes on reads (spark_jobs/dbt_runs.py)


def compiled(settings: Settings, known: Mapping[str, str]) -> dict[str, str]:
    """The SQL of the gold models as dbt last built them from nothing: what it runs day by day reads views of that run, of which nobody knows the columns.

    ``known``: what was told of them before.
    """
    try:
        manifest = json.loads((settings.folder("data/dbt") / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return dict(known)
    nodes = manifest.get("nodes", {}).values()
    last = {n["name"]: n["compiled_code"] for n in nodes if n.get("resource_type") == "model" and n.get("compiled_code")}
    return {name: known[name] if name in known and _OF_A_RUN.search(sql) else sql for name, sql in last.items()}


def columns(settings: Settings, contracts: Mapping[str, Contract]) -> lineage.Columns:
    """What the columns of typed records and of gold come from. Only models whose SQL, or what it reads, has changed are followed anew."""
    file = settings.folder("data/lineage") / "models.json"
    kept = _kept(file)
    sql = compiled(settings, {model: entry["sql"] for model, entry in kept.items()})
    shape = hashlib.sha256(repr(sorted((c.id, *((k.name, k.type) for k in physical_columns(c))) for c in contracts.values())).encode()).hexdigest()
    found: dict[str, dict[str, Any]] = {}
    for model, text in sql.items():
        digest = hashlib.sha256(f"{shape}\n{text}".encode()).hexdigest()
        old = kept.get(model, {})
        if old.get("digest") == digest:
            found[model] = old
        else:
            of_model = lineage.of_models({model: text}, contracts)
            found[model] = {
                "sql": text,
                "digest": digest,
                "columns": {c: [[s.table, s.column, s.how] for s in of] for (_, c), of in of_model.items()},
            }
    if found != kept:
        write_private(file, json.dumps(found, ensure_ascii=False))
    return lineage.of_records(contracts) | dict(_columns(found))


def _kept(file: Path) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {model: entry for model, entry in entries.items() if {"sql", "digest", "columns"} <= entry.keys()}
    except (OSError, ValueError, AttributeError):
        return {}


def _columns(found: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[tuple[str, str], tuple[lineage.Source, ...]]]:
    for model, entry in found.items():
        for column, sources in entry["columns"].items():
            yield (f"gold.{model}", column), tuple(lineage.Source(*source) for source in sources)
