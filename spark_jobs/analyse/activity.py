"""Enterprise activity 企业活跃度: indicators of each subject made comparable, weighted and summed.

Follows the order of DB12/T 964 企业活跃指数测评方法 (Tianjin): clip outliers, adjust by state, industry and size, normalise, weight, sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
CLIP = 1.5  # standard deviations from the mean, DB12/T 964


def clip_outliers(values: ArrayLike, width: float = CLIP) -> Array:
    """Return ``values`` (shape (subjects, indicators)), each indicator cut at its mean plus and minus ``width`` standard deviations (population)."""
    x = np.asarray(values, dtype=float)
    middle, spread = x.mean(axis=0), x.std(axis=0)
    return np.clip(x, middle - width * spread, middle + width * spread)


def group_factors(values: ArrayLike, groups: ArrayLike) -> Array:
    """Return, for each subject and indicator, the mean of all divided by the mean of the subject's group; 1 where that mean is 0.

    With it a subject of a trade in which little is filed (or a small one) is measured by its like. For indicators of status the factor is 1:
    those are left out by the caller.
    """
    x, names = np.asarray(values, dtype=float), np.asarray(groups)
    factors = np.ones_like(x)
    for name in np.unique(names):
        mine = names == name
        mean = x[mine].mean(axis=0)
        factors[mine] = np.divide(x.mean(axis=0), mean, out=np.ones_like(mean), where=mean > 0)
    return factors


def normalise(values: ArrayLike) -> Array:
    """Return each indicator between 0 (its smallest) and 1 (its largest); 0 where all are the same."""
    x = np.asarray(values, dtype=float)
    low, width = x.min(axis=0), np.ptp(x, axis=0)
    return np.divide(x - low, width, out=np.zeros_like(x), where=width > 0)


def entropy(values: ArrayLike) -> Array:
    """Return the entropy of each indicator over the subjects, from 0 (one has all) to 1 (all have the same); 0·ln 0 counts as 0.

    ``values``: shape (subjects, indicators), at least two subjects, none negative.

    Raises:
        ValueError: fewer than two subjects, or a negative value.
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 2 or len(x) < 2 or (x < 0).any():
        raise ValueError("entropy is of two or more subjects, of which no value is negative")
    total = x.sum(axis=0)
    p = np.divide(x, total, out=np.full_like(x, 1 / len(x)), where=total > 0)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=0) / np.log(len(x)))


def entropy_weights(values: ArrayLike) -> Array:
    """Return the weights of indicators that their entropy gives (they sum to 1); equal ones where none tells subjects apart.

    An indicator that is the same for all gets 0. Entropy rewards variance, not importance: it is published beside equal weights.
    """
    said = np.clip(1 - entropy(values), 0, None)
    # What is the same for all has entropy 1 but for rounding.
    said[said < 1e-12] = 0
    return said / said.sum() if said.sum() > 0 else np.full(said.shape, 1 / said.size)


def index(normalised: ArrayLike, weights: ArrayLike) -> Array:
    """Return each subject's index from 0 to 100: the weighted sum of its normalised indicators."""
    return np.asarray(100 * np.asarray(normalised, dtype=float) @ np.asarray(weights, dtype=float))
