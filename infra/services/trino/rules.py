"""Trino's access rules: who sees which catalog, schema, table and column.

First match wins, and where a section exists what matches nothing is denied. What tables and columns
each role sees is derived from the contracts' classification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from catalog.contract import load_contracts
from catalog.derive import all_tables, trino_rules


def build(everyone: dict[str, dict[str, Any]], roles: Iterable[str]) -> dict[str, Any]:
    """Return the rules for the accounts ``everyone`` (those that are not disabled) in ``roles``."""
    names = sorted(everyone)
    people = _pattern(names)
    # This section knows no groups.
    operators = _pattern([n for n in names if everyone[n]["role"] == "operator"])
    return {
        "catalogs": [
            {"user": "publisher", "catalog": "lake|lake_publish", "allow": "all"},
            {"user": "health", "catalog": "lake", "allow": "read-only"},
            {"user": people, "catalog": "lake", "allow": "read-only"},
            {"catalog": ".*", "allow": "none"},
        ],
        # Superset speaks for the person who is logged in, and for nobody but people.
        "impersonation": [
            {"original_user": "superset", "new_user": people, "allow": True},
            {"original_user": ".*", "new_user": ".*", "allow": False},
        ],
        "queries": [{"group": "operator", "allow": ["execute", "view", "kill"]}, {"allow": ["execute"]}],
        "system_information": [{"user": operators, "allow": ["read"]}, {"allow": []}],
        "functions": [],
        "procedures": [],
        "schemas": [{"user": "publisher", "owner": True}, {"owner": False}],
        **trino_rules(all_tables(load_contracts()).values(), [*roles, "publisher"], [e["district"] for e in everyone.values() if "district" in e]),
    }


def _pattern(names: list[str]) -> str:
    """A regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"
