"""What the registration office takes down: subjects, changes, exits, owners, officers, branches, annual reports."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.feeds import Rows
from samples.city.parameters import day
from samples.city.population import BRANCH, FOREIGN, NEVER, SOLE, Population, type_names
from samples.city.vocabulary import DISTRICTS, vocabulary

CURRENCIES = ("万人民币", "万美元", "万港币")
NOMINEES, SERIAL = 400, 4000  # persons in whose names many companies are held; persons who have founded several: one in so many subjects
_CODE, _NAME = "统一社会信用代码", "企业名称"


def about(population: Population, who: np.ndarray, on: np.ndarray) -> dict[str, Column]:
    """Code and name as they stood on the day."""
    return {_CODE: population.code(who, on), _NAME: population.name(who, on)}


def registration(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    yield _subjects(population, who)
    yield _changes(population, who)
    yield _cancellations(population, who, g)
    yield _shareholders(population, who)
    yield _key_persons(population, who, g)
    yield _branches(population, who)
    yield _annual_reports(population, who, g)


def _capital(population: Population, who: np.ndarray, on: np.ndarray | int) -> Column:
    return join(numbers(population.capital_on(who, on)), pick(CURRENCIES, population.currency[who]))


def _subjects(population: Population, who: np.ndarray) -> Rows:
    """The whole record at the start, at birth, and again after each change."""
    p = population.parameters
    turns = [getattr(population, name)[who] for name in ("renamed", "moved", "recoded", "recapitalised", "reowned", "rescoped")]
    on = np.concatenate([np.maximum(population.born[who], p.start - 1), *[when[when < p.end] for when in turns]])
    who = np.concatenate([who, *[who[when < p.end] for when in turns]])
    district = population.district_on(who, on)
    words = vocabulary()
    code, _ = population.industry(who)
    style = (population.number[who] + population.class_[who]) % 10
    offices = [n for _, n in DISTRICTS]
    columns = about(population, who, on) | {
        "注册日期": dates(population.born[who]),
        "企业类型": where(style < 8, pick(type_names(), population.type[who]), "N/A"),
        "法人代表": population.person(population.owner_on(who, on)),
        "注册资金": where(population.capital[who] > 0, _capital(population, who, on), "N/A"),
        "经营范围": population.scope_on(who, on),
        "所在省份": repeat("广东", len(who)),
        "地区": repeat("广州", len(who)),
        "注册地址": population.address(who, on),
        "行业": where(style < 5, code, where(style < 8, pick(words.section_names, population.section[who]), "")),
        "登记机关": pick([*[f"广州市{n}市场监督管理局" for n in offices], "广州市市场监督管理局"], population.registrar[who]),
        "管辖机关": pick([f"广州市{n}市场监督管理局" for n in offices], district),
    }
    return Rows("registration_subjects", on, columns, who)


def _changes(population: Population, who: np.ndarray) -> Rows:
    """Each change once, with what stood before and after; the full record follows it the same day."""
    p = population.parameters
    texts = {
        "renamed": ("名称变更", population.name), "moved": ("住所变更（跨区）", population.address), "recoded": ("统一社会信用代码更正", population.code),
        "recapitalised": ("注册资本变更", lambda w, d: _capital(population, w, d)),
        "reowned": ("法定代表人变更", lambda w, d: population.person(population.owner_on(w, d))), "rescoped": ("经营范围变更", population.scope_on),
    }  # fmt: skip
    parts: list[tuple[np.ndarray, np.ndarray, Column, Column, Column]] = []
    for name, (item, text) in texts.items():
        turned = who[getattr(population, name)[who] < p.end]
        on = getattr(population, name)[turned]
        parts.append((turned, on, repeat(item, len(turned)), text(turned, on - 1), text(turned, on)))
    who, on = np.concatenate([x[0] for x in parts]), np.concatenate([x[1] for x in parts])
    item, before, after = (pa.concat_arrays([x[i] for x in parts]) for i in (2, 3, 4))
    columns = about(population, who, on) | {"变更事项": item, "变更前内容": before, "变更后内容": after, "核准日期": dates(on)}
    return Rows("registration_changes", on, columns, who)


def _cancellations(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    """Exits. Of the revoked, one in three is cancelled too, later."""
    p = population.parameters
    left = who[population.died[who] < p.end]
    on = population.died[left].astype(np.int64)
    revoked = population.fate[left] == 1
    after = on + 60 + (g.exponential(300, len(left))).astype(int)
    both = revoked & (g.random(len(left)) < 0.33) & (after < p.end)
    goes_on = np.isin(left, population.was)
    why = where(
        revoked,
        pick(["连续两年未年报且查无下落", "逾期不接受年度检验", "成立后无正当理由超过六个月未开业"], g.integers(0, 3, len(left))),
        where(goes_on, "个体工商户转为企业", pick(["决议解散", "经营者申请", "简易注销"], g.integers(0, 3, len(left)))),
    )
    subject, when = np.concatenate([left, left[both]]), np.concatenate([on, after[both]])
    kind = pa.concat_arrays([where(revoked, "吊销", "注销"), repeat("注销", both.sum())])
    reason = pa.concat_arrays([why, repeat("吊销后清算完毕", both.sum())])
    columns = about(population, subject, when) | {"类型": kind, "日期": dates(when), "原因": reason}
    return Rows("registration_cancellations", np.maximum(when, p.start - 1), columns, subject)


def owners(population: Population, who: np.ndarray) -> dict[str, np.ndarray]:
    """Holdings, the same whenever they are asked for: company, investor (a place in the population, or -1 and a person), share in hundredths of
    a percent, from which day until which; ``nominee``, and the person ``behind`` one (-1: nobody); ``founding``.

    Corporate founders lived on the day. In a ring (`Population.rings`) a person gives up a part to a company that comes in later.
    """
    p, g = population.parameters, population.parameters.generator(20, int(who[0]) if len(who) else 0)
    companies = who[population.kind[who] <= FOREIGN]
    times = 1 + np.minimum(g.poisson(0.8, len(companies)), 6)
    company = np.repeat(companies, times)
    rows = len(company)
    born = population.born[company].astype(np.int64)
    begins = np.cumsum(times) - times
    weight = g.exponential(size=rows) + 0.15
    share = np.floor(weight / np.repeat(np.add.reduceat(weight, begins), times) * 10000).astype(np.int64) if rows else np.zeros(0, np.int64)
    if rows:
        share[begins] += 10000 - np.add.reduceat(share, begins)
    older = (g.random(rows) * company).astype(np.int64)
    alive = (population.kind[older] <= FOREIGN) & (population.born[older] < born) & (population.died[older] > born)
    first = np.zeros(rows, bool)
    first[begins] = True
    # Of the older subjects drawn only some are companies that lived then; more are asked for, so that the share comes out as stated.
    wanted = g.random(rows) < p.rate("owners.corporate") / max(alive.mean(), 0.05) if rows else first
    investor = np.where(wanted & alive & ~first, older, -1)
    lot = g.random(rows)
    nominee = (lot < p.rate("owners.nominee")) & (investor < 0)
    serial = (lot > 1 - p.rate("owners.serial")) & (investor < 0)
    behind = np.where(nominee, g.integers(2**41, 2**42, rows), -1)
    person = np.where(serial, 2**43 + g.integers(0, max(len(population) // SERIAL * 100, 50), rows), g.integers(2**41, 2**42, rows))
    person = np.where(nominee, 2**44 + g.integers(0, NOMINEES, rows), person)
    person = np.where(first & ~nominee & ~serial, population.owner[company], person)
    sold = p.start + (g.exponential(1 / p.rate("owners.sold"), rows) * 365.25).astype(np.int64)
    sells = (sold < np.minimum(p.end, population.died[company])) & (sold > born + 30)
    until = np.where(sells, sold, NEVER)
    held = {"company": company, "investor": investor, "person": np.where(investor >= 0, -1, person), "share": share, "since": born, "until": until, "nominee": nominee, "behind": behind, "founding": np.ones(rows, bool)}  # fmt: skip
    bought = {k: v[sells] for k, v in held.items()}
    bought |= {"investor": np.full(sells.sum(), -1), "person": g.integers(2**41, 2**42, sells.sum()), "since": sold[sells], "until": np.full(sells.sum(), NEVER), "nominee": np.zeros(sells.sum(), bool), "behind": np.full(sells.sum(), -1), "founding": np.zeros(sells.sum(), bool)}  # fmt: skip
    held = {k: np.concatenate([v, bought[k]]) for k, v in held.items()}
    return _with_rings(population, held)


def _with_rings(population: Population, held: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The holdings after the rings' parts have been given up, each by the largest of those who hold to the end."""
    p = population.parameters
    made = population.rings
    mine = np.flatnonzero(np.isin(made["company"], held["company"]))
    extra: dict[str, list[object]] = {k: [] for k in held}
    for r in mine:
        rows = np.flatnonzero((held["company"] == made["company"][r]) & (held["until"] == NEVER))
        giver = rows[np.argmax(held["share"][rows])]
        since = max(int(made["since"][r]), int(held["since"][giver]) + 1)
        share = min(int(made["share"][r]), int(held["share"][giver]) - 1)
        if since >= p.end:
            continue
        rest = {k: held[k][giver] for k in held} | {"share": held["share"][giver] - share, "since": since, "founding": False}
        part = {k: held[k][giver] for k in held} | {"share": share, "since": since, "until": NEVER, "investor": made["investor"][r], "person": -1, "nominee": False, "behind": -1, "founding": False}  # fmt: skip
        held["until"][giver] = since
        for entry in (rest, part):
            for k in held:
                extra[k].append(entry[k])
    return {k: np.concatenate([v, np.array(extra[k], dtype=v.dtype)]) for k, v in held.items()}


def _shareholders(population: Population, who: np.ndarray) -> Rows:
    """An entry for each holding that begins, and for each that ends."""
    p = population.parameters
    held = owners(population, who)
    ends = np.flatnonzero(held["until"] < p.end)
    place = np.concatenate([np.arange(len(held["company"])), ends])
    company, investor, person, share = (held[k][place] for k in ("company", "investor", "person", "share"))
    on = np.concatenate([held["since"], held["until"][ends]])
    event = np.concatenate([np.where(held["founding"], 0, 1), np.full(len(ends), 2)])
    firm = np.maximum(investor, 0)
    amount = population.capital_on(company, on) * share // 100  # hundredths of 万元
    columns = about(population, company, on) | {
        "股东名称": where(investor >= 0, population.name(firm, on), population.person(np.maximum(person, 0))),
        "股东类型": where(investor >= 0, "法人", "自然人"),
        "股东统一社会信用代码": where(investor >= 0, population.code(firm, on), ""),
        "股东证件摘要": where(investor >= 0, "", population.person_key(np.maximum(person, 0))),
        "认缴出资额（万元）": numbers(amount, 2),
        "实缴出资额（万元）": numbers(amount * ((population.number[company] + share) % 11) // 10, 2),
        "出资比例": join(numbers(share, 2), "%"),
        "变动类型": pick(["设立", "受让", "退出"], event),
        "生效日期": dates(on),
    }
    return Rows("shareholders", np.maximum(on, p.start - 1), columns, company)


def _key_persons(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    companies = who[population.kind[who] != SOLE]
    more = companies[(g.random(len(companies)) < 0.6) & (population.kind[companies] != BRANCH)]
    changed = companies[population.reowned[companies] < p.end]
    company = np.concatenate([companies, more, changed])
    on = np.concatenate([population.born[companies], population.born[more], population.reowned[changed]])
    person = np.concatenate([population.owner[companies], g.integers(2**41, 2**42, len(more)), population.new_owner[changed]])
    leads = np.where(population.kind[company] == BRANCH, 0, 1)
    position = np.concatenate([leads[: len(companies)], g.integers(2, 6, len(more)), leads[len(companies) + len(more) :]])
    columns = about(population, company, on) | {
        "姓名": population.person(person), "职务": pick(["负责人", "执行董事兼经理", "监事", "董事", "经理", "财务负责人"], position), "任职日期": dates(on)
    }  # fmt: skip
    return Rows("key_persons", np.maximum(on, p.start - 1), columns, company)


def _branches(population: Population, who: np.ndarray) -> Rows:
    branch = who[population.kind[who] == BRANCH]
    on = population.born[branch]
    columns = about(population, population.parent[branch], on) | {"分支机构代码": population.code(branch, on), "分支机构名称": population.name(branch, on), "成立日期": dates(on)}  # fmt: skip
    return Rows("branches", np.maximum(on, population.parameters.start - 1), columns, branch)


def seen_working(population: Population, who: np.ndarray, on: np.ndarray | int, g: np.random.Generator) -> np.ndarray:
    """Whether an office takes a subject for working on a day: it learns late that one has stopped, and is sometimes wrong either way."""
    p = population.parameters
    known = population.works(who, np.asarray(on) - (g.exponential(p.rate("survival.lag_days"), len(who))).astype(int))
    lot = g.random(len(who))
    return np.where(known, lot >= p.rate("survival.false_stop"), lot < p.rate("survival.unseen_stop"))


def headcount(population: Population, who: np.ndarray, on: np.ndarray | int) -> np.ndarray:
    """Employees on a day: those who work grow in the first year as published, then slowly; those who don't have none."""
    p = population.parameters
    age = np.clip((np.asarray(on) - population.born[who]) / 365.25, 0, 20)
    growth = p.rate("survival.staff_after_one_year") / p.rate("survival.staff_at_start") - 1
    staff = population.staff[who] * (1 + growth * np.minimum(age, 1) + 0.02 * np.maximum(age - 1, 0))
    return np.where(population.works(who, on), np.maximum(1, np.rint(staff)), 0).astype(np.int64)


def reported(population: Population, who: np.ndarray, year: int) -> tuple[np.ndarray, np.ndarray]:
    """Who must report in a year, and whether they do in time or late (never: False); the same whenever it is asked for."""
    p = population.parameters
    g = p.generator(22, int(who[0]) if len(who) else 0, year)
    lot = g.random(len(who))
    due = (population.born[who] < day(year, 1, 1)) & (population.died[who] > day(year, 6, 30)) & (population.kind[who] != BRANCH)
    usual = p.rate("events.annual_report")
    return due, due & (lot < np.where(population.works(who, day(year, 4, 1)), 1 - (1 - usual) * 0.6, usual * 0.85))


def _annual_reports(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    parts = []
    for year in range(p.first_year, p.first_year + p.years):
        deadline = day(year, 6, 30)
        reports = who[reported(population, who, year)[1]]
        # Most come in the last weeks; a few after the deadline.
        on = np.where(
            g.random(len(reports)) < 0.03, deadline + g.integers(1, 170, len(reports)), deadline - (180 * g.beta(1.1, 2.2, len(reports))).astype(int)
        )
        alive = on < population.died[reports]
        parts.append((reports[alive], on[alive], np.full(alive.sum(), year - 1)))
    who, on, of = (np.concatenate([x[i] for x in parts]) for i in range(3))
    last = np.array([day(y, 12, 31) for y in range(p.first_year - 1, p.first_year + p.years)])[of - p.first_year + 1]
    staff = np.where(seen_working(population, who, last, g), np.maximum(headcount(population, who, last), 1), 0)
    income = (staff * np.exp(3.2 + g.standard_normal(len(who))) * 100).astype(np.int64)
    columns = about(population, who, on) | {
        "报告年度": numbers(of),
        "报送日期": dates(on),
        "经营状态": where(staff > 0, "开业", pick(["歇业", "筹建", "清算"], choose(g, len(who), [0.8, 0.15, 0.05]))),
        "从业人数": numbers(staff),
        "资产总额（万元）": numbers(income * 3 // 2 + population.capital_on(who, on) * 20, 2),
        "营业收入（万元）": numbers(income, 2),
        "纳税总额（万元）": numbers(income * 3 // 100, 2),
        "是否公示从业人数": where(population.number[who] % 4 == 0, "否", "是"),
    }
    return Rows("annual_reports", on, columns, who)
