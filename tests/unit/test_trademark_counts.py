"""Trademark statistics as rows: what is counted where, and that the parts sum to the whole."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import pandas as pd

from spark_jobs.trademark import counts
from tests.unit.test_trademark_watch import holder, mark, told

DAY = dt.date(2022, 1, 10)


def city() -> counts.Told:
    """Marks of three districts and of strangers, from January 2022 on; some were registered before."""
    holders = [holder(f"s{n}", f"美{n}轩") | {"district_name": d} for n, d in enumerate(["天河区", "天河区", "越秀区"])]
    marks = []
    for n in range(60):
        applied = dt.date(2022, 1, 1) + dt.timedelta(days=20 * n)
        registered = applied + dt.timedelta(days=300)
        subject = f"s{n % 4}" if n % 4 < 3 else None
        marks.append(
            mark(str(n), f"名{n}", nice_class=30 + n % 3, subject=subject, applied_on=applied, mark_registered_on=registered if registered < dt.date(2025, 6, 30) else None)
        )  # fmt: skip
    old = [mark(f"old{n}", f"旧{n}", subject="s2", applied_on=None, mark_registered_on=dt.date(2019, 5, 5)) for n in range(7)]
    gone = [("old0", 43, dt.date(2023, 3, 3), "撤销连续三年不使用", "予以撤销", pd.Timestamp(DAY))]
    return told(holders, [*marks, *old], decisions=gone)


def test_the_city_is_the_sum_of_its_districts_and_of_the_classes():
    rows = list(counts.of_months(city()))
    assert {r.month for r in rows} == {d.date() for d in pd.date_range("2022-05-01", "2025-05-01", freq="MS")}
    sums: dict[tuple[dt.date, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for r in rows:
        part = {(False, True): "districts", (True, False): "classes", (True, True): "city"}.get((r.district == counts.CITY, r.nice_class == 0))
        if part and r.district != counts.ABROAD:
            sums[r.month, part] = [a + b for a, b in zip(sums[r.month, part], r[3:], strict=True)]
    for month in {m for m, _ in sums}:
        assert sums[month, "city"] == sums[month, "districts"] == sums[month, "classes"]


def test_the_stock_is_what_is_in_force_at_the_end_of_the_month():
    of = city()
    stock = {r.month: r.stock for r in counts.of_months(of) if (r.district, r.nice_class) == (counts.CITY, 0)}
    # Seven old ones; one is struck off in March 2023; of the others those of the city that were registered by then.
    marks = of.marks[of.marks["district_name"].notna()]
    for month, end in (
        (dt.date(2023, 2, 1), dt.date(2023, 2, 28)),
        (dt.date(2023, 3, 1), dt.date(2023, 3, 31)),
        (dt.date(2025, 5, 1), dt.date(2025, 5, 31)),
    ):
        by_hand = sum(d is not None and d <= end for d in marks["mark_registered_on"]) - (end >= dt.date(2023, 3, 3))
        assert stock[month] == by_hand


def test_rankings_compare_with_a_year_that_is_known_whole_only():
    found = list(counts.rankings(city(), {(dt.date(2024, 12, 31), "天河区"): 20_000.0}))
    by = {(r.of, r.indicator, r.period_end, r.name): r for r in found}
    year, part = dt.date(2024, 12, 31), dt.date(2025, 5, 31)
    first = by["district", "applications", year, "天河区"]
    assert first.rank == 1
    assert first.before is not None
    assert first.change == first.value / first.before - 1
    # Two districts of the city have everything.
    assert (
        abs(sum(r.share for r in found if (r.of, r.indicator, r.period_end) == ("district", "valid_stock", year) and r.share is not None) - 1) < 1e-9
    )
    per = by["district", "per_10_000_subjects", year, "天河区"]
    assert per.value == by["district", "valid_stock", year, "天河区"].value / 2
    assert ("district", "per_10_000_subjects", part, "天河区") not in by
    ratio = by["district", "registration_ratio", year, "天河区"]
    assert ratio.value == by["district", "registrations", year, "天河区"].value / first.value
    assert ratio.share is None
    assert {r.name for r in found if r.of == "owner"} == {"s0", "s1", "s2"}


def test_equal_ones_share_the_better_rank():
    holders = [holder(f"s{n}", f"美{n}轩") | {"district_name": d} for n, d in enumerate(["天河区", "越秀区", "海珠区", "荔湾区"])]
    marks = [
        mark(f"{d}{n}", f"名{d}{n}", subject=f"s{d}", applied_on=dt.date(2024, 1, 1 + n))
        for d, times in enumerate([3, 2, 2, 1])
        for n in range(times)
    ]
    found = [
        r for r in counts.rankings(told(holders, marks), {}) if (r.of, r.indicator) == ("district", "applications") and r.period_end.year == 2024
    ]
    assert [(r.name, r.rank) for r in sorted(found, key=lambda r: (r.rank, r.name))] == [("天河区", 1), ("海珠区", 2), ("越秀区", 2), ("荔湾区", 4)]


def test_nothing_is_counted_before_all_is_known():
    assert counts.first_month(city()) == dt.date(2022, 1, 1)
    late = told([holder("s0", "美味轩")], [mark("1", "甲", applied_on=dt.date(2024, 3, 15)), mark("2", "乙", applied_on=dt.date(2024, 5, 1))])
    assert counts.first_month(late) == dt.date(2024, 5, 1)  # April is a gap
    none = told([holder("s0", "美味轩")], [mark("1", "甲", applied_on=None, mark_registered_on=dt.date(2020, 1, 1))])
    assert not list(counts.of_months(none))
    assert not list(counts.rankings(none, {}))
