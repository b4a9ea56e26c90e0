"""Who is active, and how much 企业活跃度: the flag that anybody can check, the index beside it, and what became of both.

Pure: profiles of `signals` in, rows out. Definitions and caveats for readers: docs/activity.zh.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spark_jobs.analyse import activity
from spark_jobs.analyse.economy import ALL, CITY, UNASSIGNED
from spark_jobs.analyse.signals import SIGNS

Array = NDArray[np.float64]
STATUSES = ("active", "inactive", "unknown")
ADJUSTED = tuple(s for s in SIGNS if s not in ("annual_report", "paying_tax"))  # those of status are as they are
WEIGHTINGS = ("equal", "entropy")
MOST_FACTOR = 4.0  # a sign that hardly anybody of a trade shows is not worth more than so many times its own
LEAST = 30  # covered subjects of a group of which an index is told


def statuses(profiles: pd.DataFrame) -> NDArray[np.int_]:
    """The place in ``STATUSES`` of each profile: active with a sign of life within the year, unless nobody finds the subject; idle without one,
    if a source that would tell of it covers it; else unknown."""
    alive = (profiles[list(SIGNS)] > 0).any(axis=1) & ~profiles["is_lost"]
    idle = ~alive & (profiles["is_covered"] | profiles["is_lost"])
    return np.where(alive, 0, np.where(idle, 1, 2))


def told(profiles: pd.DataFrame) -> set[str]:
    """The signs of which some subjects show one (of those that enough do for an index to be told of them)."""
    counts = profiles["subjects"].to_numpy(dtype=float)
    return {s for s in SIGNS if counts[profiles[s] > 0].sum() >= LEAST}


@dataclass(frozen=True)
class Scale:
    """What indices of a year are measured by: the ``month_end`` that is their base, bounds at which signs are cut and between which they are
    normalised, weights of ``SIGNS`` (shape (2, signs): ``WEIGHTINGS``), and the city's index then, by which aggregates are divided (shape (2,))."""

    month_end: dt.date
    low: Array
    high: Array
    smallest: Array
    largest: Array
    weights: Array
    level: Array


def scale(base: pd.DataFrame) -> Scale | None:
    """Work out the scale from the profiles of the base month; None where too few are active or idle. Subjects of which nothing is known have no index, and
    none of them counts here."""
    mine = base[statuses(base) < 2]
    if mine["subjects"].sum() < LEAST or not told(mine):
        return None
    counts = mine["subjects"].to_numpy(dtype=float)
    low, high = activity.clip_bounds(mine[list(SIGNS)], counts)
    adjusted = _adjusted(mine, low, high)
    smallest, largest = adjusted.min(axis=0), adjusted.max(axis=0)
    normal = activity.normalise(adjusted, smallest, largest)
    weights = np.array([np.full(len(SIGNS), 1 / len(SIGNS)), activity.entropy_weights(normal, counts)])
    found = np.array([activity.index(normal, w) for w in weights])
    level = (found * counts).sum(axis=1) / counts.sum()
    return Scale(base["month_end"].iloc[0], low, high, smallest, largest, weights, level)


def indices(profiles: pd.DataFrame, by: Scale | None) -> Array:
    """The index of each profile from 0 to 100, shape (2, profiles) for both ``WEIGHTINGS``; not a number where nothing is known, or there is no scale."""
    known = statuses(profiles) < 2
    found = np.full((len(WEIGHTINGS), len(profiles)), np.nan)
    if by is not None and known.any():
        normal = activity.normalise(_adjusted(profiles[known], by.low, by.high), by.smallest, by.largest)
        found[:, known] = np.array([activity.index(normal, w) for w in by.weights])
    return found


def _adjusted(profiles: pd.DataFrame, low: Array, high: Array) -> Array:
    """Signs without outliers, each measured by the like of the subject (section, then kind of subject); nothing counts of whom nobody finds."""
    signs = np.clip(profiles[list(SIGNS)].to_numpy(dtype=float), low, high)
    counts = profiles["subjects"].to_numpy(dtype=float)
    at = [SIGNS.index(s) for s in ADJUSTED]
    for groups in ("industry_section_name", "subject_category"):
        factors = activity.group_factors(signs[:, at], profiles[groups].to_numpy(dtype=str), counts)
        signs[:, at] *= np.clip(factors, 1 / MOST_FACTOR, MOST_FACTOR)
    return np.asarray(signs * ~profiles["is_lost"].to_numpy(dtype=bool)[:, None])


@dataclass(frozen=True)
class Row:
    """One group of subjects at the end of a month. ``rate``: of those of whom something is known; ``levels``: 100 is the city's index at the scale's base."""

    month_end: dt.date
    district: str
    section: str
    subjects: tuple[int, int, int]
    rate: float | None
    levels: tuple[float, float] | None
    simulated: bool


def rows(profiles: pd.DataFrame, by: Scale | None) -> Iterator[Row]:
    """The city, its districts, its sections and each section of each district at the end of the month of ``profiles``."""
    counts = profiles["subjects"].to_numpy(dtype=float)
    found = pd.DataFrame(
        {
            "district": profiles["district_name"].fillna(UNASSIGNED).to_numpy(), "section": profiles["industry_section_name"].fillna(UNASSIGNED).to_numpy(),
            "simulated": profiles["is_simulated"].to_numpy(),
        }
        | {s: counts * (statuses(profiles) == n) for n, s in enumerate(STATUSES)}
        | {w: np.nan_to_num(counts * i) for w, i in zip(WEIGHTINGS, indices(profiles, by), strict=True)}
    )  # fmt: skip
    month_end = profiles["month_end"].iloc[0]
    sums = [*STATUSES, *WEIGHTINGS]
    for keys in ([], ["district"], ["section"], ["district", "section"]):
        groups = found.groupby(keys, sort=True) if keys else [((), found)]
        for name, group in groups:
            place = dict(zip(keys, name, strict=True))
            total = group[sums].sum()
            known = total["active"] + total["inactive"]
            level = by.level if by is not None and known >= LEAST and by.level.all() else None
            levels = None if level is None else (100 * total["equal"] / known / level[0], 100 * total["entropy"] / known / level[1])
            yield Row(
                month_end,
                place.get("district", CITY),
                place.get("section", ALL),
                (int(total["active"]), int(total["inactive"]), int(total["unknown"])),
                float(total["active"] / known) if known else None,
                levels,
                bool(group["simulated"].any()),
            )


@dataclass(frozen=True)
class Outcome:
    """What became within a year of those who were judged at the end of a month: exits among active, idle and unknown, and how well idleness told them apart
    (area under the curve: 0.5 is chance), by flag and by both indices, among those of whom something is known."""

    month_end: dt.date
    subjects: tuple[int, int, int]
    exits: tuple[int, int, int]
    auc_flag: float
    auc_index: tuple[float, float]


def outcome(profiles: pd.DataFrame, by: Scale) -> Outcome:
    """Judge what was said of a month of which the year after is over."""
    status, counts, exits = statuses(profiles), profiles["subjects"].to_numpy(dtype=float), profiles["exits"].to_numpy(dtype=float)
    known = status < 2
    of_index = [activity.auc(i[known], exits[known], counts[known]) for i in indices(profiles, by)]
    subjects, left = ([int(x[status == n].sum()) for n in range(len(STATUSES))] for x in (counts, exits))
    return Outcome(
        profiles["month_end"].iloc[0], (subjects[0], subjects[1], subjects[2]), (left[0], left[1], left[2]),
        activity.auc(-status[known].astype(float), exits[known], counts[known]), (of_index[0], of_index[1]),
    )  # fmt: skip
