"""The dbt properties that are committed because dbt reads files: `python -m catalog.dbt_files` writes them from the contracts.

tests/unit/test_derive_dbt.py fails when a file differs from its contract, is missing, or has no contract.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from catalog.contract import Contract, load_contracts
from catalog.derive import dbt_model_yml, dbt_sources

DBT = Path(__file__).resolve().parent.parent / "dbt"
HEADING = "# Generated from catalog/contracts by `python -m catalog.dbt_files`; change the contract, not this file.\n"


def dbt_files(contracts: Mapping[str, Contract]) -> dict[str, str]:
    """Path below dbt/ → text of every generated file."""
    files = {"models/sources.yml": dbt_sources(contracts.values())}
    for contract in contracts.values():
        if contract.layer == "gold":
            files[f"models/gold/{contract.name}.yml"] = dbt_model_yml(contract)
    return {path: HEADING + _text(content) for path, content in files.items()}


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
