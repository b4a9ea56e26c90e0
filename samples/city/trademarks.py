"""Marks: what honest owners file, and what squatters file on them. Stages follow one another; what is past the last day isn't delivered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.feeds import Rows
from samples.city.population import NEVER, SOLE, Population
from samples.city.vocabulary import vocabulary

STYLES = ("homophone", "lookalike", "order", "insertion", "deletion", "generic", "first", "last", "traditional", "identical")
EXAMINED = 180  # days from filing to preliminary publication, roughly
OPPOSITION = 92  # days from publication to registration when nobody opposes
TERM = 3653


@dataclass(frozen=True)
class Filings:
    """Marks with their course. ``number``: application number. Days; NEVER for a stage that isn't reached."""

    number: np.ndarray
    filed: np.ndarray
    published: np.ndarray
    registered: np.ndarray
    mark: Column
    class_: np.ndarray
    applicant: Column
    code: Column
    address: Column
    agent: np.ndarray
    subject: np.ndarray


def _course(population: Population, g: np.random.Generator, filed: np.ndarray, passes: float) -> tuple[np.ndarray, np.ndarray]:
    """Days of publication (a Friday, by the week) and registration."""
    p = population.parameters
    through = g.random(len(filed)) < passes
    published = filed + EXAMINED + g.integers(0, 60, len(filed))
    published = published + (1 - published) % 7  # 1970-01-02 was a Friday
    published = np.where(through, published, NEVER)
    opposed = g.random(len(filed)) < p.rate("trademarks.opposed")
    return published, np.where(through & ~opposed, published + OPPOSITION, NEVER)


def honest(population: Population, who: np.ndarray, g: np.random.Generator) -> tuple[Filings, np.ndarray]:
    """What the subjects file under their own trade name or an invented word; also, which were registered before the period."""
    p, words = population.parameters, vocabulary()
    weight = np.where(population.kind[who] == SOLE, 0.4, 1.4)
    before = np.repeat(who, g.poisson(0.12 * weight))
    during = np.repeat(who, g.poisson(p.rate("trademarks.applications") * weight * p.years))
    applicant = np.concatenate([before, during])
    filed = np.concatenate([p.start - 400 - g.integers(0, 3000, len(before)), g.integers(p.start, p.end, len(during))])
    lives = (filed > population.born[applicant]) & (filed < population.died[applicant])
    old = (np.arange(len(applicant)) < len(before))[lives]
    applicant, filed = applicant[lives], filed[lives]
    own = g.random(len(applicant)) < 0.6
    trade = population.trade[applicant]
    following = pa.array([*words.next, ""])
    mark = where(
        own,
        join(pick(words.first, trade[:, 0]), pick(following, trade[:, 1]), pick(following, trade[:, 2])),
        join(pick(words.first, choose(g, len(own), words.first_shares)), pick(words.next, choose(g, len(own), words.next_shares))),
    )
    published, registered = _course(population, g, filed, p.rate("trademarks.registered") / (1 - p.rate("trademarks.opposed")))
    registered = np.where(old, filed + 300, registered)
    filings = Filings(
        applicant * 16 + np.arange(len(applicant)) % 16 + 60_000_000, filed, published, registered, mark, _classes(population, applicant, g), population.name(applicant, filed),
        population.code(applicant, filed), population.address(applicant, filed), choose(g, len(filed), [0.3, 0.25, 0.1, 0.05, 0.15, 0.03, 0.1, 0.02]), applicant,
    )  # fmt: skip
    return filings, old


def _classes(population: Population, who: np.ndarray, g: np.random.Generator) -> np.ndarray:
    words = vocabulary()
    listed = [words.yaml["classes"][s] for s in words.sections]
    begins, sizes = np.cumsum([0, *[len(c) for c in listed]])[:-1], np.array([len(c) for c in listed])
    section = population.section[who]
    return np.array([c for of in listed for c in of])[begins[section] + g.integers(0, 8, len(who)) % sizes[section]]


def rows_of(population: Population, filings: Filings, old: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    """The filings as they are delivered stage by stage."""
    p = population.parameters
    agents = vocabulary().yaml["agents"]

    def part(mine: np.ndarray, column: Column) -> Column:
        return column.take(pa.array(mine))

    fresh = np.flatnonzero(~old)
    yield Rows("trademark_applications", filings.filed[fresh], {
        "申请号": numbers(filings.number[fresh]), "申请日期": dates(filings.filed[fresh]), "商标名称": part(fresh, filings.mark), "国际分类": numbers(filings.class_[fresh]),
        "类似群": pc.utf8_lpad(numbers(filings.class_[fresh] * 100 + 1 + filings.number[fresh] % 9), 4, "0"), "申请人": part(fresh, filings.applicant), "申请人代码": part(fresh, filings.code), "申请人地址": part(fresh, filings.address), "代理机构": pick(agents, filings.agent[fresh]),
    }, filings.subject[fresh])  # fmt: skip
    mine = np.flatnonzero(~old & (filings.published < p.end))
    on = filings.published[mine]
    yield Rows("trademark_publications", on, {"公告期号": numbers((on - 5000) // 7), "初审公告日期": dates(on), "申请号": numbers(filings.number[mine]), "商标名称": part(mine, filings.mark), "国际分类": numbers(filings.class_[mine]), "申请人": part(mine, filings.applicant), "代理机构": pick(agents, filings.agent[mine])}, filings.subject[mine])  # fmt: skip
    mine = np.flatnonzero(filings.registered < p.end)
    on = filings.registered[mine]
    yield Rows("trademark_registrations", np.maximum(on, p.start - 1), {"注册号": numbers(filings.number[mine]), "注册公告日期": dates(on), "商标名称": part(mine, filings.mark), "国际分类": numbers(filings.class_[mine]), "注册人": part(mine, filings.applicant), "专用期开始": dates(on), "专用期截止": dates(on + TERM)}, filings.subject[mine])  # fmt: skip
    refused = np.flatnonzero((filings.published < p.end) & (filings.registered == NEVER))
    on = filings.published[refused] + g.integers(60, 400, len(refused))
    refused, on = refused[on < p.end], on[on < p.end]
    yield Rows("trademark_outcomes", on, {"申请号": numbers(filings.number[refused]), "程序": repeat("异议", len(on)), "申请主体": pick(["在先权利人", "利害关系人"], g.integers(0, 2, len(on))), "决定日期": dates(on), "结果": pick(["不予注册", "部分不予注册", "准予注册"], choose(g, len(on), [0.45, 0.15, 0.4]))}, filings.subject[refused])  # fmt: skip
    mine = np.flatnonzero((filings.registered < p.end) & (g.random(len(filings.registered)) < 0.05))
    on = np.maximum(filings.registered[mine], p.start) + g.integers(1, 900, len(mine))
    mine, on = mine[on < p.end], on[on < p.end]
    moved = g.random(len(mine)) < 0.4
    other = population.name(g.integers(0, len(population), len(mine)), on)
    owner = part(mine, filings.applicant)
    yield Rows("trademark_renewals", on, {"注册号": numbers(filings.number[mine]), "事项": where(moved, "转让", "续展"), "公告日期": dates(on), "原注册人": owner, "现注册人": where(moved, other, owner), "新专用期截止": dates(filings.registered[mine] + np.where(moved, TERM, 2 * TERM))}, filings.subject[mine])  # fmt: skip


def squats(population: Population, applications: int) -> tuple[Filings, pa.Table]:
    """Filings by outsiders on the trade names of the city's subjects, and the truth about them: target, style, applicant, days."""
    p, g, words = population.parameters, population.parameters.generator(50), vocabulary()
    number = max(40, round(applications * p.rate("trademarks.squats")))
    worth = np.flatnonzero((population.born < p.start) & (population.died > p.end) & (population.kind <= 2) & (population.capital >= 100))
    target = g.choice(worth, number)
    filed = g.integers(p.start, p.end, number)
    style = g.integers(0, len(STYLES), number)
    following = pa.array([*words.next, ""])
    trade = population.trade[target]
    names = join(pick(words.first, trade[:, 0]), pick(following, trade[:, 1]), pick(following, trade[:, 2])).to_pylist()
    marks, styles = [], []
    for name, wanted in zip(names, style, strict=True):
        order = [STYLES[(wanted + k) % len(STYLES)] for k in range(len(STYLES))]
        made, how = next((m, s) for s in order if (m := _perturbed(name, s, g)) is not None)
        marks.append(made)
        styles.append(how)
    # A few file by the hundred on many brand owners; the others once or twice.
    bulk = g.random(number) < 0.6
    applicant = np.where(bulk, g.integers(0, max(4, number // 60), number), 1000 + g.integers(0, number, number))
    places = words.yaml["outsiders"]
    place = pick(places, applicant % len(places))
    person = applicant % 3 == 0
    surname = population.person(applicant.astype(np.int64) + 9_000_000_000)
    word = pick(words.first, applicant * 7 % len(words.first))
    name = where(person, surname, join(place, word, pick(words.next, applicant * 13 % len(words.next)), "电子商务商行"))
    published, registered = _course(population, g, filed, 0.8)
    filings = Filings(
        (90_000_000 + np.arange(number)) * 16, filed, published, registered, pa.array(marks, pa.string()), _classes(population, target, g), name, repeat("", number), join(place, "演示街道", numbers(applicant % 300 + 1), "号"),
        np.where(bulk, 5, choose(g, number, [0.2, 0.1, 0.3, 0.2, 0.05, 0.1, 0.02, 0.03])), np.full(number, -1),
    )  # fmt: skip
    truth = pa.table({
        "application_number": numbers(filings.number), "target_subject": pa.array(target.astype("int64")), "target_trade_name": pa.array(names), "mark": filings.mark, "style": pa.array(styles), "applicant": name,
        "bulk_applicant": pa.array(bulk), "filed": pa.array(filed.astype("int32")).cast(pa.date32()), "published": pa.array(np.where(published < p.end, published, 0).astype("int32"), mask=published >= p.end).cast(pa.date32()),
    })  # fmt: skip
    return filings, truth


def _perturbed(name: str, style: str, g: np.random.Generator) -> str | None:
    """A trade name changed in a style; None where that can't be done with it."""
    words = vocabulary()
    if style == "identical":
        return name
    if style in ("homophone", "lookalike"):
        groups = words.yaml["homophones" if style == "homophone" else "lookalikes"]
        places = [(i, group) for i, c in enumerate(name) for group in groups if c in group]
        if not places:
            return None
        place, group = places[g.integers(0, len(places))]
        others = [c for c in group if c != name[place]]
        return name[:place] + others[g.integers(0, len(others))] + name[place + 1 :]
    if style == "traditional":
        made = "".join(words.yaml["traditional"].get(c, c) for c in name)
        return made if made != name else None
    if style == "order":
        made = name[1] + name[0] + name[2:] if len(name) == 2 else name[0] + name[2] + name[1]
        return made if made != name else None
    if style == "insertion":
        return name[:1] + words.next[int(g.integers(0, 200))] + name[1:]
    if style == "deletion":
        return name[:-1] if len(name) > 2 else None
    if style == "generic":
        generic = words.yaml["generic"]
        return name + generic[int(g.integers(0, len(generic)))]
    other = words.next[int(g.integers(0, 300))]
    made = other + name[1:] if style == "first" else name[:-1] + other
    return made if made != name else None


def agents(population: Population) -> Rows:
    names = vocabulary().yaml["agents"]
    on = np.full(len(names), population.parameters.start)
    return Rows(
        "trademark_agents",
        on,
        {"代理机构名称": pa.array(names), "备案日期": dates(on - 2000), "所在地": pa.array([n[:2] + "市" for n in names])},
        np.full(len(names), -1),
    )
