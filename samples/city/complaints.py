"""12315: consultations, complaints and reports with their text and handling; bursts that are known; public opinion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.feeds import Rows
from samples.city.parameters import Parameters, date_of, day
from samples.city.population import Population
from samples.city.vocabulary import DISTRICTS, vocabulary

COMPLAINT, REPORT, QUERY = range(3)
OPENINGS = ("我在{}购买的", "本人于近日在{}消费，", "在{}的店里买了", "通过网络平台向{}下单的")
GRIEVANCES = {
    "质量": ("用了几天就坏了", "有明显瑕疵，与描述不符", "拆开就发现是坏的"), "售后服务": ("联系客服一直没有人处理", "保修期内拒绝维修"), "合同": ("约定的内容没有履行", "不肯退还定金"),
    "虚假宣传": ("宣传的功效根本没有", "说是正品其实不是"), "价格": ("结账时比标价高", "没有明码标价"), "食品安全": ("吃完后身体不适", "已经过了保质期"), "广告": ("广告用语夸大", "广告与实物不符"), "其他": ("态度恶劣", "没有开具发票"),
}  # fmt: skip
WISHES = ("要求退款", "要求换货", "要求赔偿", "请求调解处理", "要求依法查处")


@dataclass(frozen=True)
class Bursts:
    """Injected waves of complaints: about one category in one district, or about one subject."""

    first: np.ndarray
    days: np.ndarray
    district: np.ndarray
    category: np.ndarray  # place among goods then services
    subject: np.ndarray  # -1: spread over the trade
    factor: np.ndarray


def bursts(population: Population) -> Bursts:
    p, g = population.parameters, population.parameters.generator(30)
    number = round(p.rate("complaints.bursts_per_year") * p.years)
    categories = len(_categories())
    alone = g.random(number) < 0.4
    subject = np.where(alone, g.choice(_merchants(population), number), -1)
    return Bursts(
        np.sort(g.integers(p.start + 60, p.end - 30, number)), np.full(number, round(p.rate("complaints.burst_days"))), g.integers(0, len(DISTRICTS), number),
        g.integers(0, categories, number), subject, np.full(number, p.rate("complaints.burst_factor")),
    )  # fmt: skip


def _merchants(population: Population) -> np.ndarray:
    """Subjects that consumers deal with, alive through the period."""
    p = population.parameters
    sections = [vocabulary().sections.index(s) for s in "FHIOPR"]
    return np.flatnonzero(np.isin(population.section, sections) & (population.born < p.start) & (population.died > p.end))


def _categories() -> list[tuple[str, float, str]]:
    listed = vocabulary().yaml
    return [(n, s, "商品") for n, s in listed["goods"]] + [(n, s, "服务") for n, s in listed["services"]]


def complaints(population: Population, merchants: np.ndarray, known: Bursts, month: int) -> Iterator[Rows]:
    """One month (counted from the start) of demands, in the order of their days, with the steps that follow."""
    p, g = population.parameters, population.parameters.generator(31, month)
    first = day(p.first_year + month // 12, month % 12 + 1, 1)
    after = day(p.first_year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    days = np.arange(first, after)
    mean = _means(p, days)
    shape = p.rate("complaints.dispersion")
    count = g.negative_binomial(shape, shape / (shape + mean))
    on = np.repeat(days, count)
    categories = _categories()
    goods = np.array([kind == "商品" for _, _, kind in categories])
    share = np.array([s for _, s, _ in categories])
    share = np.where(
        goods, share / share[goods].sum() * p.rate("complaints.goods_share"), share / share[~goods].sum() * (1 - p.rate("complaints.goods_share"))
    )
    category = choose(g, len(on), share)
    who = merchants[(g.random(len(on)) ** 2 * len(merchants)).astype(int)]  # some are complained about again and again
    # What a burst adds: so many times the usual number of its category in its district, day by day.
    extra = []
    for i in range(len(known.first)):
        usual = mean.mean() * share[known.category[i]] / len(DISTRICTS)
        for d in range(max(known.first[i], first), min(known.first[i] + known.days[i], after)):
            number = g.poisson(max(3.0, usual * (known.factor[i] - 1) * (1 if known.subject[i] < 0 else 0.7)))
            target = np.full(number, known.subject[i]) if known.subject[i] >= 0 else _of_district(population, merchants, known.district[i], g, number)
            extra.append((np.full(number, d), np.full(number, known.category[i]), target))
    if extra:
        on, category, who = (np.concatenate([base, *[e[k] for e in extra]]) for k, base in enumerate((on, category, who)))
    kind = choose(
        g,
        len(on),
        [
            p.rate("complaints.complaint_share"),
            p.rate("complaints.report_share"),
            1 - p.rate("complaints.complaint_share") - p.rate("complaints.report_share"),
        ],
    )
    order = np.argsort(on, kind="stable")
    on, category, who, kind = on[order], category[order], who[order], kind[order]
    number = join("GZ12315", numbers(np.full(len(on), month + 100)), pc.utf8_lpad(numbers(np.arange(len(on))), 7, "0"))
    yield _demands(population, g, number, on, category, who, kind)
    yield from _steps(population, g, number, on, who, kind)


def _means(p: Parameters, days: np.ndarray) -> np.ndarray:
    """Expected demands by day: by the live stock, fewer at weekends, many around March 15."""
    stock = p.subjects / (1 + p.rate("stock.growth_last_year")) * (1 + p.rate("stock.growth_before")) ** ((days - p.end) / 365.25 + 1)
    weekday = np.where((days + 3) % 7 >= 5, 0.7, 1.12)
    dates_ = [date_of(d) for d in days]
    march = np.array([p.rate("complaints.march_15") if d.month == 3 and 12 <= d.day <= 18 else 1.0 for d in dates_])
    usual = 365.25 / (365.25 + 7 * (p.rate("complaints.march_15") - 1))
    return stock * p.rate("complaints.per_subject") / 365.25 * weekday * march * usual


def _of_district(population: Population, merchants: np.ndarray, district: int, g: np.random.Generator, number: int) -> np.ndarray:
    return g.choice(merchants[population.district[merchants] == district], number)


def _demands(
    population: Population, g: np.random.Generator, number: Column, on: np.ndarray, category: np.ndarray, who: np.ndarray, kind: np.ndarray
) -> Rows:
    p, rows = population.parameters, len(on)
    categories = _categories()
    problems = vocabulary().yaml["problems"]
    problem = choose(g, rows, [s for _, s in problems])
    serial = (kind == REPORT) & (g.random(rows) < p.rate("complaints.serial_reporters"))
    person = np.where(serial, g.integers(0, 40, rows) + 8_000_000_000, g.integers(0, 2**40, rows))
    name = population.name(who, on)
    called = where(
        (population.number[who] + category) % 5 < 3, name, pc.replace_substring_regex(name, r"^广州市(..区)?|有限公司$|有限责任公司$", "")
    )  # people write what the sign says
    grievance = [g_ for of in GRIEVANCES.values() for g_ in of]
    begins = np.cumsum([0, *[len(of) for of in GRIEVANCES.values()]])
    which = begins[problem] + g.integers(0, 8, rows) % np.diff(begins)[problem]
    opening = pick([o.split("{}")[0] for o in OPENINGS], g.integers(0, len(OPENINGS), rows))
    text = join(
        opening,
        called,
        "：",
        pick([n for n, _, _ in categories], category),
        "，",
        pick(grievance, which),
        "，",
        pick(WISHES, g.integers(0, len(WISHES), rows)),
        "。",
    )
    report = join(
        "举报",
        called,
        "销售的",
        pick([n for n, _, _ in categories], category),
        "涉嫌违反《广告法》和《消费者权益保护法》，",
        pick(grievance, which),
        "，要求依法查处并书面答复，给予奖励。",
    )
    query = join("咨询：", pick(["怎样办理营业执照", "个体户年报怎么填", "商品三包期是多久", "怎样查询企业信息"], g.integers(0, 4, rows)))
    minute = g.integers(8 * 60, 22 * 60, rows)
    time = join(dates(on), " ", pc.utf8_lpad(numbers(minute // 60), 2, "0"), ":", pc.utf8_lpad(numbers(minute % 60), 2, "0"), ":00")
    asked = kind == QUERY
    known_code = population.number[who] % 3 == 0
    columns = {
        "登记编号": number, "登记时间": time, "诉求类型": pick(["投诉", "举报", "咨询"], kind), "客体类别": where(asked, "", pick([k for _, _, k in categories], category)),
        "商品服务类别": where(asked, "", pick([n for n, _, _ in categories], category)), "问题类别": where(asked, "", pick([n for n, _ in problems], problem)), "被诉主体名称": where(asked, "", called),
        "被诉主体代码": where(known_code & ~asked, population.code(who, on), ""), "被诉主体所在区": where(asked, "", pick([n for _, n in DISTRICTS], population.district_on(who, on))),
        "诉求人": population.person(person), "联系电话": join("1700000", pc.utf8_lpad(numbers(person % 10000), 4, "0")), "诉求内容": where(asked, query, where(kind == REPORT, report, text)),
        "争议金额": where(kind == COMPLAINT, numbers((np.exp(g.standard_normal(rows) * 1.4 + 6) * 100).astype(np.int64), 2), ""),
    }  # fmt: skip
    return Rows("complaints", on, columns, np.where(asked, -1, who))


def _steps(population: Population, g: np.random.Generator, number: Column, on: np.ndarray, who: np.ndarray, kind: np.ndarray) -> Iterator[Rows]:
    """First look (7 working days), end of mediation or verification; nearly all in time."""
    p, rows = population.parameters, len(on)
    late = g.random(rows) > p.rate("complaints.in_time")
    looked = on + np.where(late, g.integers(12, 25, rows), g.integers(0, 6, rows))
    done = looked + g.integers(1, 45, rows)
    office = pick([f"广州市{n}市场监督管理局" for _, n in DISTRICTS], population.district_on(who, on))
    settled = g.random(rows) < p.rate("complaints.mediated")
    back = (np.exp(g.standard_normal(rows) * 1.4 + 5.2) * 100).astype(np.int64)
    asked = kind == QUERY
    for name, when, mine, result, amount in (
        ("初查", looked, ~asked, where(g.random(rows) < 0.88, "受理", "不予受理"), None),
        ("办结", done, ~asked, where(kind == REPORT, pick(["不予立案", "立案查处"], (g.random(rows) < 0.12).astype(int)), where(settled, "调解成功", "调解不成")), where(settled & (kind == COMPLAINT), numbers(back, 2), "")),
        ("答复", on, asked, repeat("已答复", rows), None),
    ):  # fmt: skip
        chosen = np.flatnonzero(mine & (when < p.end))
        yield Rows("complaint_steps", when[chosen], {"登记编号": number.take(chosen), "环节": repeat(name, len(chosen)), "环节时间": dates(when[chosen]), "办理单位": office.take(pa.array(chosen)), "结果": result.take(pa.array(chosen)), "挽回损失": amount.take(pa.array(chosen)) if amount is not None else repeat("", len(chosen))}, who[chosen])  # fmt: skip


def public_opinion(population: Population, merchants: np.ndarray) -> Rows:
    p, g = population.parameters, population.parameters.generator(32)
    rows = max(200, round(p.subjects * 0.002 * p.years))
    on = np.sort(g.integers(p.start, p.end, rows))
    who = g.choice(merchants, rows)
    name = population.name(who, on)
    mood = choose(g, rows, [0.5, 0.3, 0.2])
    title = join(name, pick(["推出新品受关注", "被曝服务缩水", "门店开业"], mood))
    return Rows("public_opinion", on, {"编号": join("YQ", numbers(np.arange(rows))), "发布时间": dates(on), "来源": pick(["微博", "论坛", "新闻客户端"], g.integers(0, 3, rows)), "标题": title, "涉及主体": name, "情感": pick(["中性", "负面", "正面"], mood)}, who)  # fmt: skip
