"""What the city claims of published rates, counted in what was made: the population, and the delivered files."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from samples.city.parameters import day, stated
from samples.city.population import COOPERATIVE, FOREIGN, SOLE, Population
from samples.city.registration import headcount
from samples.city.supervision import REASON_TEXTS, REASONS
from samples.city.vocabulary import vocabulary


def claims(c: Population, target: Path) -> dict[str, dict[str, float]]:
    """By rate: what is published, what was made, and of how many (0: drawn exactly, or no share)."""
    made = _of_population(c) | _of_files(c, target)
    return {
        name: {"published": c.parameters.rate(name), "made": round(float(value), 6), "number": int(number)}
        for name, (value, number) in made.items()
        if stated()[name].get("claim")
    }


def _of_population(c: Population) -> dict[str, tuple[float, float]]:
    p = c.parameters
    first, last = day(p.first_year + p.years - 1, 1, 1), c.alive(p.end - 1).sum()
    before = c.alive(first - 1).sum()
    born = (c.born >= first) & (c.born < p.end)
    companies = (c.kind != SOLE) & (c.kind != COOPERATIVE)
    sector = np.array([vocabulary().yaml["sectors"].get(s, "tertiary") for s in vocabulary().sections])[c.section]
    # A year after birth, of those that live then; whoever was born so late that it isn't over yet is left out.
    grown = np.flatnonzero((c.born >= p.start - 365) & (c.born < p.end - 365) & (c.died > c.born + 365))
    works = c.works(grown, c.born[grown] + 365)
    firms = grown[works & companies[grown]]
    made = {
        "stock.growth_last_year": (last / before - 1, 0),
        "stock.births_last_year": (born.sum() / last, 0),
        "kinds.enterprise_share": (companies.mean(), len(c)),
        "kinds.foreign_share": ((c.kind == FOREIGN).sum() / companies.sum(), companies.sum()),
        "survival.operating_after_one_year": (works.mean(), len(grown)),
        "survival.staff_at_start": (c.staff[companies].mean(), 0),
        "survival.staff_after_one_year": (headcount(c, firms, c.born[firms] + 365).mean(), 0),
    }
    for name in ("primary", "secondary"):
        made[f"kinds.{name}_share"] = ((sector == name)[companies].mean(), companies.sum())
    if p.years > 1:
        year = day(p.first_year + p.years - 2, 1, 1)
        made["stock.growth_before"] = (before / c.alive(year - 1).sum() - 1, 0)
        made["stock.births_before"] = (((c.born >= year) & (c.born < first)).sum() / before, 0)
    return made


def _of_files(c: Population, target: Path) -> dict[str, tuple[float, float]]:
    p = c.parameters
    demands, goods, settled = Counter[str](), Counter[str](), Counter[str]()
    disputed = recovered = 0.0
    # Of the last two months not all has come to its end; months are counted from 100 in the numbers of demands.
    ended = [str(100 + month) for month in range(12 * p.years - 2)]
    for line in _lines(target, "complaints"):
        demands[_cell(line, "诉求类型")] += 1
        goods[_cell(line, "客体类别")] += 1
        amount = _cell(line, "争议金额")
        if _cell(line, "登记编号")[7:10] in ended and re.fullmatch(r"[\d.]+", amount):
            disputed += float(amount)
    for line in _lines(target, "complaint_steps"):
        settled[_cell(line, "结果")] += 1
        if _cell(line, "登记编号")[7:10] in ended:
            recovered += float(_cell(line, "挽回损失") or 0)
    total, judged, kinds = sum(demands.values()), settled["调解成功"] + settled["调解不成"], goods["商品"] + goods["服务"]
    stock = sum(c.alive(day(p.first_year + y + 1, 1, 1) - 1).sum() for y in range(p.years))
    reasons = _reasons(target)
    listed = sum(reasons.values())
    made: dict[str, tuple[float, float]] = {
        f"abnormal_reasons.{name}": (reasons[text] / max(listed, 1), listed) for name, text in zip(REASONS, REASON_TEXTS, strict=True)
    }
    made |= {
        "complaints.per_subject": ((total - _added(target)) / stock, 0),
        "complaints.complaint_share": (demands["投诉"] / total, total),
        "complaints.report_share": (demands["举报"] / total, total),
        "complaints.goods_share": (goods["商品"] / kinds, kinds),
        "complaints.mediated": (settled["调解成功"] / judged, judged),
        "complaints.recovered": (recovered / disputed, 0),
    }
    if p.years > 1:
        made["trademarks.registered"] = _registered(target, p.first_year)
    return made


def _added(target: Path) -> int:
    """Demands that bursts have added: they come on top of what is published."""
    return int(pc.sum(pc.greater_equal(pq.read_table(target / "truth" / "demands.parquet")["burst"], 0)).as_py())


def _final(target: Path, feed: str) -> Iterator[Path]:
    """The files of a feed that count: neither sent twice nor put right later."""
    for path in sorted((target / "deliveries" / feed).iterdir()):
        corrected = path.with_name(f"{path.name.partition('.')[0]}_更正.{path.name.partition('.')[2]}").exists()
        if not (path.name.endswith(".manifest.json") or "_重复" in path.name or corrected):
            yield path


def _lines(target: Path, feed: str) -> Iterator[str]:
    for path in _final(target, feed):
        with path.open(encoding="utf-8") as file:
            yield from file


def _cell(line: str, header: str) -> str:
    """A value of a line of JSON that has no escapes in it."""
    return line.split(f'"{header}": "', 1)[1].split('"', 1)[0]


def _reasons(target: Path) -> Counter[str]:
    """Why subjects were listed or marked; each entry once."""
    found: Counter[str] = Counter()
    for feed, ended in (("abnormal_list", 5), ("individual_marks", 4)):
        for path in _final(target, feed):
            with path.open(encoding="utf-8", newline="") as file:
                found.update(row[3] for row in csv.reader(file) if len(row) > ended and row[3] in REASON_TEXTS and not row[ended])
    return found


def _registered(target: Path, first_year: int) -> tuple[float, float]:
    """The share of the first half year's applications that have been registered, by the deliveries."""
    applied, registered = set(), set()
    for path in _final(target, "trademark_applications"):
        with path.open(encoding="utf-8", newline="") as file:
            applied |= {row[0] for row in csv.reader(file) if f"{first_year}-01" <= row[1] < f"{first_year}-07"}
    for path in _final(target, "trademark_registrations"):
        text = path.read_text("utf-8")
        registered |= set(re.findall(r"<注册号>(\d+)<", text)) if path.suffix == ".xml" else {line.split(",", 1)[0] for line in text.splitlines()}
    return len(applied & registered) / max(len(applied), 1), len(applied)
