"""Numbers of documents: each its own, in no order that tells whose it is."""

from __future__ import annotations

import numpy as np

from samples.city.columns import Column, join, numbers
from samples.city.population import Population

_PRIME = 1_000_000_007
PER_SUBJECT = 64  # documents of one kind at most, on average over those made at once


def scrambled(population: Population, kind: int, who: np.ndarray, offset: int = 0) -> np.ndarray:
    """A number below a milliard for each row: never the same twice within a kind.

    ``who``: the subjects that are worked on at once, in order, of which any may have several rows; -1 for nobody's: those must be few, and
    begin at another ``offset`` where they are made in several places.
    """
    first = int(who.min()) if len(who) else 0
    place = (max(first, 0) // 1000 * 1000) * PER_SUBJECT + np.arange(len(who)) if first >= 0 else _PRIME - 1 - offset - np.arange(len(who))
    step = 48_271 + 2 * (population.parameters.seed % 9973) + 7919 * kind
    return (place.astype(np.uint64) * np.uint64(step) + np.uint64(kind * 104_729)).astype(np.uint64) % np.uint64(_PRIME)


def year_of(on: np.ndarray) -> np.ndarray:
    return on.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def numbered(population: Population, kind: int, prefix: str, who: np.ndarray, on: np.ndarray, suffix: str = "号") -> Column:
    """Such as 穗市监案〔2024〕123456789号."""
    return join(prefix, "〔", numbers(year_of(on)), "〕", numbers(scrambled(population, kind, who)), suffix)
