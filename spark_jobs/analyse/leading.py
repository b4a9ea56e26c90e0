"""Which register series lead the economy, the index that they make, and whether it helps 企业发展指数.

Pure: monthly counts and a quarterly reference in, what is said of them out. Formulas: `development`, with their sources. For readers: docs/development.zh.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.analyse import accuracy, development, seasonal

Array = NDArray[np.float64]
Quarters = Mapping[int, float]  # by number of the quarter: 4 x year + 0 to 3
MOST = 4  # quarters by which a lead is looked for
LEAST = 16  # quarters that a series and its reference must share
EARLIEST = 12  # quarters that the first forecast of the test must know
LEAST_TESTED = 6  # forecasts of the test
ERROR = 0.05  # of the whole search: shares of chance are corrected for the number of series (Holm 1979)
OPPOSED = ("exits", "abnormal_listings")  # more of them is worse


@dataclass(frozen=True)
class Led:
    """How a series goes with the reference: its ``lead`` in quarters (below 0: it follows), the ``correlation`` there, the share of chance of the whole
    search (``p_value``), the lead by Kullback-Leibler information (None where that can't be told), and whether it is ``chosen`` for the index."""

    series: str
    pairs: int
    lead: int
    correlation: float
    p_value: float
    information_lead: int | None
    chosen: bool


@dataclass(frozen=True)
class Said:
    """One quarter: the ``index`` (None before all chosen series are told), the share of series that rise (``diffusion``, in percent), and the ``reference``."""

    quarter: int
    index: float | None
    diffusion: float | None
    reference: float | None


@dataclass(frozen=True)
class Development:
    """All that is said at the end of a quarter. ``tested``: squared errors of the forecast with the index against those of the reference's own course,
    one quarter ahead, each fitted to what was there; None where there are too few, or no series leads. Which series lead was found in all quarters, those
    of the test among them, which flatters the index: of 500 drawn economies without relation by 8 %, and none was said to be better."""

    led: list[Led]
    said: list[Said]
    tested: tuple[Array, Array] | None

    @property
    def lead(self) -> int | None:
        """The lead of the index: the middle one of its series."""
        leads = sorted(x.lead for x in self.led if x.chosen)
        return leads[(len(leads) - 1) // 2] if leads else None

    @property
    def verdict(self) -> accuracy.Comparison | None:
        """Whether the index helps to tell the next quarter."""
        return accuracy.compare(*self.tested, horizon=1) if self.tested else None


def quarter_of(day: dt.date) -> int:
    """The number of a day's quarter."""
    return 4 * day.year + (day.month - 1) // 3


def quarter_end(number: int) -> dt.date:
    """The last day of a quarter."""
    year, part = divmod(number, 4)
    return dt.date(year + part // 3, (3 * part + 3) % 12 + 1, 1) - dt.timedelta(days=1)


def quarterly(monthly: Array, first: dt.date) -> dict[int, float]:
    """Sums of whole quarters of a monthly series without its season and calendar."""
    adjusted = seasonal.adjust(monthly, first).adjusted
    at = np.array([quarter_of(first) + ((first.month - 1) % 3 + n) // 3 for n in range(len(adjusted))])
    return {int(q): float(adjusted[at == q].sum()) for q in np.unique(at) if (at == q).sum() == 3}


def work_out(reference: Quarters, series: Mapping[str, Quarters]) -> Development:
    """Find what leads, and make the index of it. ``series``: by name, adjusted, above 0; those that share too few quarters with the reference are left out,
    and all where the reference never changes."""
    moves = len(set(reference.values())) > 1
    able = {name: s for name, s in series.items() if moves and len(_shared(s, reference)) >= LEAST and min(s.values()) > 0}
    led = _found(reference, able)
    chosen = {x.series: able[x.series] for x in led if x.chosen}
    index = _composite(chosen)
    quarters = sorted({q for s in able.values() for q in s})
    said = [Said(q, index.get(q), _rising(able, q), reference.get(q)) for q in quarters]
    return Development(led, said, _tested(reference, index) if index else None)


def _shared(a: Quarters, b: Quarters) -> list[int]:
    """The quarters that both tell of, in one stretch up to the newest."""
    both = sorted(a.keys() & b.keys())
    cut = max((n for n in range(1, len(both)) if both[n] - both[n - 1] > 1), default=0)
    return both[cut:]


def _sense(name: str) -> int:
    return -1 if name in OPPOSED else 1


def _found(reference: Quarters, able: Mapping[str, Quarters]) -> list[Led]:
    judged = []
    for name, s in able.items():
        quarters = _shared(s, reference)
        x = _sense(name) * development.cycle(np.log([s[q] for q in quarters]), 4)
        y = development.cycle([reference[q] for q in quarters], 4)
        judged.append((name, quarters, development.lead(x, y, MOST)))
    # Holm: the smallest share of chance is multiplied by all, the next by one less; none is below one before it.
    order = sorted(range(len(judged)), key=lambda n: judged[n][2].p_value)
    p_values, floor = {}, 0.0
    for place, n in enumerate(order):
        floor = max(floor, min(1.0, judged[n][2].p_value * (len(judged) - place)))
        p_values[n] = floor
    return [
        Led(name, len(quarters), found.lead, found.correlation, p_values[n], _information_lead(able[name], reference, quarters, _sense(name)),
            found.lead > 0 and found.correlation > 0 and p_values[n] < ERROR)
        for n, (name, quarters, found) in enumerate(judged)
    ]  # fmt: skip


def _information_lead(s: Quarters, reference: Quarters, quarters: list[int], sense: int) -> int | None:
    x, y = [s[q] ** sense for q in quarters], [reference[q] for q in quarters]
    if min(y) <= 0:
        return None
    told = development.lead_information(x, y, MOST)
    return min(told, key=lambda n: told[n])


def _composite(chosen: Mapping[str, Quarters]) -> dict[int, float]:
    if not chosen:
        return {}
    quarters = sorted(set.intersection(*(set(s) for s in chosen.values())))
    # What is better when it is less goes in upside down.
    columns = [np.array([s[q] for q in quarters]) ** _sense(name) for name, s in chosen.items()]
    return dict(zip(quarters, development.composite(columns), strict=True))


def _rising(able: Mapping[str, Quarters], quarter: int) -> float | None:
    both = [(_sense(name) * s[quarter - 1], _sense(name) * s[quarter]) for name, s in able.items() if quarter in s and quarter - 1 in s]
    return development.diffusion(*zip(*both, strict=True)) if both else None


def _tested(reference: Quarters, index: Quarters) -> tuple[Array, Array] | None:
    """Squared errors of both forecasts, one quarter ahead, from each quarter on that enough is known of; the lead is chosen among what was known."""
    quarters = _shared(index, reference)
    x, y = np.log([index[q] for q in quarters]), np.array([reference[q] for q in quarters])
    errors = []
    for known in range(EARLIEST, len(quarters)):
        told, past = x[:known], y[:known]
        trend = np.polyval(np.polyfit(np.arange(known), told, 1), np.arange(known))
        apart = told - trend
        lead = max(range(1, MOST + 1), key=lambda n: abs(np.corrcoef(apart[:-n], past[n:])[0, 1]))
        own = _next(past, None, lead)
        errors.append(((y[known] - _next(past, apart, lead)) ** 2, (y[known] - own) ** 2))
    if len(errors) < LEAST_TESTED:
        return None
    both = np.array(errors)
    return both[:, 0], both[:, 1]


def _next(past: Array, leading: Array | None, lead: int) -> float:
    """The next value by least squares on the one before it, and on what ``leading`` was ``lead`` quarters before. Both forecasts are fitted on the same quarters."""
    at = np.arange(lead, len(past))
    columns = [np.ones(len(at)), past[at - 1]] + ([leading[at - lead]] if leading is not None else [])
    weights = np.linalg.lstsq(np.column_stack(columns), past[at], rcond=None)[0]
    now = [1.0, past[-1]] + ([leading[len(past) - lead]] if leading is not None else [])
    return float(np.dot(weights, now))
