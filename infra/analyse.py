"""``./lake analyse``: the city's economy of a period, or what is forecast, on one screen, as the asking user may see it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from catalog.contract import load_contracts
from infra.printing import print_json
from infra.problems import Problem
from infra.querying import asking
from infra.services.base import Context

CITY, ALL = "全市", "全部"
RATES = ("birth_rate", "death_rate", "net_rate", "churn_rate")
# What is shown of the city and of each district, in this order.
OF_CITY = {
    "存量与变动": ("live_subjects", "births", "exits", *RATES),
    "产业结构": ("primary_share", "secondary_share", "tertiary_share", "upgrading_index", "herfindahl_index", "largest_sections_share", "structural_change", "moore_angle"),
    "区域协调": ("theil_total", "theil_between", "theil_within", "gini_index", "variation_coefficient", "theil_of_births", "moran_index", "moran_p_value"),
    "不能判定的": ("unassigned_district_share", "unassigned_section_share"),
}  # fmt: skip
OF_DISTRICTS = ("live_subjects", "birth_rate", "death_rate", "net_rate", "tertiary_share", "similarity_to_city", "growth_competitive_part")
COUNTS = {"live_subjects", "births", "exits", "growth_national_part", "growth_mix_part", "growth_competitive_part"}
MOST = 5  # specialisations of a district
_PERIODS = "SELECT period_end, max(as_of), max(release_id) FROM lake.gold.economy_indicators WHERE period_end <= ? GROUP BY 1 ORDER BY 1 DESC LIMIT 1"
_FIGURES = """
    SELECT economy_indicator, district_name, industry_section_name, economy_value, value_low, value_high, subjects_counted, value_kind
    FROM lake.gold.economy_indicators WHERE period_end = ? ORDER BY 1, 2, 3"""

_EXPECTED = """
    SELECT series_month, district_name, industry_section_name, forecast_value, forecast_low, forecast_high, forecast_low_wide, forecast_high_wide,
        forecast_method, input_kind, as_of
    FROM lake.gold.economy_forecast WHERE forecast_origin = ? ORDER BY 2, 3, 1"""
_TESTED = """
    SELECT district_name, industry_section_name, tested_origins, scaled_error, naive_scaled_error, test_verdict, interval_coverage
    FROM lake.gold.economy_backtest WHERE forecast_origin = ? ORDER BY 1, 2"""


def show(context: Context, as_of: str, user: str, password: str, as_json: bool, out: Console) -> None:
    """Print the figures of the newest period that ends on ``as_of`` (2023-12-31) or before; empty: of the newest there is.

    Raises:
        Problem: the date can't be read, there is no such period, or the account may not read the table.
    """
    day = day_of(as_of)
    with asking(context, user, password, "lake analyse", "经济监测指标") as cursor:
        periods = cursor.execute(_PERIODS, [day]).fetchall()
        if not periods:
            raise Problem(f"{day} 以前没有可算的时期", "登记数据里没有更早的主体", "把 --as-of 改晚一些")
        ((end, known, release),) = periods
        rows = cursor.execute(_FIGURES, [end]).fetchall()
    names = ("indicator", "district", "section", "value", "low", "high", "counted", "value_kind")
    figures = [dict(zip(names, row, strict=True)) for row in rows]
    if as_json:
        print_json({"period_end": end, "as_of": known, "release_id": release, "figures": figures})
        return
    _print(out, end, known, release, figures)


def show_forecast(context: Context, as_of: str, user: str, password: str, as_json: bool, out: Console) -> None:
    """Print the newest forecast that rests on what had arrived by ``as_of``; empty: the newest there is. What was published then is shown as it was.

    Who may see one district alone is shown that.

    Raises:
        Problem: the date can't be read, there is no forecast yet, or the account may not read the table.
    """
    day = day_of(as_of)
    with asking(context, user, password, "lake analyse", "新登记户数预测") as cursor:
        ((origin,),) = cursor.execute("SELECT max(forecast_origin) FROM lake.gold.economy_forecast WHERE as_of <= ?", [day]).fetchall()
        if origin is None:
            why = "需要连续四十四个月都有登记数据；有一个月全市没有登记，即视为没有报送" if day == dt.date.max else f"到 {day} 还没有作过预测"
            raise Problem("没有预测", why, "补齐缺报的月份，或把 --as-of 改晚一些")
        rows = cursor.execute(_EXPECTED, [origin]).fetchall()
        tests = cursor.execute(_TESTED, [origin]).fetchall()
    names = ("month", "district", "section", "value", "low", "high", "low_wide", "high_wide", "method", "input_kind", "as_of")
    told = [dict(zip(names, row, strict=True)) for row in rows]
    tested = [dict(zip(("district", "section", "origins", "error", "naive_error", "verdict", "coverage"), row, strict=True)) for row in tests]
    if as_json:
        found = {"forecast_origin": origin, "as_of": told[0]["as_of"], "expected": told, "tested": tested}
        print_json(found)
        return
    _print_forecast(out, origin, told, tested)


def _print_forecast(out: Console, origin: dt.date, told: list[dict[str, Any]], tested: list[dict[str, Any]]) -> None:
    out.print(f"\n[bold]截至 {origin} 作出的新登记户数预测[/]", soft_wrap=True)
    out.print(f"依据 {told[0]['as_of']} 为止到达的数据；方法和注意事项见 docs/forecast.zh.md", style="dim")
    if told[0]["input_kind"] != "observed":
        out.print("含模拟（演示）数据" if told[0]["input_kind"] == "simulated" else "含估计值（如按名称判定的行业）", style="yellow")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    home = CITY if any(f["district"] == CITY for f in told) else str(told[0]["district"])
    table.add_column(home, no_wrap=True)
    for title in ("预测值", "80% 区间", "约 95% 区间"):
        table.add_column(title, justify="right")
    total = [f for f in told if (f["district"], f["section"]) == (home, ALL)]
    for f in total:
        bounds = ["—" if f[low] is None else f"{f[low]:,.0f}–{f[high]:,.0f}" for low, high in (("low", "high"), ("low_wide", "high_wide"))]
        table.add_row(f"{f['month']:%Y-%m}", f"{f['value']:,.0f}", *bounds)
    out.print()
    out.print(table)
    for place, column in (("district", "各区"), ("section", "各行业")) if home == CITY else (("section", "各行业"),):
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(column, no_wrap=True)
        table.add_column(f"今后 {len(total)} 个月合计", justify="right")
        other, whole = ("section", ALL) if place == "district" else ("district", home)
        sums: dict[str, Decimal] = {}
        for f in told:
            if f[other] == whole and (f["district"], f["section"]) != (home, ALL):
                sums[f[place]] = sums.get(f[place], Decimal(0)) + f["value"]
        for name, value in sorted(sums.items(), key=lambda item: -item[1]):
            table.add_row(name, f"{value:,.0f}")
        out.print()
        out.print(table)
    for t in tested:
        if (t["district"], t["section"]) == (home, ALL):
            verdict = dict(load_contracts()["gold.economy_backtest"].column("test_verdict").allowed)[t["verdict"]]
            out.print(
                f"\n回测（{home}，{t['origins']} 个起点）：误差 {t['error']:.3f}，上年同月法 {t['naive_error']:.3f}（{verdict}）；80% 区间实际覆盖 {t['coverage']:.0%}",
                soft_wrap=True,
            )


def day_of(as_of: str) -> dt.date:
    """The day that an option names; the last there is where it names none.

    Raises:
        Problem: it can't be read.
    """
    try:
        return dt.date.fromisoformat(as_of) if as_of else dt.date.max
    except ValueError as error:
        raise Problem("读不出日期", str(error), "日期写成 2023-12-31") from None


def _print(out: Console, end: dt.date, known: dt.date, release: str, figures: list[dict[str, Any]]) -> None:
    labels = dict(load_contracts()["gold.economy_indicators"].column("economy_indicator").allowed)
    at = {(f["indicator"], f["district"], f["section"]): f for f in figures}
    whole = "" if (end.month, end.day) == (12, 31) else "，不足一年：没有比率和同比"
    out.print(f"\n[bold]截至 {end} 的经济监测指标[/]{whole}", soft_wrap=True)
    out.print(f"数据截至 {known}，发布 {release}；定义见 docs/indicators.zh.md", style="dim")
    kinds = {f["value_kind"] for f in figures}
    if kinds - {"observed"}:
        what = "、".join(word for kind, word in (("simulated", "模拟（演示）数据"), ("estimated", "估计值（如按名称判定的行业）")) if kind in kinds)
        out.print(f"含{what}", style="yellow")
    for title, wanted in OF_CITY.items():
        told = [(name, at[name, CITY, ALL]) for name in wanted if (name, CITY, ALL) in at]
        if told:
            table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
            table.add_column(style="dim", no_wrap=True, min_width=30)
            table.add_column(justify="right")
            for name, figure in told:
                table.add_row(labels[name], _shown(name, figure["value"]))
            out.print(f"\n[bold cyan]{title}[/]")
            out.print(table)
    districts = sorted({f["district"] for f in figures} - {CITY})
    shown = [name for name in OF_DISTRICTS if any((name, d, ALL) in at for d in districts)]
    if districts:
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column("区", no_wrap=True)
        for name in shown:
            table.add_column(labels[name].partition("（")[0], justify="right")
        table.add_column("比全市集中的行业（区位商，区间在 1 以上）", overflow="fold")
        for district in districts:
            cells = [_shown(name, at[name, district, ALL]["value"]) if (name, district, ALL) in at else "—" for name in shown]
            strong = sorted((f for f in figures if f["indicator"] == "location_quotient" and f["district"] == district and f["low"] > 1), key=lambda f: -f["value"])  # fmt: skip
            table.add_row(district, *cells, "、".join(f"{f['section']} {f['value']:.2f}" for f in strong[:MOST]) or "—")
        out.print("\n[bold cyan]各区[/]")
        out.print(table)


def _shown(name: str, value: Any) -> str:
    if name in COUNTS:
        return f"{value:,.0f}"
    if name in RATES or name.endswith("_share"):
        return f"{100 * value:.1f}%"
    return f"{value:,.1f}" if name in ("herfindahl_index", "moore_angle") else f"{value:.3f}"
