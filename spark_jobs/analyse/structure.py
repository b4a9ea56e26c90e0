"""Industrial structure: shares, specialisation, concentration, change. All functions take and return plain numbers or numpy arrays.

Sources: location quotient and shift-share as in G. Krumme's course notes (University of Washington), the table of which is a golden test;
Herfindahl-Hirschman as in the U.S. Horizontal Merger Guidelines; similarity of structures after UNIDO (1979); upgrading index after Fu
Linghui 付凌晖 (2010), 统计研究 27(8); three sectors after the National Bureau of Statistics' 三次产业划分规定 (2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# Divisions of primary and secondary sections that serve others count as tertiary: 农林牧渔专业及辅助性活动, 开采专业及辅助性活动, 金属制品、机械和设备修理业.
SERVING_DIVISIONS = frozenset({"05", "11", "43"})
PRIMARY_SECTIONS, SECONDARY_SECTIONS = frozenset("A"), frozenset("BCDE")
# The normal quantile of 95 %.
Z = 1.959963984540054


def shares(counts: ArrayLike) -> Array:
    """Return ``counts`` (shape (n,), not negative) as shares of their sum.

    Raises:
        ValueError: a count is negative, or all are zero.
    """
    values = np.asarray(counts, dtype=float)
    if (values < 0).any():
        raise ValueError("counts can't be negative")
    total = values.sum()
    if total == 0:
        raise ValueError("of nothing there are no shares")
    return values / total


@dataclass(frozen=True)
class Quotient:
    """A location quotient with its 95 % interval; all three are None where there are too few to say anything."""

    value: float | None
    low: float | None
    high: float | None


def location_quotient(in_cell: float, in_region: float, in_industry: float, in_all: float, least: int = 1) -> Quotient:
    """Return (cell / region) / (industry / all), with an interval.

    The interval is on the logarithmic scale, by the delta method for counts that chance lays into the four cells (region or not, industry
    or not), with a half added to each count, so that an empty cell has one too. The counts of a register are no sample; the interval says
    how far the quotient would move if subjects had settled by chance with the same probabilities.

    Args:
        in_cell: subjects of the industry in the region.
        in_region: subjects of the region, of all industries.
        in_industry: subjects of the industry, of all regions.
        in_all: all subjects.
        least: subjects of the industry that are *expected* in the region below which nothing is said.

    Raises:
        ValueError: the counts don't lie within each other.
    """
    if not (0 <= in_cell <= min(in_region, in_industry) and max(in_region, in_industry) <= in_all):
        raise ValueError(f"counts don't lie within each other: {in_cell}, {in_region}, {in_industry}, {in_all}")
    if in_region == 0 or in_industry == 0 or in_region * in_industry / in_all < least:
        return Quotient(None, None, None)
    value = (in_cell / in_region) / (in_industry / in_all)
    cell, region, industry, everything = in_cell + 0.5, in_region + 0.5, in_industry + 0.5, in_all + 0.5
    ratio = (cell / region) / (industry / everything)
    # Each count is part of others: cov(ln X, ln Y) = (p(X and Y) / (p(X) p(Y)) - 1) / n, summed over the three that chance decides.
    variance = max(0.0, 1 / cell - 1 / region - 1 / industry + (2 * ratio - 1) / everything)
    middle = math.log(ratio)
    half = Z * math.sqrt(variance)
    return Quotient(value, math.exp(middle - half) if in_cell else 0.0, math.exp(middle + half))


@dataclass(frozen=True)
class ShiftShare:
    """What the change of each industry of a region is made of; each of shape (industries,), in the unit of the counts. They sum to the change."""

    national: Array
    mix: Array
    competitive: Array


def shift_share(before: ArrayLike, after: ArrayLike, all_before: ArrayLike, all_after: ArrayLike) -> ShiftShare:
    """Return how much of a region's change in each industry the whole, the industry and the region itself explain.

    ``before``, ``after``: the region's counts by industry, shape (n,); ``all_before``, ``all_after``: those of the whole, of which the
    industries must not be empty before.

    Raises:
        ValueError: an industry of the whole was empty, so that it has no growth.
    """
    e, e2, whole, whole2 = (np.asarray(x, dtype=float) for x in (before, after, all_before, all_after))
    if (whole <= 0).any():
        raise ValueError("an industry that was empty has no growth")
    growth, total = whole2 / whole - 1, whole2.sum() / whole.sum() - 1
    return ShiftShare(e * total, e * (growth - total), e2 - e * (1 + growth))


def herfindahl(counts: ArrayLike) -> float:
    """Return the sum of squared shares in percent: from 10,000/n (all equal) to 10,000 (one has all)."""
    return float(((100 * shares(counts)) ** 2).sum())


def normalised_herfindahl(counts: ArrayLike) -> float:
    """Return the Herfindahl index between 0 (all equal) and 1 (one has all); of a single one it is 1."""
    n = np.size(counts)
    return 1.0 if n == 1 else (herfindahl(counts) / 10_000 - 1 / n) / (1 - 1 / n)


def concentration_ratio(counts: ArrayLike, largest: int = 4) -> float:
    """Return the share of the ``largest`` ones together."""
    return float(np.sort(shares(counts))[::-1][:largest].sum())


def similarity(one: ArrayLike, other: ArrayLike) -> float:
    """Return the cosine of two structures, from 0 (nothing in common) to 1 (the same)."""
    x, y = shares(one), shares(other)
    return float(min(1.0, float(x @ y) / math.sqrt(float(x @ x) * float(y @ y))))


def moore_angle(before: ArrayLike, after: ArrayLike) -> float:
    """Return the angle between two structures in degrees: how far the structure has turned."""
    return math.degrees(math.acos(similarity(before, after)))


def structural_change(before: ArrayLike, after: ArrayLike) -> float:
    """Return half the sum of absolute differences of shares: the share that has moved, from 0 to 1. (Twice that is Krugman's index.)"""
    return float(np.abs(shares(after) - shares(before)).sum() / 2)


def upgrading(three: ArrayLike) -> float:
    """Return the upgrading index 产业结构高级化 of shares of the primary, secondary and tertiary sector, in this order.

    The sum over k of the angles (radians) between the structure and the first k axes: it grows as weight moves from the first to the third.
    """
    x = shares(three)
    if x.shape != (3,):
        raise ValueError("the index is of three sectors")
    angles = np.arccos(np.clip(x / math.sqrt(float(x @ x)), -1, 1))
    return float(np.cumsum(angles).sum())


def sector(section: str, division: str | None = None) -> int:
    """Return 1, 2 or 3: the sector 产业 of an industry.

    ``section``: a letter of GB/T 4754; ``division``: its two digits where they are known. Without them the sections A, B and C are counted
    as a whole as primary and secondary: divisions 05, 11 and 43, which are tertiary, can't be told then.

    Raises:
        ValueError: no such section.
    """
    if not (len(section) == 1 and "A" <= section <= "T"):
        raise ValueError(f"no section of GB/T 4754: {section!r}")
    if division in SERVING_DIVISIONS:
        return 3
    return 1 if section in PRIMARY_SECTIONS else 2 if section in SECONDARY_SECTIONS else 3


def three_sectors(by_section: Mapping[str, float]) -> tuple[float, float, float]:
    """Return the counts of the three sectors from counts by section (see `sector` for what can't be told)."""
    found = [0.0, 0.0, 0.0]
    for section, count in by_section.items():
        found[sector(section) - 1] += count
    return found[0], found[1], found[2]
