"""Regional coordination: how unequally something is spread over regions, and whether like lies beside like.

Sources: H. Theil, Economics and Information Theory (1967); J. G. Williamson (1965), Economic Development and Cultural Change 13(4);
P. Moran (1950), Biometrika 37. The regional Theil index of the OECD gives each region the same weight; here regions have the weight of
what they hold (``weights``), and equal ones give the OECD's.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Theil:
    """Theil's T and its parts: ``total`` = ``between`` + ``within``; ``groups``: T inside each group."""

    total: float
    between: float
    within: float
    groups: dict[Hashable, float]


def _checked(amounts: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array]:
    y = np.asarray(amounts, dtype=float)
    p = np.ones_like(y) if weights is None else np.asarray(weights, dtype=float)
    if y.shape != p.shape or y.ndim != 1 or not y.size:
        raise ValueError("amounts and weights are one number for each region")
    if (p <= 0).any() or (y < 0).any() or y.sum() == 0:
        raise ValueError("weights are above 0, amounts not below, and not all 0")
    return y, p


def theil(amounts: ArrayLike, weights: ArrayLike | None = None, groups: Sequence[Hashable] | None = None) -> Theil:
    """Return Theil's T of ``amounts`` (what each region has, shape (n,)) over ``weights`` (people, subjects, area; None: each region alike).

    A region that has nothing adds nothing (0·ln 0 = 0).

    Raises:
        ValueError: a weight is not above 0, an amount is below 0, or all are 0.
    """
    y, p = _checked(amounts, weights)
    share, weight = y / y.sum(), p / p.sum()
    total = _entropy(share, weight)
    names = list(groups) if groups is not None else list(range(y.size))
    inside: dict[Hashable, float] = {}
    between = within = 0.0
    for name in dict.fromkeys(names):
        mine = np.array([n == name for n in names])
        has, weighs = share[mine].sum(), weight[mine].sum()
        inside[name] = _entropy(share[mine] / has, weight[mine] / weighs) if has > 0 else 0.0
        within += has * inside[name]
        between += has * math.log(has / weighs) if has > 0 else 0.0
    return Theil(total, between, within, inside)


def _entropy(share: Array, weight: Array) -> float:
    some = share > 0
    return float((share[some] * np.log(share[some] / weight[some])).sum())


def mean_log_deviation(amounts: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return Theil's L, the weighted mean of ln(weight's share / amount's share); every region must have something.

    Raises:
        ValueError: as `theil`, or a region has nothing.
    """
    y, p = _checked(amounts, weights)
    if (y == 0).any():
        raise ValueError("the mean logarithmic deviation is not defined where a region has nothing")
    share, weight = y / y.sum(), p / p.sum()
    return float((weight * np.log(weight / share)).sum())


def gini(amounts: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted Gini coefficient of amounts per weight, from 0 (all alike) to below 1; not corrected for few regions."""
    y, p = _checked(amounts, weights)
    each, weight = y / p, p / p.sum()
    mean = (weight * each).sum()
    return float((weight[:, None] * weight[None, :] * np.abs(each[:, None] - each[None, :])).sum() / (2 * mean))


def williamson(amounts: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted coefficient of variation of amounts per weight (Williamson's, 0 where all are alike)."""
    y, p = _checked(amounts, weights)
    each, weight = y / p, p / p.sum()
    mean = (weight * each).sum()
    return float(math.sqrt((weight * (each - mean) ** 2).sum()) / mean)


@dataclass(frozen=True)
class Moran:
    """Moran's I with what is expected by chance, and how often chance gives as much (two-sided, from permutations)."""

    value: float
    expected: float
    p_value: float


def moran(values: Mapping[str, float], neighbours: Mapping[str, Sequence[str]], permutations: int = PERMUTATIONS, seed: int = 20180101) -> Moran:
    """Return Moran's I of ``values`` by region; ``neighbours`` names those of each region (both ways), each with weight 1.

    With 11 regions only strong patterns can be told from chance: the p-value comes from permutations, drawn with ``seed`` so that the same
    figures give the same answer.

    Raises:
        ValueError: regions and neighbours don't match, a neighbour is not mutual, or all values are the same.
    """
    regions = sorted(values)
    if set(neighbours) != set(regions):
        raise ValueError(f"neighbours are named for other regions: {sorted(set(neighbours) ^ set(regions))}")
    at = {region: n for n, region in enumerate(regions)}
    w = np.zeros((len(regions), len(regions)))
    for region, beside in neighbours.items():
        for other in beside:
            if region not in neighbours.get(other, ()):
                raise ValueError(f"{other} is a neighbour of {region}, but not the other way round")
            w[at[region], at[other]] = 1
    z = np.array([values[r] for r in regions], dtype=float)
    z -= z.mean()
    if not w.sum() or not (z @ z) > 0:
        raise ValueError("without neighbours or differences there is no pattern")
    n = len(regions)
    scale = n / w.sum() / (z @ z)
    value, expected = float(scale * (z @ w @ z)), -1 / (n - 1)
    shuffled = np.random.default_rng(seed).permuted(np.tile(z, (permutations, 1)), axis=1)
    by_chance = scale * ((shuffled @ w) * shuffled).sum(axis=1)
    as_far = (np.abs(by_chance - expected) >= abs(value - expected) - 1e-12).sum()
    return Moran(value, expected, float((as_far + 1) / (permutations + 1)))
