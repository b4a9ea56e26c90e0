"""Enterprise activity 企业活跃度: indicators of each subject made comparable, weighted and summed.

Follows the order of DB12/T 964 企业活跃指数测评方法 (Tianjin): clip outliers, adjust by state, industry and size, normalise, weight, sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
CLIP = 1.5  # standard deviations from the mean, DB12/T 964


def _counts(values: Array, counts: ArrayLike | None) -> Array:
    """How many subjects each row of values stands for, as a column; one each where nothing is said."""
    n = np.ones(len(values)) if counts is None else np.asarray(counts, dtype=float)
    return n[:, None]


def clip_bounds(values: ArrayLike, counts: ArrayLike | None = None, width: float = CLIP) -> tuple[Array, Array]:
    """Return what outliers of each indicator are cut at: its mean minus and plus ``width`` standard deviations (population).

    ``values``: shape (subjects, indicators); ``counts``: how many subjects share each row.
    """
    x = np.asarray(values, dtype=float)
    n = _counts(x, counts)
    middle = (n * x).sum(axis=0) / n.sum()
    spread = np.sqrt((n * (x - middle) ** 2).sum(axis=0) / n.sum())
    return middle - width * spread, middle + width * spread


def group_factors(values: ArrayLike, groups: ArrayLike, counts: ArrayLike | None = None) -> Array:
    """Return, for each row and indicator, the mean of all divided by the mean of the row's group; 1 where that mean is 0.

    With it a subject of a trade in which little is filed (or a small one) is measured by its like. For indicators of status the factor is 1:
    those are left out by the caller.
    """
    x, names = np.asarray(values, dtype=float), np.asarray(groups)
    n = _counts(x, counts)
    middle = (n * x).sum(axis=0) / n.sum()
    factors = np.ones_like(x)
    for name in np.unique(names):
        mine = names == name
        mean = (n[mine] * x[mine]).sum(axis=0) / n[mine].sum()
        factors[mine] = np.divide(middle, mean, out=np.ones_like(mean), where=mean > 0)
    return factors


def normalise(values: ArrayLike, low: ArrayLike | None = None, high: ArrayLike | None = None) -> Array:
    """Return each indicator between 0 (``low``, or its smallest) and 1 (``high``, or its largest); 0 where these are the same."""
    x = np.asarray(values, dtype=float)
    least = x.min(axis=0) if low is None else np.asarray(low, dtype=float)
    most = x.max(axis=0) if high is None else np.asarray(high, dtype=float)
    width = most - least
    return np.clip(np.divide(x - least, width, out=np.zeros_like(x), where=width > 0), 0, 1)


def entropy(values: ArrayLike, counts: ArrayLike | None = None) -> Array:
    """Return the entropy of each indicator over the subjects, from 0 (one has all) to 1 (all have the same); 0·ln 0 counts as 0.

    ``values``: shape (subjects, indicators), at least two subjects, none negative; ``counts``: how many subjects share each row.

    Raises:
        ValueError: fewer than two subjects, or a negative value.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 2 or len(x) < 1 or (x < 0).any() or (n := _counts(x, counts)).sum() < 2:
        raise ValueError("entropy is of two or more subjects, of which no value is negative")
    total = (n * x).sum(axis=0)
    p = np.divide(x, total, out=np.full_like(x, 1 / n.sum()), where=total > 0)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(-(n * p * logs).sum(axis=0) / np.log(n.sum()))


def entropy_weights(values: ArrayLike, counts: ArrayLike | None = None) -> Array:
    """Return the weights of indicators that their entropy gives (they sum to 1); equal ones where none tells subjects apart.

    An indicator that is the same for all gets 0. Entropy rewards variance, not importance: it is published beside equal weights.
    """
    said = np.clip(1 - entropy(values, counts), 0, None)
    # What is the same for all has entropy 1 but for rounding.
    said[said < 1e-12] = 0
    return said / said.sum() if said.sum() > 0 else np.full(said.shape, 1 / said.size)


def auc(scores: ArrayLike, events: ArrayLike, counts: ArrayLike) -> float:
    """Return the share of pairs (one subject with the event, one without) of which the one with it has the lower score; ties count half.

    ``events``: how many of the ``counts`` subjects of each row have it; all of shape (rows,). Not a number where all or none have it.
    """
    score, had, n = (np.asarray(x, dtype=float) for x in (scores, events, counts))
    values, at = np.unique(score, return_inverse=True)
    of_events, of_others = np.bincount(at, had, len(values)), np.bincount(at, n - had, len(values))
    if not of_events.sum() or not of_others.sum():
        return float("nan")
    above = of_others.sum() - np.cumsum(of_others)
    return float((of_events * (above + of_others / 2)).sum() / (of_events.sum() * of_others.sum()))


def index(normalised: ArrayLike, weights: ArrayLike) -> Array:
    """Return each subject's index from 0 to 100: the weighted sum of its normalised indicators."""
    return np.asarray(100 * np.asarray(normalised, dtype=float) @ np.asarray(weights, dtype=float))
