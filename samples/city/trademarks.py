"""Marks: what honest owners file, here and elsewhere, and what squatters file. Stages follow one another; what is past the last day isn't delivered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.documents import scrambled
from samples.city.feeds import Rows
from samples.city.population import FOREIGN, NEVER, SOLE, Population
from samples.city.vocabulary import vocabulary

STYLES = ("homophone", "lookalike", "order", "insertion", "deletion", "generic", "first", "last", "traditional", "identical")
EXAMINED = 180  # days from filing to preliminary publication, roughly
OPPOSITION = 92  # days from publication to registration when nobody opposes
TERM = 3653
OLDEST = 4200  # days before the start of the oldest marks
FILED_FROM = 14_000  # day that application numbers count from


@dataclass(frozen=True)
class Filings:
    """Marks with their course. ``number``: application number. Days; NEVER for a stage that isn't reached. ``outcome``: of an opposition, or ''."""

    number: np.ndarray
    filed: np.ndarray
    published: np.ndarray
    registered: np.ndarray
    opposed: np.ndarray
    outcome: np.ndarray
    mark: Column
    class_: np.ndarray
    applicant: Column
    code: Column
    address: Column
    agent: np.ndarray
    subject: np.ndarray


def together(*filings: Filings) -> Filings:
    """All of several."""
    joined = {}
    for field in fields(Filings):
        parts = [getattr(f, field.name) for f in filings]
        joined[field.name] = np.concatenate(parts) if isinstance(parts[0], np.ndarray) else pa.concat_arrays(parts)
    return Filings(**joined)


def _course(population: Population, g: np.random.Generator, filed: np.ndarray, passes: float) -> dict[str, np.ndarray]:
    """Publication (a Friday, by the week), opposition and its outcome, registration."""
    p = population.parameters
    rows = len(filed)
    through = g.random(rows) < passes
    published = filed + EXAMINED + g.integers(0, 60, rows)
    published = published + (1 - published) % 7  # 1970-01-02 was a Friday
    opposes = through & (g.random(rows) < p.rate("trademarks.opposed"))
    decided = np.where(opposes, published + g.integers(120, 400, rows), NEVER)
    stands = g.random(rows) < 0.5
    outcome = np.where(opposes, np.where(stands, "准予注册", "不予注册"), "")
    registered = np.where(through, np.where(opposes, np.where(stands, decided + 20, NEVER), published + OPPOSITION), NEVER)
    return {"published": np.where(through, published, NEVER), "registered": registered, "opposed": decided, "outcome": outcome}


def _number(population: Population, who: np.ndarray, filed: np.ndarray, offset: int = 0) -> np.ndarray:
    """Application numbers rise with the day of filing, and tell nothing else."""
    return (filed.astype(np.int64) - FILED_FROM + 10_000) * 10**9 + scrambled(population, 10, who, offset)


def _invented(g: np.random.Generator, rows: int) -> Column:
    words = vocabulary()
    third = np.where(g.random(rows) < 0.3, choose(g, rows, words.next_shares), len(words.next))
    return join(
        pick(words.first, choose(g, rows, words.first_shares)), pick(words.next, choose(g, rows, words.next_shares)), pick([*words.next, ""], third)
    )


def _trade_names(population: Population, who: np.ndarray, on: np.ndarray) -> Column:
    words = vocabulary()
    trade = np.where((on >= population.renamed[who])[:, None], population.new_trade[who], population.trade[who])
    following = pa.array([*words.next, ""])
    return join(pick(words.first, trade[:, 0]), pick(following, trade[:, 1]), pick(following, trade[:, 2]))


def _agents(g: np.random.Generator, rows: int) -> np.ndarray:
    return choose(g, rows, [0.28, 0.22, 0.12, 0.06, 0.14, 0.05, 0.1, 0.03])


def honest(population: Population, who: np.ndarray, g: np.random.Generator) -> Filings:
    """What the city's subjects file under their own trade name or an invented word, also before the period."""
    p = population.parameters
    weight = np.where(population.kind[who] == SOLE, 0.4, 1.4)
    before = np.repeat(who, g.poisson(p.rate("trademarks.before") * weight * OLDEST / 3000))
    during = np.repeat(who, g.poisson(p.rate("trademarks.applications") * weight * p.years))
    applicant = np.concatenate([before, during])
    filed = np.concatenate([p.start - 1 - g.integers(0, OLDEST, len(before)), g.integers(p.start, p.end, len(during))])
    lives = (filed > population.born[applicant]) & (filed < population.died[applicant])
    applicant, filed = applicant[lives], filed[lives]
    mark = where(g.random(len(applicant)) < 0.6, _trade_names(population, applicant, filed), _invented(g, len(applicant)))
    course = _course(population, g, filed, p.rate("trademarks.registered") / (1 - p.rate("trademarks.opposed") / 2))
    return Filings(
        _number(population, applicant, filed), filed, **course, mark=mark, class_=_classes(population, applicant, g), applicant=population.name(applicant, filed),
        code=population.code(applicant, filed), address=population.address(applicant, filed), agent=_agents(g, len(filed)), subject=applicant,
    )  # fmt: skip


def _classes(population: Population, who: np.ndarray, g: np.random.Generator) -> np.ndarray:
    words = vocabulary()
    listed = [words.yaml["classes"][s] for s in words.sections]
    begins, sizes = np.cumsum([0, *[len(c) for c in listed]])[:-1], np.array([len(c) for c in listed])
    section = population.section[who]
    return np.array([c for of in listed for c in of])[begins[section] + g.integers(0, 8, len(who)) % sizes[section]]


def rows_of(population: Population, filings: Filings, g: np.random.Generator) -> Iterator[Rows]:
    """The filings as they are delivered stage by stage: of what was filed before the period, only what stands is known."""
    p = population.parameters
    names = vocabulary().yaml["agents"]

    def part(mine: np.ndarray, column: Column) -> Column:
        return column.take(pa.array(mine))

    mine = np.flatnonzero(filings.filed >= p.start)
    yield Rows("trademark_applications", filings.filed[mine], {
        "申请号": numbers(filings.number[mine]), "申请日期": dates(filings.filed[mine]), "商标名称": part(mine, filings.mark), "国际分类": numbers(filings.class_[mine]),
        "类似群": pc.utf8_lpad(numbers(filings.class_[mine] * 100 + 1 + filings.number[mine] % 9), 4, "0"), "申请人": part(mine, filings.applicant), "申请人代码": part(mine, filings.code), "申请人地址": part(mine, filings.address), "代理机构": pick(names, filings.agent[mine]),
    }, filings.subject[mine])  # fmt: skip
    mine = np.flatnonzero((filings.published >= p.start) & (filings.published < p.end))
    on = filings.published[mine]
    yield Rows("trademark_publications", on, {"公告期号": numbers((on - 5000) // 7), "初审公告日期": dates(on), "申请号": numbers(filings.number[mine]), "商标名称": part(mine, filings.mark), "国际分类": numbers(filings.class_[mine]), "申请人": part(mine, filings.applicant), "代理机构": pick(names, filings.agent[mine])}, filings.subject[mine])  # fmt: skip
    mine = np.flatnonzero(filings.registered < p.end)
    on = filings.registered[mine]
    yield Rows("trademark_registrations", np.maximum(on, p.start - 1), {"注册号": numbers(filings.number[mine]), "注册公告日期": dates(on), "商标名称": part(mine, filings.mark), "国际分类": numbers(filings.class_[mine]), "注册人": part(mine, filings.applicant), "专用期开始": dates(on), "专用期截止": dates(on + TERM)}, filings.subject[mine])  # fmt: skip
    mine = np.flatnonzero((filings.opposed >= p.start) & (filings.opposed < p.end))
    on = filings.opposed[mine]
    yield Rows("trademark_outcomes", on, {"申请号": numbers(filings.number[mine]), "程序": repeat("异议", len(on)), "申请主体": pick(["在先权利人", "利害关系人"], g.integers(0, 2, len(on))), "决定日期": dates(on), "结果": pa.array(filings.outcome[mine].tolist(), pa.string())}, filings.subject[mine])  # fmt: skip
    # Who stands for three years may be struck off for not being used, or given up.
    later = filings.registered + 3 * 365 + g.integers(0, 1500, len(filings.filed))
    mine = np.flatnonzero((filings.registered < p.end) & (later >= p.start) & (later < p.end) & (g.random(len(later)) < 0.06))
    yield Rows("trademark_outcomes", later[mine], {"申请号": numbers(filings.number[mine]), "程序": pick(["撤销三年不使用", "无效宣告", "注销"], choose(g, len(mine), [0.6, 0.2, 0.2])), "申请主体": repeat("第三人", len(mine)), "决定日期": dates(later[mine]), "结果": repeat("商标失效", len(mine))}, filings.subject[mine])  # fmt: skip
    renewed = filings.registered + TERM - g.integers(0, 360, len(filings.filed))
    mine = np.flatnonzero((renewed >= p.start) & (renewed < p.end) & (g.random(len(renewed)) < 0.7))
    owner = part(mine, filings.applicant)
    yield Rows("trademark_renewals", renewed[mine], {"注册号": numbers(filings.number[mine]), "事项": repeat("续展", len(mine)), "公告日期": dates(renewed[mine]), "原注册人": owner, "现注册人": owner, "新专用期截止": dates(filings.registered[mine] + 2 * TERM)}, filings.subject[mine])  # fmt: skip
    moved = np.maximum(filings.registered, p.start) + 30 + g.integers(0, 1200, len(filings.filed))
    mine = np.flatnonzero((filings.registered < p.end) & (moved < p.end) & (moved < filings.registered + TERM) & (g.random(len(moved)) < 0.02))
    alive = np.flatnonzero(population.alive(p.start) & (population.kind <= FOREIGN))
    other = alive[g.integers(0, len(alive), len(mine))]
    yield Rows("trademark_renewals", moved[mine], {"注册号": numbers(filings.number[mine]), "事项": repeat("转让", len(mine)), "公告日期": dates(moved[mine]), "原注册人": part(mine, filings.applicant), "现注册人": population.name(other, moved[mine]), "新专用期截止": dates(filings.registered[mine] + TERM)}, filings.subject[mine])  # fmt: skip


def _strangers(population: Population, g: np.random.Generator, which: np.ndarray) -> tuple[Column, Column]:
    """Names and addresses of applicants from other cities, persons and traders; ``which`` tells them apart."""
    words = vocabulary()
    places = words.yaml["outsiders"]
    mixed = ((which.astype(np.uint64) + np.uint64(77)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(24)
    place = pick(places, (mixed % np.uint64(len(places))).astype(np.int64))
    number = (mixed >> np.uint64(8)).astype(np.int64)
    trader = join(
        place,
        pick(words.first, number % len(words.first)),
        pick(words.next, number // 1000 % len(words.next)),
        pick(["电子商务商行", "贸易有限公司", "服饰有限公司", "食品厂", "日用品有限公司"], number // 7 % 5),
    )
    name = where(number % 3 == 0, population.person(which + 2**49), trader)
    street = pick(["解放路", "人民路", "建设大道", "工业一路", "朝阳街", "文化路"], number // 11 % 6)
    return name, join(place, street, numbers(number // 13 % 400 + 1), "号")


def outsiders(population: Population) -> Filings:
    """Honest filings from elsewhere: words of their own, some of which are like the city's names by chance."""
    p, g = population.parameters, population.parameters.generator(51)
    number = round(p.subjects * p.rate("trademarks.applications") * p.years * p.rate("trademarks.outsiders"))
    filed = g.integers(p.start, p.end, number)
    name, address = _strangers(population, g, (g.random(number) ** 1.5 * number).astype(np.int64) + 10**6)
    classes = sorted({c for of in vocabulary().yaml["classes"].values() for c in of})
    course = _course(population, g, filed, p.rate("trademarks.registered") / (1 - p.rate("trademarks.opposed") / 2))
    nobody = np.full(number, -1)
    return Filings(_number(population, nobody, filed), filed, **course, mark=_invented(g, number), class_=np.array(classes)[g.integers(0, len(classes), number)], applicant=name, code=repeat("", number), address=address, agent=_agents(g, number), subject=nobody)  # fmt: skip


def squats(population: Population) -> tuple[Filings, pa.Table]:
    """Filings on the trade names of the city's companies by strangers, and by some of the city's own; and the truth about them."""
    p, g = population.parameters, population.parameters.generator(50)
    number = max(40, round(p.subjects * p.rate("trademarks.applications") * p.years * p.rate("trademarks.squats")))
    filed = g.integers(p.start + 30, p.end, number)
    worth = np.flatnonzero((population.kind <= FOREIGN) & (population.capital >= 100) & (population.died > p.start))
    target = np.full(number, -1)
    for _ in range(60):
        open_ = np.flatnonzero(target < 0)
        drawn = worth[g.integers(0, len(worth), len(open_))]
        fits = (population.born[drawn] < filed[open_] - 365) & population.works(drawn, filed[open_]) & (population.died[drawn] > filed[open_])
        target[open_[fits]] = drawn[fits]
    mine = np.flatnonzero(target >= 0)
    target, filed, number = target[mine], filed[mine], len(mine)
    names = _trade_names(population, target, filed).to_pylist()
    marks, styles = [], []
    for name, wanted in zip(names, g.integers(0, len(STYLES), number), strict=True):
        order = [STYLES[(wanted + k) % len(STYLES)] for k in range(len(STYLES))]
        made, how = next((m, s) for s in order if (m := _perturbed(name, s, g)) is not None)
        marks.append(made)
        styles.append(how)
    # A few file by the dozen on many brand owners; the others once or twice.
    bulk = g.random(number) < p.rate("trademarks.bulk")
    which = np.where(bulk, g.integers(0, max(4, number // 60), number), 1000 + g.integers(0, number, number)) + 3 * 10**6
    name, address = _strangers(population, g, which)
    code = repeat("", number)
    locals_ = np.flatnonzero((g.random(number) < p.rate("trademarks.local_squatters")) & ~bulk)
    alive = np.flatnonzero((population.born < p.start) & (population.died > p.end))
    subject = np.full(number, -1)
    subject[locals_] = alive[g.integers(0, len(alive), len(locals_))]
    subject = np.where(subject == target, -1, subject)
    here, who = subject >= 0, np.maximum(subject, 0)
    name, code, address = where(here, population.name(who, filed), name), where(here, population.code(who, filed), code), where(here, population.address(who, filed), address)  # fmt: skip
    course = _course(population, g, filed, 0.8)
    # An agent that asks no questions has more of them than others have, but not all.
    agent = np.where(g.random(number) < 0.35, 5 + 2 * (which % 2), _agents(g, number))
    filings = Filings(_number(population, np.full(number, -1), filed, offset=10**7), filed, **course, mark=pa.array(marks, pa.string()), class_=_classes(population, target, g), applicant=name, code=code, address=address, agent=agent, subject=subject)  # fmt: skip
    published = filings.published >= p.end
    truth = pa.table({
        "application_number": numbers(filings.number), "target_subject": pa.array(target.astype("int64")), "target_trade_name": pa.array(names), "mark": filings.mark, "style": pa.array(styles), "applicant": name,
        "applicant_subject": pa.array(subject, mask=subject < 0), "bulk_applicant": pa.array(bulk), "filed": pa.array(filed.astype("int32")).cast(pa.date32()),
        "published": pa.array(np.where(published, 0, filings.published).astype("int32"), mask=published).cast(pa.date32()),
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
