"""Trino's access rules: who sees which catalog, schema, table and column.

First match wins, and where a section exists what matches nothing is denied. What tables and columns
each role sees is derived from the contracts' classification.
"""

from __future__ import annotations

import re
from typing import Any


def build(names: list[str], everyone: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the rules for the accounts ``names`` (those that are not disabled)."""
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
        "tables": [
            {"user": "publisher", "privileges": ["SELECT", "INSERT", "DELETE", "UPDATE", "OWNERSHIP", "GRANT_SELECT"]},
        ],
    }


def _pattern(names: list[str]) -> str:
    """A regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"
