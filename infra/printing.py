"""Answers for programs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def print_json(told: dict[str, Any]) -> None:
    """Print for programs: decimals as numbers, dates as text."""
    print(json.dumps(told, ensure_ascii=False, indent=1, default=lambda v: float(v) if isinstance(v, Decimal) else str(v)))
