"""Forecasts that add up: the city is the sum of its districts and of its sections, and each of these of its cells.

Minimum trace reconciliation (Wickramasuriya, Athanasopoulos and Hyndman 2019) weighted by what each series' forecasts have missed by, never
below 0 (Wickramasuriya, Turlach and Hyndman 2020), by the package ``hierarchicalforecast``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from hierarchicalforecast.methods import MinTrace
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST_MISS = 0.5  # subjects that a forecast is taken to miss by at least: one that was never wrong is still no certainty


def summing(cells: Sequence[tuple[int, int]], districts: Sequence[int], sections: Sequence[int]) -> Array:
    """Return which ``cells`` (district, section) each series is the sum of, of shape (1 + districts + sections + cells, cells): the city, districts, sections, cells."""
    rows = [np.ones(len(cells))]
    rows += [np.array([float(cell[0] == d) for cell in cells]) for d in districts]
    rows += [np.array([float(cell[1] == s) for cell in cells]) for s in sections]
    return np.vstack([*rows, np.eye(len(cells))])


def coherent(sums: Array, told: Array, missed: Array) -> Array:
    """Return the forecasts nearest to ``told``, of shape (series, horizon), that add up by ``sums`` (see `summing`).

    ``missed``: errors of earlier one-step forecasts, of shape (series, origins); a series with large ones gives way to those with small ones.
    """
    size = np.sqrt(np.mean(missed**2, axis=1, keepdims=True))
    weighed = np.where(size < LEAST_MISS, LEAST_MISS, missed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the solver's advice about the form of its matrices
            found = MinTrace("wls_var", nonnegative=True).fit_predict(S=sums, y_hat=told, y_insample=weighed, y_hat_insample=np.zeros_like(weighed))
        bottom = np.asarray(found["mean"], dtype=float)[-sums.shape[1] :]
    except Exception as error:  # the library raises a plain one where its solver gives up: then the cells are summed as they are
        print(f"预测不能按误差协调，各区各行业直接相加：{str(error).splitlines()[0][:200]}", flush=True)
        bottom = told[-sums.shape[1] :]
    return np.asarray(sums @ np.maximum(0, bottom))
