"""The city's parameters: what rates.yaml states, or, for evaluation, values drawn afresh from its ranges."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, SupportsInt

import numpy as np
import yaml

HERE = Path(__file__).parent
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Parameters:
    """``subjects``: live ones on the last day, exactly. ``cadence``: ``real`` (daily files where departments send daily) or ``monthly``.

    ``rates``: value by ``group.name`` of rates.yaml. Days are numbers since 1970-01-01.
    """

    subjects: int
    years: int
    seed: int
    first_year: int
    cadence: str
    rates: Mapping[str, float]
    draw: int | None = None

    @property
    def start(self) -> int:
        """The first day."""
        return day(self.first_year, 1, 1)

    @property
    def end(self) -> int:
        """The day after the last."""
        return day(self.first_year + self.years, 1, 1)

    def rate(self, name: str) -> float:
        """Raises KeyError for a name that rates.yaml doesn't have."""
        return self.rates[name]

    def without(self, group: str) -> Parameters:
        """The same, but that all rates whose names begin so are 0."""
        return replace(self, rates={n: 0.0 if n.startswith(group) else v for n, v in self.rates.items()})

    def generator(self, *place: int) -> np.random.Generator:
        """The random numbers of one place of the city: the same whatever else is made, and in whichever process."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, *place])))


def day(year: SupportsInt, month: SupportsInt, day_: int) -> int:
    return (dt.date(int(year), int(month), day_) - EPOCH).days


def date_of(number: SupportsInt) -> dt.date:
    return EPOCH + dt.timedelta(days=int(number))


def stated() -> dict[str, dict[str, Any]]:
    """What rates.yaml says, by ``group.name``: value, range, status, claim, source."""
    groups = yaml.safe_load((HERE / "rates.yaml").read_text("utf-8"))
    return {f"{group}.{name}": entry for group, entries in groups.items() for name, entry in entries.items()}


def parameters(subjects: int, years: int, seed: int, first_year: int = 2023, cadence: str = "real", draw: int | None = None) -> Parameters:
    """The stated rates; with ``draw`` (a seed of its own), each that has a range is drawn from it.

    Raises:
        ValueError: fewer than 2,000 subjects, no whole year, or an unknown cadence.
    """
    if subjects < 2000 or years < 1 or cadence not in ("real", "monthly"):
        raise ValueError("至少 2,000 个主体、1 年；cadence 为 real 或 monthly")
    rates = {name: float(entry["value"]) for name, entry in stated().items()}
    if draw is not None:
        generator = np.random.default_rng(draw)
        for name, entry in sorted(stated().items()):
            if "range" in entry:
                low, high = entry["range"]
                whole = isinstance(low, int) and isinstance(high, int)
                rates[name] = float(generator.integers(low, high + 1)) if whole else float(generator.uniform(low, high))
    return Parameters(subjects, years, seed, first_year, cadence, rates, draw)
