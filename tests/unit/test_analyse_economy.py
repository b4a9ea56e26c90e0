"""The city's figures from a small register that can be counted by hand; the districts' neighbours against the map; every indicator explained."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from catalog.contract import load_contracts
from infra.settings import REPO
from spark_jobs.analyse import build, economy

SECTIONS = ["农、林、牧、渔业", "采矿业", "制造业"]
DISTRICTS = {
    "甲区": economy.District("1", "甲区", "中心", ("2",)),
    "乙区": economy.District("2", "乙区", "外围", ("1",)),
}
COLUMNS = ["month", "district", "section", "subjects", "value_kind"]


def told(rows):
    return pd.DataFrame([(dt.date(y, m, 1), *rest) for y, m, *rest in rows], columns=COLUMNS)


BIRTHS = told([
    (2020, 1, "甲区", "制造业", 60, "observed"),
    (2020, 2, "甲区", "农、林、牧、渔业", 20, "estimated"),
    (2020, 3, "乙区", "制造业", 20, "observed"),
    (2020, 3, "未分配", "制造业", 10, "observed"),
    (2020, 3, "乙区", "未分配", 10, "observed"),
    (2021, 5, "乙区", "农、林、牧、渔业", 40, "observed"),
    (2022, 3, "甲区", "制造业", 7, "simulated"),
])  # fmt: skip
EXITS = told([(2021, 1, "甲区", "制造业", 5, "observed"), (2021, 12, "甲区", "制造业", 7, "observed")])
UNTIL = dt.date(2022, 4, 1)


@pytest.fixture(scope="module")
def rows():
    counts = economy.counts(BIRTHS, EXITS, list(DISTRICTS), SECTIONS, UNTIL)
    return list(economy.figures(counts, DISTRICTS))


def value(rows, indicator, year, district="全市", section="全部"):
    (found,) = [r for r in rows if (r.indicator, r.period_end.year, r.district, r.section) == (indicator, year, district, section)]
    return found


def test_stock_births_and_exits(rows):
    assert [value(rows, "live_subjects", y).value for y in (2020, 2021, 2022)] == [120, 148, 155]
    assert value(rows, "live_subjects", 2021, "甲区").value == 68
    assert value(rows, "live_subjects", 2021, section="制造业").value == 78
    assert value(rows, "live_subjects", 2021, "未分配").value == 10
    assert (value(rows, "births", 2021).value, value(rows, "exits", 2021).value) == (40, 12)
    # 120 at the start and 40 new ones were active in the year.
    assert [value(rows, f"{n}_rate", 2021).value for n in ("birth", "death", "net", "churn")] == [Decimal("0.25"), Decimal("0.075"), Decimal("0.175"), Decimal("0.325")]  # fmt: skip


def test_the_last_period_ends_where_the_data_end(rows):
    assert value(rows, "live_subjects", 2022).period_end == dt.date(2022, 3, 31)
    # Three months are no year: no rates, and nothing that compares years.
    assert {r.indicator for r in rows if r.period_end.year == 2022} & {
        "births",
        "exits",
        "birth_rate",
        "structural_change",
        "growth_mix_part",
        "theil_of_births",
    } == set()


def test_structure_is_of_what_is_known(rows):
    assert value(rows, "unassigned_district_share", 2020).value == Decimal("0.083333")
    assert value(rows, "unassigned_section_share", 2020).value == Decimal("0.083333")
    assert [value(rows, "section_share", 2020, "甲区", s).value for s in SECTIONS] == [Decimal("0.25"), 0, Decimal("0.75")]
    # Of the 110 of known section 90 make things, wherever they are.
    assert value(rows, "section_share", 2020, section="制造业").value == Decimal("0.818182")
    q = value(rows, "location_quotient", 2020, "甲区", "农、林、牧、渔业")
    assert q.value == Decimal("1.25")  # (20 / 80) / (20 / 100)
    assert q.low < q.value < q.high
    assert (q.counted, q.value_kind) == (20, "estimated")
    assert value(rows, "secondary_share", 2020, "乙区").value == 1
    assert value(rows, "herfindahl_index", 2020, "甲区").value == 6250


def test_parts_of_growth_sum_to_it(rows):
    parts = [value(rows, f"growth_{n}_part", 2021, "乙区").value for n in ("national", "mix", "competitive")]
    assert sum(parts) == 40
    both = [sum(value(rows, "growth_competitive_part", 2021, d).value for d in DISTRICTS)]
    assert both == [pytest.approx(0, abs=1e-5)]


def test_regions_differ(rows):
    total, between, within = (value(rows, f"theil_{n}", 2020).value for n in ("total", "between", "within"))
    assert (between, within) == (total, 0), "each group is one district"
    assert total == Decimal(f"{8 / 11 * np.log(16 / 11) + 3 / 11 * np.log(6 / 11):.6f}")
    assert value(rows, "moran_index", 2020).value == -1


def test_what_was_made_up_stays_so(rows):
    assert value(rows, "live_subjects", 2021, "甲区").value_kind == "estimated"
    assert value(rows, "live_subjects", 2022, "甲区").value_kind == "simulated"
    assert value(rows, "live_subjects", 2022, "乙区").value_kind == "observed"


def test_sums_hold_whatever_the_register():
    draw = random.Random(random.SystemRandom().randrange(10**9))
    places, trades = [*DISTRICTS, "未分配", "外地"], [*SECTIONS, "未分配"]

    def many(number):
        kinds = [(draw.choice(places), draw.choice(trades), draw.randint(1, 9), "observed") for _ in range(number)]
        return told([(draw.randint(2018, 2021), draw.randint(1, 12), *kind) for kind in kinds])

    births, exits = many(200), many(40)
    found = list(economy.figures(economy.counts(births, exits, list(DISTRICTS), SECTIONS, UNTIL), DISTRICTS))
    for indicator in ("live_subjects", "births", "exits"):
        for end in {r.period_end for r in found if r.indicator == indicator}:
            mine = [r for r in found if (r.indicator, r.period_end) == (indicator, end)]
            total = sum(r.value for r in mine if (r.district, r.section) == ("全市", "全部"))
            assert sum(r.value for r in mine if r.district != "全市") == total
            assert sum(r.value for r in mine if r.section != "全部") == total
    for year, subjects in births.groupby(births["month"].map(lambda m: m.year))["subjects"].sum().items():
        if any(r.period_end == dt.date(year, 12, 31) for r in found):
            assert value(found, "births", year).value == int(subjects)
    assert len({(r.indicator, r.period_end, r.district, r.section) for r in found}) == len(found)


def test_later_periods_alone_are_as_among_all(rows):
    counts = economy.counts(BIRTHS, EXITS, list(DISTRICTS), SECTIONS, UNTIL)
    assert list(economy.figures(counts, DISTRICTS, dt.date(2021, 1, 1))) == [r for r in rows if r.period_end.year >= 2021]


@pytest.mark.parametrize("exits", [EXITS.iloc[:0], EXITS.iloc[:1], EXITS.iloc[1:]], ids=["none", "no December", "no January"])
def test_that_nobody_left_is_not_known_where_exits_are_not_told(exits):
    found = list(economy.figures(economy.counts(BIRTHS, exits, list(DISTRICTS), SECTIONS, UNTIL), DISTRICTS))
    assert {r.indicator for r in found} & {"exits", "death_rate", "net_rate", "churn_rate"} == set()
    assert value(found, "birth_rate", 2021).value > 0


def test_a_month_that_has_begun_is_not_over():
    counts = economy.counts(BIRTHS, told([(2022, 12, "甲区", "制造业", 1, "observed")]), list(DISTRICTS), SECTIONS, dt.date(2022, 12, 2))
    assert counts.periods[-1] == dt.date(2022, 12, 2)
    assert not counts.whole(2)
    assert economy.counts(BIRTHS, EXITS, list(DISTRICTS), SECTIONS, dt.date(2022, 3, 5)).periods[-1] == dt.date(2022, 3, 5)


def test_who_left_before_the_first_registration_is_a_period_too():
    early = economy.counts(BIRTHS, told([(2018, 5, "甲区", "制造业", 1, "observed")]), list(DISTRICTS), SECTIONS, UNTIL)
    found = list(economy.figures(early, DISTRICTS))
    assert [value(found, "live_subjects", y).value for y in (2018, 2019, 2020)] == [0, 0, 119]


# --- what is declared beside ------------------------------------------------------------------------------------------


def test_neighbours_are_those_of_the_map():
    """Districts touch where their outlines share points."""
    shapes = json.loads((REPO / "catalog" / "maps" / "guangzhou_districts.geojson").read_text(encoding="utf-8"))["features"]
    outline = {s["properties"]["name"]: {tuple(p) for p in s["geometry"]["coordinates"][0]} for s in shapes}
    frame = build.districts()
    assert set(frame) == set(outline)
    named = {d.code: d.name for d in frame.values()}
    for name, district in frame.items():
        assert {named[c] for c in district.neighbours} == {other for other in outline if other != name and len(outline[name] & outline[other]) > 1}


def test_every_indicator_is_worked_out_and_explained(rows):
    """Declared, worked out and explained are the same indicators."""
    declared = dict(load_contracts()["gold.economy_indicators"].column("economy_indicator").allowed)
    assert {r.indicator for r in rows} == set(declared)
    page = (REPO / "docs" / "indicators.zh.md").read_text(encoding="utf-8")
    explained = re.findall(r"^### (.+?) `(\w+)`$", page, re.M)
    assert {name: label for label, name in explained} == declared
    for part in re.split(r"^### ", page, flags=re.M)[1:]:
        for word in ("公式", "口径", "来源"):
            assert f"- **{word}**：" in part, part[:40]


def test_the_contract_names_what_is_read():
    assert set(load_contracts()[build.INDICATORS].inputs) == {build.BIRTHS, build.EXITS, "silver.ref_industry"}


def test_rows_have_codes_beside_names(rows):
    of = {"A": "农、林、牧、渔业", "B": "采矿业", "C": "制造业"}
    laid = build.rows_of(rows, DISTRICTS, of, 7, dt.date(2022, 4, 1))
    quotient = next(r for r in laid if r[0] == "location_quotient")
    assert quotient[2:7] == ("2020年", "1", "甲区", "A", "农、林、牧、渔业")
    city = next(r for r in laid if r[0] == "live_subjects")
    assert city[3:7] == (None, "全市", None, "全部")
    assert laid[-1][2] == "2022年截至3月31日"
