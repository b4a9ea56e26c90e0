"""Who lives in the city, from birth to exit, and the few things that other departments' records must agree on: names, codes, districts by date.

One table of numbers for all subjects (about 90 bytes each); texts are made of it where they are delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.codes import credit_codes
from samples.city.columns import Column, Numbers, choose, join, numbers, pick, where
from samples.city.parameters import Parameters, date_of, day
from samples.city.vocabulary import AREAS, DISTRICT_SHARES, DISTRICTS, FORMER, FORMS, vocabulary

NEVER = 2**30  # a day that doesn't come
PRIVATE, DOMESTIC, FOREIGN, BRANCH, COOPERATIVE, SOLE = range(6)
KINDS = ("私营企业", "内资企业", "外资企业", "分支机构", "农民专业合作社", "个体工商户")
TYPES = (
    (("有限责任公司(自然人投资或控股)", 0.55), ("有限责任公司(自然人独资)", 0.37), ("股份有限公司(非上市、自然人投资或控股)", 0.02), ("有限合伙企业", 0.04), ("个人独资企业", 0.02)),
    (("有限责任公司(国有独资)", 0.4), ("全民所有制", 0.3), ("集体所有制", 0.3)),
    (("有限责任公司(外国法人独资)", 0.4), ("有限责任公司(台港澳法人独资)", 0.5), ("有限责任公司(中外合资)", 0.1)),
    (("有限责任公司分公司(自然人投资或控股)", 1.0),), (("农民专业合作社", 1.0),), (("个体工商户", 1.0),),
)  # fmt: skip
_TYPE_NAMES = [name for kind in TYPES for name, _ in kind]
_TYPE_FROM = np.cumsum([0, *[len(kind) for kind in TYPES]])
SEASON = np.array([0.75, 0.65, 1.35, 1.15, 1.05, 1.05, 1.05, 1.0, 1.05, 0.9, 1.05, 0.95])  # new registrations by month: Spring Festival is quiet


@dataclass
class Population:
    """Arrays over all subjects, in the order of their birth. Days since 1970-01-01, NEVER where it doesn't come.

    ``frailty``: how readily it exits, 1 on average; no delivery tells it. ``stopped``: the day from which it does no business any more, whoever
    knows of it. ``fate``: 1 revoked, 0 cancelled. ``capital``: 万元. ``trade``: characters of the trade name; ``new_trade`` after ``renamed``,
    and so for districts, codes, capital, owner and scope. ``owner``: number of a person. ``parent``: of a branch. ``was``: the sole trader that
    an enterprise goes on with, -1 for none. ``scope``: place among the scopes of its section.
    """

    parameters: Parameters
    kind: Numbers
    type: Numbers
    born: Numbers
    died: Numbers
    fate: Numbers
    frailty: Numbers
    district: Numbers
    section: Numbers
    word: Numbers
    trade: Numbers
    area: Numbers
    form: Numbers
    street: Numbers
    number: Numbers
    address_form: Numbers
    registrar: Numbers
    capital: Numbers
    currency: Numbers
    staff: Numbers
    owner: Numbers
    class_: Numbers
    renamed: Numbers
    new_trade: Numbers
    moved: Numbers
    new_district: Numbers
    recoded: Numbers
    recapitalised: Numbers
    new_capital: Numbers
    reowned: Numbers
    new_owner: Numbers
    rescoped: Numbers
    scope: Numbers
    stopped: Numbers
    parent: Numbers
    was: Numbers
    living: int = 0  # at the start of the period
    rings: dict[str, Numbers] = field(default_factory=dict)  # circles of holdings, see _rings
    factor: Numbers = field(default_factory=lambda: np.zeros(0))  # hidden state of the economy by month, also before and after the period

    def __len__(self) -> int:
        return len(self.born)

    def alive(self, on: int) -> Numbers:
        return (self.born <= on) & (self.died > on)

    def code(self, who: Numbers, on: Numbers | int) -> Column:
        """Credit codes as they stood on a day."""
        kind = np.choose(self.kind[who], [91, 91, 91, 91, 93, 92])
        area = np.where(self.registrar[who] == 11, 440101, np.array([int(c) for c, _ in DISTRICTS])[np.minimum(self.registrar[who], 10)])
        number = np.where(np.asarray(on) >= self.recoded[who], who + len(self), who)
        return credit_codes(kind, area, number, self.parameters.seed * 7919 % 31**5)

    def name(self, who: Numbers, on: Numbers | int) -> Column:
        """Names as they stood on a day."""
        words = vocabulary()
        trade = np.where((np.asarray(on) >= self.renamed[who])[:, None], self.new_trade[who], self.trade[who])
        following = pa.array([*words.next, ""])
        called = join(pick(words.first, trade[:, 0]), pick(following, trade[:, 1]), pick(following, trade[:, 2]))
        sole = self.kind[who] == SOLE
        place = where(
            sole,
            join("广州市", pick([n for _, n in DISTRICTS], self.district[who]), pick(self._streets(), self._street(who))),
            pick(AREAS, self.area[who]),
        )
        form = np.select([self.kind[who] == COOPERATIVE, sole], [5, 6], self.form[who].astype(int))
        own = join(place, called, pick(words.words, self.word[who]), pick([*FORMS, "专业合作社", ""], form))
        branch = np.flatnonzero(self.kind[who] == BRANCH)
        if len(branch):
            # A branch bears its company's name.
            mask = np.zeros(len(who), bool)
            mask[branch] = True
            then = np.broadcast_to(np.asarray(on), len(who))[branch]
            place_of = pick([n.removesuffix("区") for _, n in DISTRICTS], self.district[who[branch]])
            number = pick(["分公司", "第一分公司", "第二分公司", "第三分公司"], self.number[who[branch]] % 4)
            own = pc.replace_with_mask(own, pa.array(mask), join(self.name(self.parent[who[branch]], then), place_of, number))
        return own

    def address(self, who: Numbers, on: Numbers | int) -> Column:
        """Addresses as they are written: mostly with the district, some with its short name, a former one, or none."""
        district = self.district_on(who, on)
        name = [n for _, n in DISTRICTS]
        short = [n.removesuffix("区") for n in name]
        former = [FORMER.get(i, n) for i, n in enumerate(name)]
        written = pick([*name, *short, *former, ""], np.where(self.address_form[who] == 3, 33, district + 11 * self.address_form[who]))
        number = self.number[who]
        return join(
            "广州市",
            written,
            pick(self._streets(), self._street(who, district)),
            numbers(number % 800 + 1),
            "号",
            numbers(number // 800 % 30 + 101),
            "房",
        )

    def district_on(self, who: Numbers, on: Numbers | int) -> Numbers:
        return np.where(np.asarray(on) >= self.moved[who], self.new_district[who], self.district[who])

    def person(self, number: Numbers) -> Column:
        """Made-up names of persons; many share one. What is behind the name is told by `person_key`."""
        words = vocabulary().yaml
        surnames, given = list(words["surnames"]), list(words["given"])
        mixed = (number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)
        size = np.uint64(len(given))
        second = pick([*given, ""], np.where(mixed % np.uint64(10) < 2, len(given), (mixed // np.uint64(6000) % size)).astype(np.int64))
        return join(
            pick(surnames, (mixed % np.uint64(len(surnames))).astype(np.int64)), pick(given, (mixed // np.uint64(50) % size).astype(np.int64)), second
        )

    def person_key(self, number: Numbers) -> Column:
        """What stands for a person's identity document: the same for the same person, and nothing to be read from it."""
        mixed = (number.astype(np.uint64) + np.uint64(self.parameters.seed + 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        return join("P", pa.array((mixed ^ (mixed >> np.uint64(32))) >> np.uint64(4)).cast(pa.string()))

    def capital_on(self, who: Numbers, on: Numbers | int) -> Numbers:
        return np.where(np.asarray(on) >= self.recapitalised[who], self.new_capital[who], self.capital[who])

    def owner_on(self, who: Numbers, on: Numbers | int) -> Numbers:
        return np.where(np.asarray(on) >= self.reowned[who], self.new_owner[who], self.owner[who])

    def scope_on(self, who: Numbers, on: Numbers | int) -> Column:
        """Scope texts: of the subject's own section, another one after a change."""
        words = vocabulary()
        begins, sizes = words.scope_begins[self.section[who]], np.diff(words.scope_begins)[self.section[who]]
        shift = np.where(np.asarray(on) >= self.rescoped[who], self.scope[who].astype(np.int64) // 251 + 1, 0)
        return pick(words.scopes, begins + (self.scope[who].astype(np.int64) + shift) % sizes)

    def works(self, who: Numbers, on: Numbers | int) -> Numbers:
        """Whether a living subject really does business on a day."""
        return np.asarray(on) < self.stopped[who]

    def industry(self, who: Numbers) -> tuple[Column, Column]:
        """Code and name of the industry, of the edition that was in force on the day of registration."""
        old = self.born[who] < day(2017, 10, 1)
        codes: list[str] = []
        names: list[str] = []
        begins = np.zeros((2, len(vocabulary().sections)), dtype=np.int64)
        sizes = np.ones_like(begins)
        for edition, label in enumerate(("2017", "2011")):
            for section in range(len(vocabulary().sections)):
                entries = vocabulary().classes[label, section]
                begins[edition, section], sizes[edition, section] = len(codes), len(entries)
                codes += [c for c, _ in entries]
                names += [n for _, n in entries]
        place = (old.astype(int), self.section[who])
        which = begins[place] + self.class_[who] % sizes[place]
        return pick(codes, which), pick(names, which)

    def _streets(self) -> list[str]:
        return [s for of_district in vocabulary().streets for s in of_district]

    def _street(self, who: Numbers, district: Numbers | None = None) -> Numbers:
        begins = np.cumsum([0, *[len(s) for s in vocabulary().streets]])
        at = self.district[who] if district is None else district
        return begins[at] + self.street[who] % np.diff(begins)[at]


def populate(p: Parameters) -> Population:
    """The subjects of the city: those alive at the start, those gone before, those born in the period; exits are drawn month by month.

    The number alive on the last day is ``p.subjects``; births and exits of each year follow the published rates exactly.
    """
    g = p.generator(1)
    births, deaths, living = _flows(p)
    gone = round(living * p.rate("stock.gone_before"))
    factor = _economy(p)
    born = np.concatenate([_ages(p, g, living, gone, factor), *[_in_year(p, g, year, number, factor) for year, number in enumerate(births)]])
    size = len(born)
    kind = _kinds(p, g, size)
    section, word = _trades(p, g, kind)
    never, nothing = np.full(size, NEVER, np.int32), np.zeros(size, np.int32)
    sigma = p.rate("survival.heterogeneity")
    types = _types(g, kind)
    population = Population(
        p,
        kind=kind, type=types, born=born.astype(np.int32), died=never.copy(), fate=(g.random(size) < p.rate("survival.revoked_share")).astype(np.uint8),
        frailty=np.exp(sigma * g.standard_normal(size) - sigma**2 / 2).astype(np.float32), district=choose(g, size, DISTRICT_SHARES).astype(np.uint8),
        section=section.astype(np.uint8), word=word.astype(np.uint16), trade=_trade_names(g, size), area=choose(g, size, [0.45, 0.35, 0.15, 0.05]).astype(np.uint8),
        form=_forms(g, types), street=g.integers(0, 2**16, size).astype(np.uint16), number=g.integers(0, 2**16, size).astype(np.uint16),
        address_form=choose(g, size, [0.895, 0.047, 0.016, 0.042]).astype(np.uint8), registrar=np.zeros(size, np.uint8), capital=_capital(g, kind),
        currency=np.where((kind == FOREIGN) & (g.random(size) < 0.5), g.integers(1, 3, size), 0).astype(np.uint8), staff=np.zeros(size, np.uint16),
        owner=g.integers(0, 2**40, size), class_=g.integers(0, 2**16, size).astype(np.uint16), renamed=never.copy(), new_trade=_trade_names(g, size), moved=never.copy(),
        new_district=np.zeros(size, np.uint8), recoded=never.copy(), recapitalised=never.copy(), new_capital=nothing.copy(), reowned=never.copy(),
        new_owner=g.integers(0, 2**40, size), rescoped=never.copy(), scope=g.integers(0, 2**16, size).astype(np.uint16), stopped=never.copy(),
        parent=nothing.copy(), was=np.full(size, -1, np.int32), living=living, factor=factor,
    )  # fmt: skip
    population.registrar = np.where(g.random(size) < 0.62, 11, population.district).astype(np.uint8)
    population.staff = np.where(kind == SOLE, g.poisson(0.6, size) + 1, _staff(p, g, size)).astype(np.uint16)
    population.new_capital = (population.capital * g.choice([0.5, 1.5, 2, 3, 5, 10], size, p=[0.1, 0.2, 0.3, 0.2, 0.1, 0.1])).astype(np.int32)
    _distinct(population, g)
    _exits(population, g, gone, births, deaths)
    _parents(population, g)
    _go_on(population, g)
    _turns(population, g)
    _stops(population, g)
    population.rings = _rings(population)
    return population


def _forms(g: np.random.Generator, types: Numbers) -> Numbers:
    """The legal form at the end of a name, as the type says."""
    by_type = np.array([2 if "股份" in n else 3 if "合伙" in n else 4 if "个人独资企业" in n else 0 for n in _TYPE_NAMES])[types]
    return np.where((by_type == 0) & (g.random(len(types)) < 0.02), 1, by_type).astype(np.uint8)


def _flows(p: Parameters) -> tuple[list[int], list[int], int]:
    """Births and deaths of each year and the number alive at the start, so that the last day has ``p.subjects``."""
    stock, births, deaths = float(p.subjects), [], []
    for year in reversed(range(p.years)):
        last = year == p.years - 1
        before = stock / (1 + p.rate("stock.growth_last_year" if last else "stock.growth_before"))
        born = p.rate("stock.births_last_year" if last else "stock.births_before") * stock
        births.append(round(born))
        deaths.append(round(born) - (round(stock) - round(before)))
        stock = before
    return births[::-1], deaths[::-1], round(stock)


def _ages(p: Parameters, g: np.random.Generator, living: int, gone: int, factor: Numbers) -> Numbers:
    """Days of birth before the start, the oldest first: a stock that has grown for decades is young.

    In the last three years they follow the season and the state of the economy, as later ones do.
    """
    age = np.minimum(g.exponential(1 / 0.17, living + gone) * 365.25, 43 * 365.25).astype(int)
    born = p.start - 1 - age
    for year in (-3, -2, -1):
        mine = np.flatnonzero((born >= day(p.first_year + year, 1, 1)) & (born < day(p.first_year + year + 1, 1, 1)))
        born[mine] = _in_year(p, g, year, len(mine), factor)
    return np.sort(born)


def _economy(p: Parameters) -> Numbers:
    """The hidden state of the economy by month, from three years before the start to one after the end: a damped cycle of a good year."""
    g = p.generator(2)
    months = 12 * (p.years + 4)
    state = np.zeros(months + 48)
    noise = g.standard_normal(months + 48)
    for t in range(2, months + 48):
        state[t] = 1.784 * state[t - 1] - 0.98 * state[t - 2] + 0.1 * noise[t]
    return (state[48:] - state[48:].mean()) / state[48:].std()


def _in_year(p: Parameters, g: np.random.Generator, year: int, number: int, factor: Numbers) -> Numbers:
    """Days of birth within a year: season, the state of the economy, fewer at weekends."""
    first, after = day(p.first_year + year, 1, 1), day(p.first_year + year + 1, 1, 1)
    days = np.arange(first, after)
    months = np.array([date_of(d).month - 1 for d in days])
    weight = SEASON[months] * np.exp(p.rate("macro.births_response") * factor[36 + 12 * year + months]) * np.where((days + 3) % 7 >= 5, 0.15, 1.0)
    return np.sort(days[choose(g, number, weight)])


def _kinds(p: Parameters, g: np.random.Generator, size: int) -> Numbers:
    enterprises = p.rate("kinds.enterprise_share")
    shares = np.array([p.rate(f"kinds.{k}_share") for k in ("domestic", "foreign", "branch")]) * enterprises
    return choose(
        g, size, [enterprises - shares.sum(), *shares, p.rate("kinds.cooperative_share"), 1 - enterprises - p.rate("kinds.cooperative_share")]
    ).astype(np.uint8)


def _types(g: np.random.Generator, kind: Numbers) -> Numbers:
    found = np.zeros(len(kind), np.uint8)
    for number, types in enumerate(TYPES):
        mine = np.flatnonzero(kind == number)
        found[mine] = _TYPE_FROM[number] + choose(g, len(mine), [share for _, share in types])
    return found


def type_names() -> list[str]:
    return _TYPE_NAMES


def _trades(p: Parameters, g: np.random.Generator, kind: Numbers) -> tuple[Numbers, Numbers]:
    """Section and trade word: the three sectors by the published shares, sections within them by assumption."""
    words = vocabulary()
    trades = words.yaml["trades"]
    sectors = [words.yaml["sectors"].get(s, "tertiary") for s in words.sections]
    whole = {"primary": p.rate("kinds.primary_share"), "secondary": p.rate("kinds.secondary_share")}
    whole["tertiary"] = 1 - sum(whole.values())
    section, word = np.zeros(len(kind), np.int64), np.zeros(len(kind), np.int64)
    for column, mine in ((0, np.flatnonzero(kind != SOLE)), (1, np.flatnonzero(kind == SOLE))):
        within = np.array([trades[s][column] for s in words.sections])
        total = {name: within[[x == name for x in sectors]].sum() for name in whole}
        section[mine] = choose(g, len(mine), [share / total[s] * whole[s] for share, s in zip(within, sectors, strict=True)])
    section[kind == COOPERATIVE] = words.sections.index("A")
    for sole in (False, True):
        for number in range(len(words.sections)):
            mine = np.flatnonzero((section == number) & ((kind == SOLE) == sole))
            known = np.flatnonzero(words.word_section == number)
            known = known[(known >= words.sole_from) == sole]
            if len(mine) and len(known):
                word[mine] = known[(g.random(len(mine)) ** 1.6 * len(known)).astype(int)]
            elif len(mine):
                word[mine] = words.sole_from
    return section, word


def _trade_names(g: np.random.Generator, size: int) -> Numbers:
    """Two characters, sometimes three, as frequent as in the register; the place behind the last stands for none."""
    words = vocabulary()
    third = np.where(g.random(size) < 0.25, choose(g, size, words.next_shares), len(words.next))
    return np.stack([choose(g, size, words.first_shares), choose(g, size, words.next_shares), third], axis=1).astype(np.uint16)


def _capital(g: np.random.Generator, kind: Numbers) -> Numbers:
    """万元: round sums, as people state them; sole traders a few thousand yuan at most state none."""
    sums = np.array([3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 5000, 10000, 50000])
    shares = np.array([4, 3, 12, 4, 4, 14, 26, 6, 4, 12, 7, 1.5, 0.8, 0.3, 0.05])
    capital = sums[choose(g, len(kind), shares)]
    return np.where((kind == SOLE) | (kind == BRANCH), 0, np.where(kind == FOREIGN, capital * 2, capital)).astype(np.int32)


def _staff(p: Parameters, g: np.random.Generator, size: int) -> Numbers:
    """Employees at the start: few have many; the mean is the published one."""
    mean = p.rate("survival.staff_at_start")
    sigma = 1.0
    return np.maximum(1, np.rint(np.exp(np.log(mean) - sigma**2 / 2 + sigma * g.standard_normal(size))))


def _distinct(population: Population, g: np.random.Generator) -> None:
    """No two enterprises ever bear the same name, be it the first or a later one: who comes later takes another one. Sole traders may."""
    words = vocabulary()
    enterprises = np.flatnonzero(population.kind != SOLE)
    both = np.concatenate([population.trade[enterprises], population.new_trade[enterprises]])
    fixed = [np.tile(column[enterprises], 2) for column in (population.area, population.form, population.word)]
    while True:
        key = np.zeros(len(both), np.uint64)
        for part, size in zip((*fixed, both[:, 0], both[:, 1], both[:, 2]), (8, 8, 512, 1024, 1024, 1024), strict=True):
            key = key * np.uint64(size) + part.astype(np.uint64)
        _, first = np.unique(key, return_index=True)
        again = np.ones(len(both), bool)
        again[first] = False
        mine = np.flatnonzero(again)
        if not len(mine):
            break
        both[mine, 1] = choose(g, len(mine), words.next_shares**0.5)
        both[mine, 2] = choose(g, len(mine), words.next_shares**0.3)
    population.trade[enterprises], population.new_trade[enterprises] = both[: len(enterprises)], both[len(enterprises) :]


def _exits(population: Population, g: np.random.Generator, gone: int, births: list[int], deaths: list[int]) -> None:
    """Who exits when. Each month as many as the year's rate and the season say; who, by frailty and age: the young exit more readily."""
    p = population.parameters
    early = p.rate("survival.early_factor")
    trade = np.exp(p.rate("survival.trade_spread") * g.standard_normal(len(vocabulary().sections)))[population.section]
    readiness = population.frailty * trade * np.where(population.kind == SOLE, p.rate("survival.sole_factor"), 1.0)
    before = population.living + gone
    # Those who had gone before the start: the frail ones of the old stock, some time between birth and the start.
    left = np.argpartition(g.exponential(size=before) / readiness[:before], gone)[:gone] if gone else np.zeros(0, int)
    span = p.start - population.born[left]
    population.died[left] = np.minimum(population.born[left] + 1 + (span - 1) * g.beta(1.5, 1.5, gone), p.start - 1)
    for year, number in enumerate(deaths):
        for month in range(12):
            first = day(p.first_year + year, month + 1, 1)
            after = day(p.first_year + year + month // 11, month % 11 + 2 if month < 11 else 1, 1)
            due = round(number * (month + 1) / 12) - round(number * month / 12)
            living = np.flatnonzero((population.born < first) & (population.died == NEVER))
            hazard = readiness[living] * np.where(first - population.born[living] < 3 * 365, early, 1.0)
            chosen = living[np.argpartition(g.exponential(size=len(living)) / hazard, due)[:due]]
            population.died[chosen] = g.integers(first, after, due)


def _parents(population: Population, g: np.random.Generator) -> None:
    """The company of each branch: born before it and not gone before it. A branch for which none is found is a company itself."""
    branch = np.flatnonzero(population.kind == BRANCH)
    companies = np.flatnonzero(population.kind <= FOREIGN)
    found = np.full(len(branch), -1)
    # A few companies have many branches.
    for _ in range(40):
        open_ = np.flatnonzero(found < 0)
        older = np.searchsorted(population.born[companies], population.born[branch[open_]])
        drawn = companies[(g.random(len(open_)) ** 1.5 * np.maximum(older, 1)).astype(int)]
        fits = (older > 0) & (population.born[drawn] < population.born[branch[open_]]) & (population.died[drawn] >= population.died[branch[open_]])
        found[open_[fits]] = drawn[fits]
    population.kind[branch[found < 0]] = PRIVATE
    population.type[branch[found < 0]] = 0
    population.parent[branch[found >= 0]] = found[found >= 0]


def _go_on(population: Population, g: np.random.Generator) -> None:
    """Some new companies go on with what a sole trader began: same owner, trade, place; another code, kind and form."""
    p = population.parameters
    fresh = np.flatnonzero((population.kind == PRIVATE) & (population.born >= p.start + 60))
    chosen = np.sort(g.choice(fresh, round(len(fresh) * p.rate("survival.turned_enterprise")), replace=False))
    left = np.flatnonzero((population.kind == SOLE) & (population.died < p.end))
    left = left[np.argsort(population.died[left], kind="stable")]
    last = np.searchsorted(population.died[left], population.born[chosen], side="right") - 1
    usable = (last >= 0) & (np.diff(last, prepend=-1) > 0)
    usable[usable] &= population.born[chosen[usable]] - population.died[left[last[usable]]] <= 40
    new, old = chosen[usable], left[last[usable]]
    for name in ("owner", "trade", "district", "street", "number", "section", "scope", "class_", "frailty"):
        column = getattr(population, name)
        column[new] = column[old]
    population.fate[old] = 0
    population.was[new] = old
    # The name must still be nobody else's; the third character is free.
    population.trade[new, 2] = choose(g, len(new), vocabulary().next_shares ** 0.3)


def _turns(population: Population, g: np.random.Generator) -> None:
    """What changes in the period, at most once each, while the subject lives: name, district, code, capital, owner, scope."""
    p = population.parameters
    size = len(population)
    other = p.rate("events.change")
    turns = [("renamed", p.rate("events.rename")), ("moved", p.rate("events.move")), ("recoded", p.rate("events.recode"))]
    turns += [("recapitalised", other * 0.3), ("reowned", other * 0.25), ("rescoped", other * 0.45)]
    for name, rate in turns:
        when = p.start + g.exponential(1 / rate, size) * 365.25
        lives = (when < p.end) & (when > population.born + 60) & (when < population.died)
        if name in ("renamed", "recapitalised"):
            lives &= population.kind != BRANCH  # a branch bears its company's name, and has no capital
        if name == "recapitalised":
            lives &= population.kind != SOLE
        setattr(population, name, np.where(lives, np.minimum(when, NEVER), NEVER).astype(np.int32))
    step = g.integers(1, len(DISTRICTS), size)
    population.new_district = ((population.district + step) % len(DISTRICTS)).astype(np.uint8)


def _stops(population: Population, g: np.random.Generator) -> None:
    """The day on which each subject stops to do business: for so many within a year of its birth as published, for the others sooner or later,
    the frail before the sound; at the latest some time before the exit."""
    p = population.parameters
    size = len(population)
    before_exit = population.died - (180 * g.beta(1, 2, size)).astype(int)
    later = population.born + 365 + g.exponential(size=size) / (p.rate("survival.stop_rate") * population.frailty) * 365.25
    stopped = np.minimum(np.minimum(later, before_exit), NEVER)
    # Of those that live through their first year, as many work at its end as published; who has stopped by then is told by frailty and luck.
    score = np.log(population.frailty) + 0.8 * g.standard_normal(size)
    survivors = population.died > population.born + 365
    working = survivors & (stopped > population.born + 365)
    share = 1 - p.rate("survival.operating_after_one_year") * survivors.sum() / max(working.sum(), 1)
    early = score > np.quantile(score[working], 1 - share)
    first_year = population.born + (365 * g.random(size) ** 1.5).astype(int)
    stopped = np.where(early, np.minimum(stopped, first_year), stopped)
    population.stopped = np.where(stopped >= NEVER, NEVER, np.maximum(stopped, population.born)).astype(np.int32)


def _rings(population: Population) -> dict[str, Numbers]:
    """Circles of two to six companies of which each holds a part of the next: ring, company, investor, share, and the day from which, or one soon after."""
    p, g = population.parameters, population.parameters.generator(21)
    alive = np.flatnonzero((population.kind <= FOREIGN) & (population.born < p.start) & (population.died >= p.end))
    number = max(3, round(len(alive) * p.rate("owners.rings")))
    sizes = g.integers(2, 7, number)
    members = g.choice(alive, int(sizes.sum()), replace=False)
    ring = np.repeat(np.arange(number), sizes)
    begins = np.cumsum(sizes) - sizes
    following = np.arange(len(members)) + 1
    following[begins + sizes - 1] = begins
    since = p.start + 30 + g.integers(0, p.end - p.start - 60, len(members))
    return {"ring": ring, "company": members[following], "investor": members, "share": g.integers(500, 6001, len(members)), "since": since}
