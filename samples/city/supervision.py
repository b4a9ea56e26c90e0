"""What supervisors take down: inspections, lists and marks, repair, cases and penalties, licences, risk classes, advertising."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.documents import numbered, scrambled
from samples.city.feeds import Rows
from samples.city.parameters import day
from samples.city.population import BRANCH, FOREIGN, NEVER, SOLE, Population
from samples.city.registration import about, reported, seen_working
from samples.city.vocabulary import DISTRICTS

ITEMS = (
    "登记事项检查", "公示信息检查", "价格行为检查", "直销行为检查", "拍卖等重要领域市场规范管理检查", "广告行为检查", "网络商品交易及有关服务行为检查", "商标使用行为检查", "合同行为检查", "电子商务经营行为检查",
)  # fmt: skip
RESULTS = (
    "未发现问题",
    "未按规定公示应当公示的信息",
    "公示信息隐瞒真实情况弄虚作假",
    "通过登记的住所（经营场所）无法联系",
    "发现问题已责令改正",
    "不配合检查情节严重",
    "未发现开展本次抽查涉及的经营活动",
    "发现问题待后续处理",
)
CAUSES = ("无照经营", "虚假广告", "侵犯注册商标专用权", "不正当竞争", "提交虚假材料取得登记", "价格违法", "合同违法", "传销或违规直销")
REASONS = ("not_reported", "not_found", "concealed", "not_published")
REASON_TEXTS = (
    "未依照规定的期限公示年度报告",
    "通过登记的住所或者经营场所无法联系",
    "公示企业信息隐瞒真实情况、弄虚作假",
    "未在责令的期限内公示有关企业信息",
)
INSPECTORS_PER_DISTRICT = 60
LICENCES = ("食品经营许可", "广告发布登记", "特种设备使用登记", "计量器具型式批准")
PLAN_FIRST, PLAN_DAYS = (2, 1), 300  # month and day on which the plans of a year begin, and how long they run


def _office(population: Population, who: np.ndarray, on: np.ndarray) -> Column:
    return pick([f"广州市{n}市场监督管理局" for _, n in DISTRICTS], population.district_on(who, on))


def drawn(population: Population, who: np.ndarray, g: np.random.Generator, rate: float, power: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Subjects and days on which something happened to them, at a rate per year while they live; it grows with that power of their frailty."""
    p = population.parameters
    times = g.poisson(rate * p.years * population.frailty[who].astype(float) ** power, len(who))
    chosen = np.repeat(who, times)
    on = g.integers(p.start, p.end, len(chosen))
    lives = (on > population.born[chosen] + 30) & (on < population.died[chosen])
    return chosen[lives], on[lives]


def supervision(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    yield _inspections(population, who, g)
    yield from _lists(population, who, g)
    yield from _cases(population, who, g)
    yield _licences(population, who, g)
    yield _risk(population, who, g)
    yield _advertising(population, who, g)


def _inspections(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    """Within the plans' windows, by inspectors who were in post; delivered when they are made public."""
    p = population.parameters
    who, on = drawn(population, who, g, p.rate("events.inspected") * 365 / PLAN_DAYS)
    year = np.searchsorted([day(p.first_year + y, 1, 1) for y in range(1, p.years)], on, side="right")
    begin = np.array([day(p.first_year + y, *PLAN_FIRST) for y in range(p.years)])[year]
    keep = (on >= begin) & (on <= begin + PLAN_DAYS)
    who, on, year = who[keep], on[keep], year[keep]
    found = g.random(len(who)) < p.rate("events.found") * population.frailty[who]
    idle = ~seen_working(population, who, on, g)
    result = np.where(found, choose(g, len(who), [0, 4, 0.3, 2, 3, 0.2, 1, 1.5]), np.where(idle, np.where(g.random(len(who)) < 0.5, 3, 6), 0))
    first, second = (_inspector(population, who, on, g) for _ in range(2))
    public = on + g.integers(1, 28, len(who))
    columns = about(population, who, on) | {
        "任务编号": numbered(population, 1, "穗市监抽", who, on),
        "计划编号": join("JH", numbers(year + p.first_year), "-", numbers(choose(g, len(who), [3, 3, 1, 0.2, 0.5, 1, 1, 0.6, 0.5, 1]) + 1)),
        "检查人员编号1": join("ZF", numbers(first + 10000)),
        "检查人员编号2": join("ZF", numbers(second + 10000)),
        "检查日期": dates(on),
        "检查结果": pick(RESULTS, result),
        "公示日期": dates(public),
    }
    return _until_end(p.end, Rows("inspection_results", public, columns, who))


def _until_end(end: int, rows: Rows) -> Rows:
    """Without what is taken down after the last day."""
    mine = np.flatnonzero(rows.day < end)
    return Rows(rows.feed, rows.day[mine], {h: c.take(mine) for h, c in rows.columns.items()}, rows.subject[mine])


def _posted(number: np.ndarray) -> np.ndarray:
    """Whether an inspector is in post from the first day to the last."""
    return (number % 33 != 0) & (number % 20 != 0)


def _inspector(population: Population, who: np.ndarray, on: np.ndarray, g: np.random.Generator) -> np.ndarray:
    everybody = np.arange(INSPECTORS_PER_DISTRICT * len(DISTRICTS))
    of = [everybody[(everybody // INSPECTORS_PER_DISTRICT == d) & _posted(everybody)] for d in range(len(DISTRICTS))]
    district = population.district_on(who, on)
    sizes, begins = np.array([len(o) for o in of]), np.cumsum([0, *[len(o) for o in of]])[:-1]
    return np.concatenate(of)[begins[district] + (g.random(len(who)) * sizes[district]).astype(int)]


def _lists(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    """Enterprises are listed, sole traders are marked, at most once in the period; most come off again, some by credit repair."""
    p = population.parameters
    able = who[population.kind[who] != BRANCH]
    shares = [p.rate(f"abnormal_reasons.{r}") for r in REASONS]
    rate = p.rate("events.abnormal")
    subject, start, reason = [], [], []
    for year in range(p.first_year, p.first_year + p.years):
        due, done = reported(population, who, year)
        missed = who[due & ~done]
        number = min(len(missed), round(due.sum() * rate * shares[0] / sum(shares)))
        # Whom the office finds out first: those that have really stopped.
        order = np.argsort(g.exponential(size=len(missed)) / np.where(population.works(missed, day(year, 7, 1)), 1.0, 3.0))
        listed = missed[order[:number]]
        subject.append(listed)
        start.append(day(year, 7, 1) + g.integers(0, 14, len(listed)))
        reason.append(np.zeros(len(listed), np.int64))
    other, on = drawn(population, able, g, rate * (1 - shares[0] / sum(shares)), 0.5)
    subject.append(other)
    start.append(on)
    reason.append(1 + choose(g, len(other), shares[1:]))
    who_, on, why = np.concatenate(subject), np.concatenate(start), np.concatenate(reason)
    order = np.argsort(on, kind="stable")
    _, first = np.unique(who_[order], return_index=True)
    who_, on, why = (x[order[first]] for x in (who_, on, why))
    alive = (on < population.died[who_]) & (on < p.end)
    who_, on, why = who_[alive], on[alive], why[alive]
    off = on + (g.exponential(240, len(on))).astype(int) + 25
    off = np.where((off < p.end) & (off < population.died[who_]), off, NEVER)
    repaired = (off != NEVER) & (g.random(len(on)) < 0.4)
    sole = population.kind[who_] == SOLE
    # A removal is delivered as the same entry again, with its end.
    for feed, mine in (("abnormal_list", ~sole), ("individual_marks", sole)):
        ended = mine & (off != NEVER)
        w, begin = np.concatenate([who_[mine], who_[ended]]), np.concatenate([on[mine], on[ended]])
        finish = np.concatenate([np.full(mine.sum(), NEVER), off[ended]])
        recorded = np.where(finish == NEVER, begin, finish)
        text, fixed = np.concatenate([why[mine], why[ended]]), np.concatenate([np.zeros(mine.sum(), bool), repaired[ended]])
        names = about(population, w, recorded)
        if feed == "abnormal_list":
            lifted = where(finish == NEVER, "", where(fixed, "信用修复", "履行公示义务"))
            yield Rows(feed, recorded, names | {"列入日期": dates(begin), "列入原因": pick(REASON_TEXTS, text), "作出决定机关": _office(population, w, begin), "移出日期": dates(finish, NEVER), "移出原因": lifted}, w)  # fmt: skip
        else:
            yield Rows(feed, recorded, {"统一社会信用代码": names["统一社会信用代码"], "名称": names["企业名称"], "标记日期": dates(begin), "标记原因": pick(REASON_TEXTS, text), "恢复日期": dates(finish, NEVER)}, w)  # fmt: skip
    w, done_ = who_[repaired], off[repaired]
    yield Rows("credit_repairs", done_, about(population, w, done_) | {"修复类型": repeat("移出经营异常名录", len(w)), "申请日期": dates(done_ - g.integers(3, 20, len(w))), "决定日期": dates(done_), "决定结果": repeat("准予修复", len(w))}, w)  # fmt: skip
    serious, on = drawn(population, who, g, p.rate("events.serious"), 1.0)
    off = on + 3 * 365
    yield Rows("serious_list", on, about(population, serious, on) | {"列入日期": dates(on), "列入事由": pick(CAUSES, g.integers(0, len(CAUSES), len(on))), "移出日期": where(off < p.end, dates(off), "")}, serious)  # fmt: skip


def _cases(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    """Cases step by step, and the decisions as penalties; a step that has not happened by the last day, or by the exit, is not delivered."""
    p = population.parameters
    who, on = drawn(population, who, g, p.rate("events.case"), p.rate("complaints.frailty_power"))
    rows = len(who)
    cause = choose(g, rows, [0.45, 0.13, 0.12, 0.08, 0.07, 0.07, 0.05, 0.03])
    number = numbered(population, 2, "穗市监案", who, on)
    decided = on + 20 + (g.gamma(2.0, 35.0, rows)).astype(int)
    decides = (g.random(rows) < 0.9) & (decided < population.died[who])
    everybody = np.ones(rows, bool)
    steps = [("案源登记", on - g.integers(1, 15, rows), everybody), ("立案", on, everybody), ("处罚决定", decided, decides)]
    steps += [("执行完毕", decided + g.integers(5, 60, rows), decides & (g.random(rows) < 0.85)), ("移送", decided, ~decides & (g.random(rows) < 0.3)), ("行政复议", decided + g.integers(10, 60, rows), decides & (g.random(rows) < 0.015))]  # fmt: skip
    for name, when, happens in steps:
        mine = np.flatnonzero(happens & (when < np.minimum(p.end, population.died[who])) & (when >= p.start))
        w, d = who[mine], when[mine]
        names = about(population, w, d)
        yield Rows("enforcement_cases", d, {"案件编号": number.take(mine), "统一社会信用代码": names["统一社会信用代码"], "当事人": names["企业名称"], "环节": repeat(name, len(mine)), "环节日期": dates(d), "案由": pick(CAUSES, cause[mine]), "承办单位": _office(population, w, d)}, w)  # fmt: skip
        if name == "处罚决定":
            kind = choose(g, len(mine), [0.62, 0.14, 0.2, 0.02, 0.02])
            fine = np.where(np.isin(kind, (0, 2)), np.exp(g.standard_normal(len(mine)) * 1.2) * 100, 0).astype(np.int64)
            taken = np.where(kind == 2, fine * g.random(len(mine)) * 0.6, 0).astype(np.int64)
            yield Rows("penalties", d, {
                "决定书文号": numbered(population, 3, "穗市监罚", w, d), "统一社会信用代码": names["统一社会信用代码"], "当事人": names["企业名称"],
                "处罚类别": pick(["罚款", "警告", "罚款；没收违法所得、没收非法财物", "责令停产停业", "吊销营业执照"], kind), "违法行为类型": pick(CAUSES, cause[mine]),
                "罚款金额（万元）": numbers(fine, 2), "没收金额（万元）": numbers(taken, 2), "决定日期": dates(d), "公示截止期": dates(d + 365 * 3),
            }, w)  # fmt: skip


def _licences(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on = drawn(population, who, g, population.parameters.rate("events.licence"))
    columns = {"许可编号": numbered(population, 4, "穗许", who, on), **about(population, who, on), "许可内容": pick(LICENCES, choose(g, len(who), [0.8, 0.05, 0.12, 0.03])), "许可机关": _office(population, who, on), "决定日期": dates(on), "有效期至": dates(on + 365 * 5)}  # fmt: skip
    return Rows("licences", on, columns, who)


def _risk(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    """The authority's own classes: one for each enterprise at the start or half a year after its birth, and again when it changes."""
    p = population.parameters
    firms = who[(population.kind[who] <= FOREIGN) & (population.died[who] > p.start)]
    on = np.maximum(population.born[firms] + 180, p.start + 10)
    firms, on = firms[on < np.minimum(p.end, population.died[firms])], on[on < np.minimum(p.end, population.died[firms])]
    again, when = drawn(population, firms, g, 0.12)
    firms, on = np.concatenate([firms, again]), np.concatenate([on, when])
    score = np.log(population.frailty[firms]) + 0.9 * g.standard_normal(len(firms))
    columns = about(population, firms, on) | {"风险等级": pick(list("ABCD"), np.searchsorted([0.0, 1.1, 2.0], score)), "评定日期": dates(on)}
    return Rows("risk_classes", on, columns, firms)


def _advertising(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on = drawn(population, who, g, population.parameters.rate("events.advertising"))
    unlawful = g.random(len(who)) < 0.03 * population.frailty[who]
    names = about(population, who, on)
    columns = {"监测编号": join("GG", numbers(scrambled(population, 5, who))), "媒体": pick(["电视", "广播", "报纸", "互联网", "户外"], choose(g, len(who), [0.1, 0.08, 0.07, 0.6, 0.15])), "广告主代码": names["统一社会信用代码"], "广告主": names["企业名称"], "广告类别": pick(["普通商品", "医疗", "房地产", "教育培训", "金融"], g.integers(0, 5, len(who))), "监测日期": dates(on), "是否涉嫌违法": where(unlawful, "是", "否"), "违法表现": where(unlawful, "使用绝对化用语", "")}  # fmt: skip
    return Rows("advertising", on, columns, who)


def registers(population: Population, g: np.random.Generator) -> Iterator[Rows]:
    """What is no subject's: the items that may be inspected, the inspectors, the plans of each year."""
    p = population.parameters
    begin = np.full(len(ITEMS), p.start)
    nobody = np.full(len(ITEMS), -1)
    yield Rows("inspection_items", begin, {"事项编号": join("SX", numbers(np.arange(1, len(ITEMS) + 1))), "抽查类别": repeat("市场监管", len(ITEMS)), "抽查事项": pick(ITEMS, np.arange(len(ITEMS))), "检查对象": repeat("企业、个体工商户、农民专业合作社", len(ITEMS)), "检查方式": repeat("实地核查、书面检查、网络监测", len(ITEMS)), "实施依据": repeat("《企业信息公示暂行条例》等", len(ITEMS)), "生效日期": dates(begin)}, nobody)  # fmt: skip
    number = np.arange(INSPECTORS_PER_DISTRICT * len(DISTRICTS))
    on = np.where(number % 20 == 0, p.start + 366, p.start)
    here = np.flatnonzero(on < p.end)
    number, on = number[here], on[here]
    yield Rows("inspectors", on, {"人员编号": join("ZF", numbers(number + 10000)), "姓名": population.person(number + 2**45), "单位": pick([f"广州市{n}市场监督管理局" for _, n in DISTRICTS], number // INSPECTORS_PER_DISTRICT), "执法证号": join("粤A", numbers(number + 910000)), "专长": pick(["综合", "广告", "商标", "价格", "网络"], number % 5), "状态": where(number % 33 == 0, "离岗", "在岗"), "登记日期": dates(on)}, np.full(len(number), -1))  # fmt: skip
    years = np.repeat(np.arange(p.first_year, p.first_year + p.years), len(ITEMS))
    item = np.tile(np.arange(1, len(ITEMS) + 1), p.years)
    first = np.array([day(y, *PLAN_FIRST) for y in years])
    yield Rows("inspection_plans", first, {"计划编号": join("JH", numbers(years), "-", numbers(item)), "年度": numbers(years), "抽查事项编号": join("SX", numbers(item)), "抽取比例": join(numbers(g.integers(1, 5, len(item))), "%"), "开始日期": dates(first), "结束日期": dates(first + PLAN_DAYS)}, np.full(len(item), -1))  # fmt: skip
