"""The dbt properties that are committed because dbt reads files: `python -m catalog.dbt_files` writes them from the contracts.

tests/unit/test_derive_dbt.py fails when a file differs from its contract, is missing, or has no contract.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from catalog.contract import Contract, load_contracts
from catalog.derive import dbt_model_yml, dbt_sources, physical_columns, records_of, stated_groups, timeline_feeds
from catalog.properties import Kind

DBT = Path(__file__).resolve().parent.parent / "dbt"
HEADING = "# Generated from catalog/contracts by `python -m catalog.dbt_files`; change the contract, not this file.\n"


def dbt_files(contracts: Mapping[str, Contract]) -> dict[str, str]:
    """Path below dbt/ → text of every generated file."""
    files = {"models/sources.yml": dbt_sources(contracts.values())}
    for contract in contracts.values():
        if contract.kind is Kind.MART:
            files[f"models/gold/{contract.name}.yml"] = dbt_model_yml(contract)
    texts = {path: HEADING + _text(content) for path, content in files.items()}
    return texts | {f"macros/{name}.sql": _macro(name, value) for name, value in macro_values(contracts).items()}


def macro_values(contracts: Mapping[str, Contract]) -> dict[str, Any]:
    """What the generated macros return, by name."""
    stated = [group for contract in contracts.values() for group in stated_groups(contract)]
    # What the events are made of is worked out before dbt runs (spark_jobs/dbt_runs.py); its models know them by name and number.
    feeds = [{"name": f["name"], "events": [{k: e[k] for k in ("number", "event")} for e in f["events"]]} for f in timeline_feeds(contracts)]
    themes = {contract.name: list(contract.tells_of) for contract in contracts.values() if contract.tells_of}
    # Feeds whose records a model reads by itself; the timeline gets its statements ready-made.
    read = {
        source.removeprefix("silver.")
        for contract in contracts.values()
        if contract.kind is Kind.MART and not contract.events
        for source in contract.inputs
    }
    typed = {name for name in read if (feed := contracts.get(f"bronze.{name}")) is not None and feed.record_key}
    records = {name: {c.name: c.type.lower() for c in physical_columns(records_of(contracts[f"bronze.{name}"]))} for name in sorted(typed)}
    return {"timeline_feeds": feeds, "stated_groups": stated, "theme_feeds": themes, "record_types": records}


def _macro(name: str, value: Any) -> str:
    """A macro that returns a value; JSON's spelling of texts and lists is Jinja's, too."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return f"{{{HEADING.strip()} #}}\n{{% macro {name}() %}}{{{{ return({text}) }}}}{{% endmacro %}}\n"


def _text(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=10_000)


def main() -> None:
    for path, text in dbt_files(load_contracts()).items():
        target = DBT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"dbt/{path}")


if __name__ == "__main__":
    main()
