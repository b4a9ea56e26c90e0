"""Published series of tests/golden: monthly airline passengers 1949-1960 (Box and Jenkins 1976), high-propensity business applications of
the United States by quarter, not seasonally adjusted (Census Bureau by FRED, public domain)."""

import csv

import numpy as np

from infra.settings import REPO


def series(name):
    """The second column of a file of tests/golden."""
    with (REPO / "tests" / "golden" / f"{name}.csv").open(encoding="utf-8", newline="") as f:
        return np.array([float(row[1]) for row in list(csv.reader(f))[1:]])
