"""What was measured, as a table for people, as JSON for machines, and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

from infra.bench.contenders import Outcome
from infra.bench.measure import Measured


@dataclass(frozen=True)
class Row:
    """One contender at one scale: its measurements, round by round, and what came out in the last one."""

    workload: str
    subjects: int
    contender: str
    rounds: list[Measured]
    outcome: Outcome | None
    agrees: bool

    @property
    def seconds(self) -> float:
        return median(m.seconds for m in self.rounds)

    @property
    def noise(self) -> float:
        """Half the range over the median."""
        times = [m.seconds for m in self.rounds]
        return (max(times) - min(times)) / 2 / self.seconds if len(times) > 1 else math.nan


def ratio(row: Row, rows: Iterable[Row]) -> float:
    """Its time over the first contender's of the same workload and scale."""
    first = next(r for r in rows if (r.workload, r.subjects) == (row.workload, row.subjects))
    return row.seconds / first.seconds


def exponent(rows: Iterable[Row], value: str = "seconds") -> float:
    """The power with which a cost grows with the city: the slope between logarithms, over all scales of one contender. NaN for one scale."""
    return power([(r.subjects, r.seconds if value == "seconds" else median(getattr(m, value) for m in r.rounds)) for r in rows])


def power(points: Sequence[tuple[float, float]]) -> float:
    """The exponent of the power that fits ``(x, y)`` best: the slope between their logarithms. NaN for less than two different x."""
    logs = [(math.log(x), math.log(max(y, 1e-9))) for x, y in points]
    n, mean_x, mean_y = len(logs), sum(x for x, _ in logs) / len(logs), sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread if n > 1 and spread else math.nan


def drift(row: Row) -> str:
    """How the cost of a day changes from day to day."""
    days = row.rounds[-1].days
    seconds, written = ([(number, day[i]) for number, day in enumerate(days, start=1)] for i in (0, 1))
    tenth = max(1, len(days) // 6)
    first, last = (median(s for s, _ in part) for part in (days[:tenth], days[-tenth:]))
    return (
        f"{len(days)} days: median {median(s for s, _ in days):.0f} s, first {tenth} {first:.0f} s, last {tenth} {last:.0f} s, with the number of the day to the power"
        f" {power(seconds):.2f}; written a day: median {median(b for _, b in days) / 2**20:.2f} MB, to the power {power(written):.2f}"
    )


def markdown(rows: list[Row], machine: str) -> str:
    lines = [
        f"Machine: {machine}",
        "",
        "| workload | live subjects | contender | s | noise | ratio | peak MB | written MB | processor s | load | rows | agrees |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        last = r.rounds[-1]
        noise = "" if math.isnan(r.noise) else f"±{r.noise:.0%}"
        counted = f"{r.outcome.rows:,}" if r.outcome else ""
        agrees = "yes" if r.agrees else "NO: not counted" if r.outcome else ""
        lines.append(
            f"| {r.workload} | {r.subjects:,} | {r.contender} | {r.seconds:.1f} | {noise} | {ratio(r, rows):.2f} | {max(m.peak for m in r.rounds) / 2**20:,.0f} | {last.written / 2**20:,.1f} | {last.processor:,.0f} | {last.load:.1f} | {counted} | {agrees} |"
        )
    lines += ["", "Stages (s, last round):", ""]
    for r in rows:
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in r.rounds[-1].stages.items())
        lines.append(f"- {r.workload}, {r.subjects:,}, {r.contender}: {stages}")
    lines += ["", *(f"- {r.workload}, {r.subjects:,}, {r.contender}, {drift(r)}" for r in rows if r.rounds[-1].days)]
    grown = {(r.workload, r.contender) for r in rows if sum((o.workload, o.contender) == (r.workload, r.contender) for o in rows) > 1}
    if grown:
        lines += ["", "Growth with the size of the city (power; 0: not at all, 1: in proportion):", ""]
        for workload, contender in sorted(grown):
            mine = [r for r in rows if (r.workload, r.contender) == (workload, contender)]
            lines.append(f"- {workload}, {contender}: time {exponent(mine):.2f}, bytes written {exponent(mine, 'written'):.2f}")
    return "\n".join(lines) + "\n"


def picture(rows: list[Row]) -> str:
    """Bars of seconds by workload, scale and contender, as SVG."""
    height, left, width = 22, 330, 900
    longest = max((r.seconds for r in rows), default=1.0)
    bars = []
    for place, r in enumerate(rows):
        y = 30 + place * height
        length = max(1.0, (width - left - 90) * r.seconds / longest)
        colour = "#2563a8" if r.contender == "lake" else "#9aa5b1"
        label = escape(f"{r.workload} {r.subjects:,} {r.contender}")
        bars.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{label}</text><rect x="{left}" y="{y + 2}" width="{length:.1f}" height="16" fill="{colour}"/><text x="{left + length + 6:.1f}" y="{y + 14}">{r.seconds:.1f} s</text>'
        )
    body = "\n".join(bars)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{40 + len(rows) * height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/><text x="8" y="18" font-weight="bold">./lake bench: seconds, shorter is better</text>\n{body}\n</svg>\n'
