"""What other departments send: tax and social security, their licences and penalties, courts, statistics that follow the register."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from samples.city.columns import choose, dates, join, numbers, pick, repeat, where
from samples.city.documents import numbered
from samples.city.feeds import Rows
from samples.city.parameters import day
from samples.city.population import BRANCH, Population
from samples.city.registration import about, headcount, seen_working
from samples.city.supervision import drawn
from samples.city.vocabulary import vocabulary


def sharing(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    yield _tax(population, who, g)
    yield _social_security(population, who, g)
    yield _elsewhere(population, who, g, "other_penalties", population.parameters.rate("events.other_penalty"))
    yield _elsewhere(population, who, g, "other_licences", population.parameters.rate("events.other_licence"))
    yield _courts(population, who, g)


def _each_year(population: Population, who: np.ndarray, month: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Enterprises alive in each year's month: subjects, days, years."""
    p = population.parameters
    parts = []
    for year in range(p.first_year, p.first_year + p.years):
        on = day(year, month, 20)
        mine = who[(population.kind[who] < BRANCH) & (population.born[who] < on - 90) & (population.died[who] > on)]
        parts.append((mine, np.full(len(mine), on), np.full(len(mine), year)))
    return tuple(np.concatenate([x[i] for x in parts]) for i in range(3))  # type: ignore[return-value]


def _tax(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on, year = _each_year(population, who, 4)
    keep = g.random(len(who)) < 0.5  # half of the enterprises are assessed
    who, on, year = who[keep], on[keep], year[keep]
    works = seen_working(population, who, on, g)
    score = np.log(population.frailty[who]) + g.standard_normal(len(who))
    grade = pick(list("ABMCD"), np.searchsorted([-1.2, 0.0, 0.9, 2.0], score))
    state = where(works, "正常", pick(["非正常户", "零申报", "停业"], choose(g, len(who), [0.35, 0.5, 0.15])))
    return Rows(
        "tax_flags",
        on,
        about(population, who, on) | {"所属期": numbers(year - 1), "纳税状态": state, "纳税信用等级": grade, "认定日期": dates(on)},
        who,
    )


def _social_security(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on, year = _each_year(population, who, 10)
    staff = np.where(seen_working(population, who, on, g), np.maximum(headcount(population, who, on), 1), 0)
    insured = np.where(g.random(len(who)) < 0.7, staff, np.maximum(staff - 2, 0))
    keep = (insured > 0) & (population.number[who] % 10 < 5)
    who, on, year, insured = who[keep], on[keep], year[keep], insured[keep]
    return Rows(
        "social_security",
        on,
        about(population, who, on) | {"统计期": join(numbers(year), "-09"), "参保人数": numbers(insured), "统计日期": dates(on)},
        who,
    )


def _elsewhere(population: Population, who: np.ndarray, g: np.random.Generator, feed: str, rate: float) -> Rows:
    who, on = drawn(population, who, g, rate, 0.5 if feed == "other_penalties" else 0.0)
    names = about(population, who, on)
    office = ["市生态环境局", "市应急管理局", "市城市管理综合执法局", "市交通运输局", "市卫生健康委"]
    which = g.integers(0, len(office), len(who))
    if feed == "other_penalties":
        return Rows(feed, on, names | {"处罚部门": pick(office, which), "文号": numbered(population, 6, "穗罚", who, on), "事由": pick(["未批先建", "安全隐患未整改", "占道经营", "超限超载", "卫生管理不合格"], which), "决定日期": dates(on)}, who)  # fmt: skip
    return Rows(feed, on, names | {"许可部门": pick(office, which), "证号": numbered(population, 7, "穗证", who, on), "许可内容": pick(["排污许可", "危险化学品经营", "户外广告设置", "道路运输经营", "公共场所卫生"], which), "决定日期": dates(on), "有效期至": dates(on + 1095)}, who)  # fmt: skip


def _courts(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on = drawn(population, who, g, population.parameters.rate("events.court"), 1.0)
    names = about(population, who, on)
    amount = (np.exp(g.standard_normal(len(who)) * 1.5 + 12) * 100).astype(np.int64)
    return Rows("court_enforcement", on, {"案号": numbered(population, 8, "粤01执", who, on), "统一社会信用代码": names["统一社会信用代码"], "被执行人": names["企业名称"], "执行法院": repeat("广州市中级人民法院", len(who)), "立案日期": dates(on), "执行标的（元）": numbers(amount, 2)}, who)  # fmt: skip


def macro(population: Population) -> tuple[Rows, pa.Table]:
    """Year-on-year output by quarter, which follows the hidden state of the economy by a known number of quarters; and that truth.

    Births respond to the same state at once (population._in_year), so new registrations lead output by `macro.lead_quarters`.
    """
    p, g = population.parameters, population.parameters.generator(60)
    lead = round(p.rate("macro.lead_quarters"))
    state = population.factor.reshape(-1, 3).mean(axis=1)  # by quarter, beginning three years before the start
    quarters = np.arange(12 - 8, 12 + 4 * p.years)  # two years before the start are stated too
    output = (
        p.rate("macro.output_growth")
        + p.rate("macro.output_response") * state[quarters - lead]
        + p.rate("macro.output_noise") * g.standard_normal(len(quarters))
    )
    year, quarter = p.first_year - 3 + quarters // 4, quarters % 4
    label = [f"{y}Q{q + 1}" for y, q in zip(year, quarter, strict=True)]
    released = np.array([day(int(y) + (q == 3), 1 if q == 3 else 3 * q + 4, 20) for y, q in zip(year, quarter, strict=True)])
    # A first figure and, a year later, a revised one.
    revised = output + 0.1 * g.standard_normal(len(output))
    on = np.concatenate([released, released + 365])
    value = np.rint(np.concatenate([output, revised]) * 10).astype(np.int64)
    keep = on < p.end
    columns = {
        "指标": repeat("地区生产总值同比", len(on)),
        "时期": pa.array(label * 2),
        "数值": numbers(value, 1),
        "单位": repeat("%", len(on)),
        "发布日期": dates(on),
        "版本": pick(["初步核算", "修订"], np.repeat([0, 1], len(output))),
    }
    mine = np.flatnonzero(keep)
    truth = pa.table(
        {
            "series": ["地区生产总值同比"] * len(label),
            "quarter": label,
            "state": state[quarters],
            "driving_state": state[quarters - lead],
            "value": output,
            "lead_quarters": [lead] * len(label),
        }
    )
    return Rows(
        "macro_statistics", np.maximum(on[mine], p.start - 1), {n: c.take(pa.array(mine)) for n, c in columns.items()}, np.full(len(mine), -1)
    ), truth


def associations(population: Population) -> tuple[Rows, pa.Table]:
    """Sales of trades as their associations report them, in the rhythm of the hidden state at once; and that truth."""
    p, g = population.parameters, population.parameters.generator(61)
    sections = ["F", "H", "I", "L", "O"]
    quarters = np.repeat(np.arange(4 * p.years), len(sections))
    section = np.tile(np.arange(len(sections)), 4 * p.years)
    state = population.factor.reshape(-1, 3).mean(axis=1)[12 + quarters]
    value = np.rint((100 + 2 * state + g.standard_normal(len(quarters))) * 10).astype(np.int64)
    on = np.array([day(p.first_year + q // 4 + (q % 4 == 3), 1 if q % 4 == 3 else 3 * (q % 4) + 4, 15) for q in quarters])
    mine = np.flatnonzero(on < p.end)
    names = [f"广州市{vocabulary().yaml['trades'][s][2][0]}行业协会" for s in sections]
    columns = {
        "协会": pick(names, section),
        "行业门类": pick(sections, section),
        "时期": pa.array([f"{p.first_year + q // 4}Q{q % 4 + 1}" for q in quarters]),
        "指标": repeat("景气指数", len(on)),
        "数值": numbers(value, 1),
        "单位": repeat("点", len(on)),
        "报送日期": dates(on),
    }
    truth = pa.table(
        {
            "series": columns["协会"],
            "quarter": columns["时期"],
            "state": state,
            "driving_state": state,
            "value": value / 10,
            "lead_quarters": [0] * len(on),
        }
    )
    return Rows("association_figures", on[mine], {n: c.take(pa.array(mine)) for n, c in columns.items()}, np.full(len(mine), -1)), truth
