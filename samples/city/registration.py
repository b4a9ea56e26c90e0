"""What the registration office takes down: subjects, changes, exits, owners, officers, branches, annual reports."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.feeds import Rows
from samples.city.parameters import day
from samples.city.population import BRANCH, COOPERATIVE, NEVER, SOLE, Population, type_names
from samples.city.vocabulary import DISTRICTS, vocabulary

CURRENCIES = ("万人民币", "万美元", "万港币")
CHANGES = (("注册资本变更", 0.25), ("经营范围变更", 0.4), ("法定代表人变更", 0.2), ("住所变更（区内）", 0.15))
NOMINEES = 400  # persons in whose names many companies are held
_CODE, _NAME = "统一社会信用代码", "企业名称"


def _about(population: Population, who: np.ndarray, on: np.ndarray) -> dict[str, Column]:
    return {_CODE: population.code(who, on), _NAME: population.name(who, on)}


def registration(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    yield _subjects(population, who)
    yield _changes(population, who, g)
    yield _cancellations(population, who, g)
    yield _shareholders(population, who, g)
    yield _key_persons(population, who, g)
    yield _branches(population, who)
    yield _annual_reports(population, who, g)


def _subjects(population: Population, who: np.ndarray) -> Rows:
    """The whole record at the start, at birth, and again after each change of name, district or code."""
    p = population.parameters
    first = np.maximum(population.born[who], p.start - 1)
    again = [
        (who[turned], when[turned])
        for when in (population.renamed[who], population.moved[who], population.recoded[who])
        for turned in (when < p.end,)
    ]
    who = np.concatenate([who, *[w for w, _ in again]])
    on = np.concatenate([first, *[d for _, d in again]])
    district = population.district_on(who, on)
    capital = population.capital[who]
    stated = where(capital > 0, join(numbers(capital), pick(CURRENCIES, population.currency[who])), "N/A")
    words = vocabulary()
    code, _ = population.industry(who)
    style = (population.number[who] + population.class_[who]) % 10
    offices = [n for _, n in DISTRICTS]
    columns = _about(population, who, on) | {
        "注册日期": dates(population.born[who]),
        "企业类型": where(style < 8, pick(type_names(), population.type[who]), "N/A"),
        "法人代表": population.person(population.owner[who]),
        "注册资金": stated,
        "经营范围": pick(words.scopes, (population.class_[who].astype(int) * 31 + population.number[who]) % len(words.scopes)),
        "所在省份": repeat("广东", len(who)),
        "地区": repeat("广州", len(who)),
        "注册地址": population.address(who, on),
        "行业": where(style < 5, code, where(style < 8, pick(words.section_names, population.section[who]), "")),
        "登记机关": pick([*[f"广州市{n}市场监督管理局" for n in offices], "广州市市场监督管理局"], population.registrar[who]),
        "管辖机关": pick([f"广州市{n}市场监督管理局" for n in offices], district),
    }
    return Rows("registration_subjects", on, columns, who)


def _changes(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    parts: list[tuple[np.ndarray, np.ndarray, Column, Column, Column]] = []
    for when, item in ((population.renamed, "名称变更"), (population.moved, "住所变更（跨区）"), (population.recoded, "统一社会信用代码更正")):
        turned = who[when[who] < p.end]
        on = when[turned]
        text = {"名称变更": population.name, "住所变更（跨区）": population.address, "统一社会信用代码更正": population.code}[item]
        parts.append((turned, on, repeat(item, len(turned)), text(turned, on - 1), text(turned, on)))
    times = g.poisson(p.rate("events.change") * p.years, len(who))
    other = np.repeat(who, times)
    on = g.integers(p.start, p.end, len(other))
    lives = (on > population.born[other]) & (on < population.died[other])
    other, on = other[lives], on[lives]
    kind = choose(g, len(other), [share for _, share in CHANGES])
    amount = population.capital[other]
    scopes = vocabulary().scopes
    old, new = g.integers(0, len(scopes), (2, len(other)))
    person = g.integers(0, 2**31, len(other))
    before = _by_kind(
        kind, [join(numbers(amount), "万人民币"), pick(scopes, old), population.person(population.owner[other]), population.address(other, on)]
    )
    after = _by_kind(
        kind,
        [
            join(numbers(amount + np.maximum(10, amount // 2)), "万人民币"),
            pick(scopes, new),
            population.person(person),
            join(population.address(other, on), "之一"),
        ],
    )
    parts.append((other, on, pick([n for n, _ in CHANGES], kind), before, after))
    who, on = np.concatenate([x[0] for x in parts]), np.concatenate([x[1] for x in parts])
    texts = [pa.concat_arrays([x[i] for x in parts]) for i in (2, 3, 4)]
    columns = _about(population, who, on) | dict(zip(("变更事项", "变更前内容", "变更后内容"), texts, strict=True)) | {"核准日期": dates(on)}
    return Rows("registration_changes", on, columns, who)


def _by_kind(kind: np.ndarray, texts: list[Column]) -> Column:
    found = texts[-1]
    for number, text in enumerate(texts[:-1]):
        found = where(kind == number, text, found)
    return found


def _cancellations(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    who = who[population.died[who] < p.end]
    on = population.died[who]
    revoked = population.fate[who] == 1
    why = where(
        revoked,
        pick(["连续两年未年报且查无下落", "逾期不接受年度检验", "成立后无正当理由超过六个月未开业"], g.integers(0, 3, len(who))),
        pick(["决议解散", "经营者申请", "简易注销", "分支机构撤销"], g.integers(0, 4, len(who))),
    )
    columns = _about(population, who, on) | {"类型": where(revoked, "吊销", "注销"), "日期": dates(on), "原因": why}
    return Rows("registration_cancellations", np.maximum(on, p.start - 1), columns, who)


def owners(population: Population, who: np.ndarray, g: np.random.Generator) -> dict[str, np.ndarray]:
    """Holdings: company, investor (a place in the population, or -1 and a person), share in hundredths of a percent, since when, until when.

    One in ten investors is a company, of any age, so that circles come about; a few persons hold very many.
    """
    p = population.parameters
    companies = who[np.isin(population.kind[who], (BRANCH, COOPERATIVE, SOLE), invert=True)]
    times = 1 + np.minimum(g.poisson(0.8, len(companies)), 6)
    company = np.repeat(companies, times)
    rows = len(company)
    weight = g.exponential(size=rows) + 0.15
    begins = np.cumsum(times) - times
    whole = np.repeat(np.add.reduceat(weight, begins), times) if rows else weight
    share = np.floor(weight / whole * 10000).astype(np.int64)
    share[begins] += 10000 - np.add.reduceat(share, begins) if rows else 0
    corporate = g.random(rows) < 0.10
    investor = np.where(corporate, g.integers(0, len(population), rows), -1)
    sound = (investor >= 0) & np.isin(population.kind[investor], (BRANCH, COOPERATIVE, SOLE), invert=True) & (investor != company)
    investor = np.where(sound, investor, -1)
    nominee = g.random(rows) < 0.01
    person = np.where(nominee, g.integers(0, NOMINEES, rows), g.integers(0, 2**31, rows))
    first = np.zeros(rows, bool)
    first[begins] = True
    person = np.where(first & ~nominee, population.owner[company], person)
    sold = p.start + g.exponential(1 / 0.03, rows) * 365.25
    until = np.where((sold < np.minimum(p.end, population.died[company])) & (sold > population.born[company] + 30), sold, NEVER).astype(np.int64)
    return {"company": company, "investor": investor, "person": person, "nominee": nominee & (investor < 0), "share": share, "since": population.born[company].astype(np.int64), "until": until}  # fmt: skip


def _shareholders(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    held = owners(population, who, g)
    out = held["until"] < p.end
    # Who sells leaves, and another person comes in with the same share.
    company = np.concatenate([held["company"], held["company"][out], held["company"][out]])
    investor = np.concatenate([held["investor"], held["investor"][out], np.full(out.sum(), -1)])
    person = np.concatenate([held["person"], held["person"][out], g.integers(0, 2**31, out.sum())])
    share = np.concatenate([held["share"], held["share"][out], held["share"][out]])
    on = np.concatenate([held["since"], held["until"][out], held["until"][out]])
    event = np.concatenate([np.zeros(len(out), int), np.full(out.sum(), 2), np.ones(out.sum(), int)])
    by_company = investor >= 0
    firm = np.maximum(investor, 0)
    amount = population.capital[company] * share // 100  # hundredths of 万元
    columns = _about(population, company, on) | {
        "股东名称": where(by_company, population.name(firm, on), population.person(person)),
        "股东类型": where(by_company, "法人", "自然人"),
        "股东统一社会信用代码": where(by_company, population.code(firm, on), ""),
        "股东证件摘要": where(by_company, "", join("P", pa.array(person).cast(pa.string()))),
        "认缴出资额（万元）": numbers(amount, 2),
        "实缴出资额（万元）": numbers((amount * (person % 11) // 10), 2),
        "出资比例": join(numbers(share, 2), "%"),
        "变动类型": pick(["设立", "受让", "退出"], event),
        "生效日期": dates(on),
    }
    return Rows("shareholders", np.maximum(on, p.start - 1), columns, company)


def _key_persons(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    companies = who[population.kind[who] != SOLE]
    more = companies[(g.random(len(companies)) < 0.6) & (population.kind[companies] != BRANCH)]
    company = np.concatenate([companies, more])
    on = population.born[company]
    person = np.concatenate([population.owner[companies], g.integers(0, 2**31, len(more))])
    position = np.concatenate([np.where(population.kind[companies] == BRANCH, 0, 1), g.integers(2, 6, len(more))])
    columns = _about(population, company, on) | {
        "姓名": population.person(person),
        "职务": pick(["负责人", "执行董事兼经理", "监事", "董事", "经理", "财务负责人"], position),
        "任职日期": dates(on),
    }
    return Rows("key_persons", np.maximum(on, p.start - 1), columns, company)


def parents(population: Population, branch: np.ndarray) -> np.ndarray:
    """The company that each branch belongs to: an older one."""
    older = (branch * 0.61).astype(np.int64)
    for _ in range(8):  # the next older one that is a company
        older = np.where(population.kind[older] <= 2, older, np.maximum(older - 1, 0))
    return older


def _branches(population: Population, who: np.ndarray) -> Rows:
    branch = who[population.kind[who] == BRANCH]
    parent = parents(population, branch)
    on = population.born[branch]
    columns = _about(population, parent, on) | {
        "分支机构代码": population.code(branch, on),
        "分支机构名称": population.name(branch, on),
        "成立日期": dates(on),
    }
    return Rows("branches", np.maximum(on, population.parameters.start - 1), columns, branch)


def operates(population: Population, who: np.ndarray, on: np.ndarray | int) -> np.ndarray:
    """Whether a living subject really works: 69.3 % a year after the start; the frail stop first, and some who stop exit much later."""
    age = (on - population.born[who]) / 365.25
    return population.idle[who] < np.where(age < 1.5, population.parameters.rate("survival.operating_after_one_year"), 0.8)


def headcount(population: Population, who: np.ndarray, on: np.ndarray | int) -> np.ndarray:
    """Employees on a day: those who work grow in the first year as published, then slowly; those who don't have none."""
    p = population.parameters
    age = np.clip((on - population.born[who]) / 365.25, 0, 20)
    growth = p.rate("survival.staff_after_one_year") / p.rate("survival.staff_at_start") - 1
    staff = population.staff[who] * (1 + growth * np.minimum(age, 1) + 0.02 * np.maximum(age - 1, 0))
    return np.where(operates(population, who, on), np.maximum(1, np.rint(staff)), 0).astype(np.int64)


def _annual_reports(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    p = population.parameters
    parts = []
    for year in range(p.first_year, p.first_year + p.years):
        first, deadline = day(year, 1, 1), day(year, 6, 30)
        due = who[(population.born[who] < first) & (population.died[who] > deadline) & (population.kind[who] != BRANCH)]
        reports = due[g.random(len(due)) < p.rate("events.annual_report") * np.where(operates(population, due, first), 1.08, 0.75)]
        # Most come in the last weeks; a few after the deadline.
        on = np.where(
            g.random(len(reports)) < 0.03, deadline + g.integers(1, 170, len(reports)), deadline - (180 * g.beta(1.1, 2.2, len(reports))).astype(int)
        )
        parts.append((reports, on, np.full(len(reports), year - 1)))
    who, on, of = (np.concatenate([x[i] for x in parts]) for i in range(3))
    last = np.array([day(y + 1, 1, 1) - 1 for y in range(p.first_year - 1, p.first_year + p.years)])[of - p.first_year + 1]
    staff = headcount(population, who, last)
    income = (staff * np.exp(3.2 + g.standard_normal(len(who))) * 100).astype(np.int64)
    columns = _about(population, who, on) | {
        "报告年度": numbers(of),
        "报送日期": dates(on),
        "经营状态": where(staff > 0, "开业", pick(["歇业", "筹建", "清算"], choose(g, len(who), [0.8, 0.15, 0.05]))),
        "从业人数": numbers(staff),
        "资产总额（万元）": numbers(income * 3 // 2 + population.capital[who] * 20, 2),
        "营业收入（万元）": numbers(income, 2),
        "纳税总额（万元）": numbers(income * 3 // 100, 2),
        "是否公示从业人数": where(population.number[who] % 4 == 0, "否", "是"),
    }
    return Rows("annual_reports", on, columns, who)
