"""What supervisors take down: inspections, lists and marks, repair, cases and penalties, licences, risk classes, advertising."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from samples.city.columns import choose, dates, join, numbers, pick, repeat, where
from samples.city.feeds import Rows
from samples.city.parameters import day
from samples.city.population import BRANCH, NEVER, SOLE, Population
from samples.city.registration import _about, operates
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
LICENCES = ("食品经营许可", "广告发布登记", "特种设备使用登记", "计量器具型式批准", "人力资源服务许可", "道路运输经营许可")


def _district(population: Population, who: np.ndarray, on: np.ndarray) -> list[str]:
    return pick([f"广州市{n}市场监督管理局" for _, n in DISTRICTS], population.district_on(who, on))


def _drawn(population: Population, who: np.ndarray, g: np.random.Generator, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Subjects and days on which something happened to them, at a rate per year while they live."""
    p = population.parameters
    times = g.poisson(rate * p.years, len(who))
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
    p = population.parameters
    who, on = _drawn(population, who, g, p.rate("events.inspected"))
    frail = np.clip(population.frailty[who], 0.2, 4)
    found = g.random(len(who)) < 0.06 * frail
    result = np.where(found, g.integers(1, 8, len(who)), np.where(operates(population, who, on), 0, 3))
    district = population.district_on(who, on)
    first, second = (district * INSPECTORS_PER_DISTRICT + g.integers(0, INSPECTORS_PER_DISTRICT, len(who)) for _ in range(2))
    year = (on - day(p.first_year, 1, 1)) // 366
    columns = _about(population, who, on) | {
        "任务编号": join("RW", numbers(who), "-", numbers(on)),
        "计划编号": join("JH", numbers(year + p.first_year), "-", numbers(choose(g, len(who), [3, 3, 1, 0.2, 0.5, 1, 1, 0.6, 0.5, 1]) + 1)),
        "检查人员编号1": join("ZF", numbers(first + 10000)),
        "检查人员编号2": join(
            "ZF", numbers(np.where(second == first, district * INSPECTORS_PER_DISTRICT + (first + 1) % INSPECTORS_PER_DISTRICT, second) + 10000)
        ),
        "检查日期": dates(on),
        "检查结果": pick(RESULTS, result),
        "公示日期": dates(on + g.integers(1, 28, len(who))),
    }
    return Rows("inspection_results", on, columns, who)


def _lists(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    """Enterprises are listed, sole traders are marked; most come off again, some by credit repair."""
    p = population.parameters
    chosen, on = _drawn(population, who, g, p.rate("events.abnormal") / p.rate("kinds.enterprise_share") * 0.63)
    keep = g.random(len(chosen)) < np.clip(population.frailty[chosen], 0.2, 3) / 1.2
    chosen, on = chosen[keep & (population.kind[chosen] != BRANCH)], on[keep & (population.kind[chosen] != BRANCH)]
    reason = choose(g, len(chosen), [p.rate(f"abnormal_reasons.{r}") for r in REASONS])
    # Who doesn't report is listed in July.
    years = (on - p.start) // 366
    july = np.array([day(p.first_year + y, 7, 1) for y in range(p.years)])[np.minimum(years, p.years - 1)] + g.integers(0, 14, len(on))
    on = np.where((reason == 0) & (july < population.died[chosen]) & (july > population.born[chosen]), july, on)
    off = on + (g.exponential(240, len(on))).astype(int) + 5
    off = np.where((off < p.end) & (off < population.died[chosen]), off, NEVER)
    repaired = (off != NEVER) & (g.random(len(on)) < 0.4)
    sole = population.kind[chosen] == SOLE
    # A removal is delivered as the same entry again, with its end.
    for feed, mine in (("abnormal_list", ~sole), ("individual_marks", sole)):
        w, start, end, why, fixed = chosen[mine], on[mine], off[mine], reason[mine], repaired[mine]
        ended = end != NEVER
        subject, begin = np.concatenate([w, w[ended]]), np.concatenate([start, start[ended]])
        finish = np.concatenate([np.full(len(w), NEVER), end[ended]])
        recorded = np.concatenate([start, end[ended]])
        why, fixed = np.concatenate([why, why[ended]]), np.concatenate([np.zeros(len(w), bool), fixed[ended]])
        about = _about(population, subject, recorded)
        if feed == "abnormal_list":
            lifted = where(finish == NEVER, "", where(fixed, "信用修复", "履行公示义务"))
            yield Rows(feed, recorded, about | {"列入日期": dates(begin), "列入原因": pick(REASON_TEXTS, why), "作出决定机关": _district(population, subject, begin), "移出日期": dates(finish, NEVER), "移出原因": lifted}, subject)  # fmt: skip
        else:
            yield Rows(feed, recorded, {"统一社会信用代码": about["统一社会信用代码"], "名称": about["企业名称"], "标记日期": dates(begin), "标记原因": pick(REASON_TEXTS, why), "恢复日期": dates(finish, NEVER)}, subject)  # fmt: skip
    w, done = chosen[repaired], off[repaired]
    applied = done - g.integers(3, 20, len(w))
    yield Rows("credit_repairs", done, _about(population, w, done) | {"修复类型": repeat("移出经营异常名录", len(w)), "申请日期": dates(applied), "决定日期": dates(done), "决定结果": repeat("准予修复", len(w))}, w)  # fmt: skip
    serious, on = _drawn(population, who, g, 0.0004)
    off = on + 3 * 365
    about = _about(population, serious, on)
    yield Rows("serious_list", on, about | {"列入日期": dates(on), "列入事由": pick(CAUSES, g.integers(0, len(CAUSES), len(on))), "移出日期": where(off < p.end, dates(off), "")}, serious)  # fmt: skip


def _cases(population: Population, who: np.ndarray, g: np.random.Generator) -> Iterator[Rows]:
    """Cases step by step, and the decisions as penalties; a step that has not happened by the last day is not delivered."""
    p = population.parameters
    who, on = _drawn(population, who, g, p.rate("events.case"))
    cause = choose(g, len(who), [0.45, 0.13, 0.12, 0.08, 0.07, 0.07, 0.05, 0.03])
    number = join("穗市监案字", numbers(who), "-", numbers(on))
    decided = on + 20 + (g.gamma(2.0, 35.0, len(who))).astype(int)
    steps = [
        ("案源登记", on - g.integers(1, 15, len(who)), np.ones(len(who), bool)),
        ("立案", on, np.ones(len(who), bool)),
        ("处罚决定", decided, g.random(len(who)) < 0.9),
    ]
    steps += [
        ("执行完毕", decided + g.integers(5, 60, len(who)), g.random(len(who)) < 0.8),
        ("移送", decided, g.random(len(who)) < 0.02),
        ("行政复议", decided + g.integers(10, 60, len(who)), g.random(len(who)) < 0.015),
    ]
    for name, when, happens in steps:
        mine = np.flatnonzero(happens & (when < p.end) & (when >= p.start))
        w, d = who[mine], when[mine]
        about = _about(population, w, d)
        columns = {"案件编号": number.take(mine), "统一社会信用代码": about["统一社会信用代码"], "当事人": about["企业名称"], "环节": repeat(name, len(mine)), "环节日期": dates(d), "案由": pick(CAUSES, cause[mine]), "承办单位": _district(population, w, d)}  # fmt: skip
        yield Rows("enforcement_cases", d, columns, w)
        if name == "处罚决定":
            fine = np.exp(g.standard_normal(len(mine)) * 1.2) * 100
            about_d = _about(population, w, d)
            yield Rows("penalties", d, {
                "决定书文号": join("穗市监罚字", numbers(w), "-", numbers(d)), "统一社会信用代码": about_d["统一社会信用代码"], "当事人": about_d["企业名称"],
                "处罚类别": pick(["罚款", "警告", "罚款；没收违法所得、没收非法财物", "责令停产停业", "吊销营业执照"], choose(g, len(mine), [0.62, 0.14, 0.2, 0.02, 0.02])),
                "违法行为类型": pick(CAUSES, cause[mine]), "罚款金额（万元）": numbers(fine.astype(np.int64), 2), "没收金额（万元）": numbers((fine * g.random(len(mine)) * 0.3).astype(np.int64), 2),
                "决定日期": dates(d), "公示截止期": dates(d + 365 * 3),
            }, w)  # fmt: skip


def _licences(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on = _drawn(population, who, g, population.parameters.rate("events.licence"))
    about = _about(population, who, on)
    columns = {"许可编号": join("XK", numbers(who), "-", numbers(on)), **about, "许可内容": pick(LICENCES[:4], choose(g, len(who), [0.8, 0.05, 0.12, 0.03])), "许可机关": _district(population, who, on), "决定日期": dates(on), "有效期至": dates(on + 365 * 5)}  # fmt: skip
    return Rows("licences", on, columns, who)


def _risk(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    """The authority's own classes: one for each enterprise at the start or half a year after its birth, and again when it changes."""
    p = population.parameters
    firms = who[(population.kind[who] <= 2) & (population.died[who] > p.start)]
    on = np.maximum(population.born[firms] + 180, p.start + 10)
    firms, on = firms[on < np.minimum(p.end, population.died[firms])], on[on < np.minimum(p.end, population.died[firms])]
    again, when = _drawn(population, firms, g, 0.12)
    firms, on = np.concatenate([firms, again]), np.concatenate([on, when])
    score = np.log(population.frailty[firms]) + 0.9 * g.standard_normal(len(firms))
    columns = _about(population, firms, on) | {"风险等级": pick(list("ABCD"), np.searchsorted([0.2, 1.3, 2.2], score)), "评定日期": dates(on)}
    return Rows("risk_classes", on, columns, firms)


def _advertising(population: Population, who: np.ndarray, g: np.random.Generator) -> Rows:
    who, on = _drawn(population, who, g, 0.004)
    unlawful = g.random(len(who)) < 0.03
    about = _about(population, who, on)
    columns = {"监测编号": join("GG", numbers(who), "-", numbers(on)), "媒体": pick(["电视", "广播", "报纸", "互联网", "户外"], choose(g, len(who), [0.1, 0.08, 0.07, 0.6, 0.15])), "广告主代码": about["统一社会信用代码"], "广告主": about["企业名称"], "广告类别": pick(["普通商品", "医疗", "房地产", "教育培训", "金融"], g.integers(0, 5, len(who))), "监测日期": dates(on), "是否涉嫌违法": where(unlawful, "是", "否"), "违法表现": where(unlawful, "使用绝对化用语", "")}  # fmt: skip
    return Rows("advertising", on, columns, who)


def registers(population: Population, g: np.random.Generator) -> Iterator[Rows]:
    """What is no subject's: the items that may be inspected, the inspectors, the plans of each year."""
    p = population.parameters
    begin = np.full(len(ITEMS), p.start)
    nobody = np.full(len(ITEMS), -1)
    yield Rows("inspection_items", begin, {"事项编号": join("SX", numbers(np.arange(1, len(ITEMS) + 1))), "抽查类别": repeat("市场监管", len(ITEMS)), "抽查事项": pick(ITEMS, np.arange(len(ITEMS))), "检查对象": repeat("企业、个体工商户、农民专业合作社", len(ITEMS)), "检查方式": repeat("实地核查、书面检查、网络监测", len(ITEMS)), "实施依据": repeat("《企业信息公示暂行条例》等", len(ITEMS)), "生效日期": dates(begin)}, nobody)  # fmt: skip
    number = np.arange(INSPECTORS_PER_DISTRICT * len(DISTRICTS))
    on = np.where(number % 20 == 0, p.start + 366, p.start)
    yield Rows("inspectors", on, {"人员编号": join("ZF", numbers(number + 10000)), "姓名": population.person(number + 7_000_000_000), "单位": pick([f"广州市{n}市场监督管理局" for _, n in DISTRICTS], number // INSPECTORS_PER_DISTRICT), "执法证号": join("粤A", numbers(number + 910000)), "专长": pick(["综合", "广告", "商标", "价格", "网络"], number % 5), "状态": where(number % 33 == 0, "离岗", "在岗"), "登记日期": dates(on)}, np.full(len(number), -1))  # fmt: skip
    years = np.repeat(np.arange(p.first_year, p.first_year + p.years), len(ITEMS))
    item = np.tile(np.arange(1, len(ITEMS) + 1), p.years)
    first = np.array([day(y, 2, 1) for y in years])
    yield Rows("inspection_plans", first, {"计划编号": join("JH", numbers(years), "-", numbers(item)), "年度": numbers(years), "抽查事项编号": join("SX", numbers(item)), "抽取比例": join(numbers(g.integers(1, 5, len(item))), "%"), "开始日期": dates(first), "结束日期": dates(first + 300)}, np.full(len(item), -1))  # fmt: skip
