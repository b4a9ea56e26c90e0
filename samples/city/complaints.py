"""12315: consultations, complaints and reports with their text and handling; bursts that are known; public opinion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from samples.city.columns import Column, choose, dates, join, numbers, pick, repeat, where
from samples.city.documents import scrambled
from samples.city.feeds import Rows
from samples.city.parameters import Parameters, date_of, day
from samples.city.population import Population
from samples.city.vocabulary import DISTRICTS, vocabulary

COMPLAINT, REPORT, QUERY = range(3)
SERIAL_REPORTERS = 40
# Sections that a category of goods or services is complained about in.
SELLERS = {"食品": "FH", "药品": "FQ", "医疗器械": "FQ", "交通工具": "F", "餐饮住宿": "H", "文化娱乐体育": "R", "教育培训": "P", "停车": "KO", "租赁": "LK", "美容美发洗浴": "O", "制作保养修理": "O", "销售服务": "F", "互联网": "I"}  # fmt: skip
CONSUMER_SECTIONS = "FHIKLOPQR"
OPENINGS = ("我在", "本人于近日在", "在", "通过网络平台向")
GRIEVANCES = {
    "质量": ("用了几天就坏了", "有明显瑕疵，与描述不符", "拆开就发现是坏的"), "售后服务": ("联系客服一直没有人处理", "保修期内拒绝维修"), "合同": ("约定的内容没有履行", "不肯退还定金"),
    "虚假宣传": ("宣传的功效根本没有", "说是正品其实不是"), "价格": ("结账时比标价高", "没有明码标价"), "食品安全": ("吃完后身体不适", "已经过了保质期"), "广告": ("广告用语夸大", "广告与实物不符"), "其他": ("态度恶劣", "没有开具发票"),
}  # fmt: skip
WISHES = ("要求退款", "要求换货", "要求赔偿", "请求调解处理", "要求依法查处")


@dataclass(frozen=True)
class Bursts:
    """Injected waves: about one subject, one category in one district, or one category in the whole city (district -1) where the first
    would be too few to be seen. ``per_day``: complaints a day that are added, on average."""

    first: np.ndarray
    days: np.ndarray
    district: np.ndarray
    category: np.ndarray
    subject: np.ndarray  # -1: spread over the trade
    factor: np.ndarray  # over the usual number; 0 for those about one subject
    per_day: np.ndarray


class Market:
    """Whom consumers complain about: subjects of consumer trades by section, each as often as its own weight says."""

    def __init__(self, population: Population) -> None:
        p, g = population.parameters, population.parameters.generator(33)
        weight = np.exp(p.rate("complaints.concentration") * g.standard_normal(len(population))) * population.frailty.astype(float) ** p.rate(
            "complaints.frailty_power"
        )
        self._population = population
        sections = vocabulary().sections
        self._of: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for key in {CONSUMER_SECTIONS, *SELLERS.values(), "F"}:
            members = np.flatnonzero(
                np.isin(population.section, [sections.index(s) for s in key]) & (population.died > p.start) & (population.stopped > p.start)
            )
            self._of[key] = members, np.cumsum(weight[members])

    def drawn(self, key: str, on: np.ndarray, g: np.random.Generator, district: int = -1) -> np.ndarray:
        """One subject for each day, alive and at work on it; of a district where one is given."""
        members, ends = self._of[key]
        found = np.full(len(on), -1)
        for attempt in range(60):
            open_ = np.flatnonzero(found < 0)
            if not len(open_):
                break
            who = members[np.minimum(np.searchsorted(ends, g.random(len(open_)) * ends[-1], side="right"), len(ends) - 1)]
            fits = (self._population.born[who] < on[open_]) & (self._population.died[who] > on[open_])
            if attempt < 20:
                fits &= self._population.works(who, on[open_])  # some are complained about after they have closed
            if district >= 0 and attempt < 50:
                fits &= self._population.district_on(who, on[open_]) == district
            found[open_[fits]] = who[fits]
        return np.where(found < 0, members[0], found)


def categories() -> list[tuple[str, float, str]]:
    """Name, share, and whether goods or services; the shares add up to 1."""
    listed = vocabulary().yaml
    return [(n, s, "商品") for n, s in listed["goods"]] + [(n, s, "服务") for n, s in listed["services"]]


def _shares(p: Parameters) -> np.ndarray:
    goods = np.array([kind == "商品" for _, _, kind in categories()])
    share = np.array([s for _, s, _ in categories()])
    part = p.rate("complaints.goods_share")
    return np.where(goods, share / share[goods].sum() * part, share / share[~goods].sum() * (1 - part))


def bursts(population: Population, market: Market) -> Bursts:
    p, g = population.parameters, population.parameters.generator(30)
    number = max(3, round(p.rate("complaints.bursts_per_year") * p.years))
    first = np.sort(g.integers(p.start + 60, p.end - 30, number))
    days = np.maximum(3, np.rint(p.rate("complaints.burst_days") * g.uniform(0.6, 1.4, number))).astype(int)
    factor = 1 + (p.rate("complaints.burst_factor") - 1) * g.uniform(0.7, 1.3, number)
    category = choose(g, number, np.sqrt(_shares(p)))
    district = g.integers(0, len(DISTRICTS), number)
    usual = _means(p, first) * _shares(p)[category]
    district = np.where(usual / len(DISTRICTS) < 2, -1, district)
    alone = g.random(number) < 0.4
    subject = np.full(number, -1)
    for i in np.flatnonzero(alone):
        subject[i] = market.drawn(SELLERS.get(categories()[category[i]][0], "F"), first[i : i + 1], g)[0]
    per_day = np.where(
        alone, p.rate("complaints.single_burst") * g.uniform(0.7, 1.3, number), np.where(district < 0, usual, usual / len(DISTRICTS)) * (factor - 1)
    )
    # In a small city so many bursts would be half of what is said: they shrink until they are a twentieth.
    scale = min(1.0, 0.05 * p.subjects * p.rate("complaints.per_subject") * p.years / float((per_day * days).sum()))
    per_day, factor = per_day * scale, 1 + (factor - 1) * scale
    district = np.where(alone, population.district_on(np.maximum(subject, 0), first), district)
    return Bursts(first, days, district, category, subject, np.where(alone, 0.0, factor), per_day)


def complaints(population: Population, market: Market, known: Bursts, month: int) -> tuple[list[Rows], pa.Table]:
    """One month (counted from the start) of demands with the steps that follow; and which of them the bursts have added."""
    p, g = population.parameters, population.parameters.generator(31, month)
    first = day(p.first_year + month // 12, month % 12 + 1, 1)
    after = day(p.first_year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    days = np.arange(first, after)
    shape = p.rate("complaints.dispersion")
    on = np.repeat(days, g.negative_binomial(shape, shape / (shape + _means(p, days))))
    category = choose(g, len(on), _shares(p))
    who = np.zeros(len(on), np.int64)
    keys = np.array([SELLERS.get(name, "F") for name, _, _ in categories()])
    for key in sorted(set(keys)):
        mine = np.flatnonzero(keys[category] == key)
        who[mine] = market.drawn(key, on[mine], g)
    burst = np.full(len(on), -1)
    extra = [(on, category, who, burst)]
    for i in range(len(known.first)):
        for d in range(max(known.first[i], first), min(known.first[i] + known.days[i], after)):
            number = g.poisson(known.per_day[i])
            when = np.full(number, d)
            target = np.full(number, known.subject[i]) if known.subject[i] >= 0 else market.drawn(keys[known.category[i]], when, g, known.district[i])
            extra.append((when, np.full(number, known.category[i]), target, np.full(number, i)))
    on, category, who, burst = (np.concatenate([e[k] for e in extra]) for k in range(4))
    kind = choose(
        g,
        len(on),
        [
            p.rate("complaints.complaint_share"),
            p.rate("complaints.report_share"),
            1 - p.rate("complaints.complaint_share") - p.rate("complaints.report_share"),
        ],
    )
    kind = np.where((burst >= 0) & (kind == QUERY), COMPLAINT, kind)
    minute = g.integers(8 * 60, 22 * 60, len(on))
    order = np.lexsort((minute, on))
    on, category, who, burst, kind, minute = (x[order] for x in (on, category, who, burst, kind, minute))
    number = join("GZ12315", numbers(np.full(len(on), month + 100)), pc.utf8_lpad(numbers(np.arange(len(on))), 7, "0"))
    amount = np.where(kind == COMPLAINT, np.exp(g.standard_normal(len(on)) * 1.4 + 6) * 100, 0).astype(np.int64)
    demands, reporters = _demands(population, g, number, on, category, who, kind, minute, amount)
    added = np.flatnonzero(burst >= 0)
    truth = pa.table({"demand": number.take(pa.array(added)), "burst": burst[added], "serial_reporter": np.full(len(added), False)})
    serial = np.flatnonzero(reporters)
    truth = pa.concat_tables(
        [truth, pa.table({"demand": number.take(pa.array(serial)), "burst": np.full(len(serial), -1), "serial_reporter": np.full(len(serial), True)})]
    )
    return [demands, *_steps(population, g, number, on, who, kind, amount)], truth


def _means(p: Parameters, days: np.ndarray) -> np.ndarray:
    """Expected demands by day: by the stock at the year's end, fewer at weekends, many around March 15."""
    years = np.array([date_of(d).year for d in days]) - p.first_year
    last = p.subjects / (1 + p.rate("stock.growth_last_year"))
    stock = np.where(years == p.years - 1, p.subjects, last * (1 + p.rate("stock.growth_before")) ** (years - p.years + 2.0))
    weekday = np.where((days + 3) % 7 >= 5, 0.7, 1.12)
    peak = p.rate("complaints.march_15")
    dates_ = [date_of(d) for d in days]
    march = np.array([peak if d.month == 3 and 12 <= d.day <= 18 else 1.0 for d in dates_])
    return stock * p.rate("complaints.per_subject") / 365.25 * weekday * march * 365.25 / (365.25 + 7 * (peak - 1))


def _demands(
    population: Population, g: np.random.Generator, number: Column, on: np.ndarray, category: np.ndarray, who: np.ndarray, kind: np.ndarray, minute: np.ndarray, amount: np.ndarray
) -> tuple[Rows, np.ndarray]:  # fmt: skip
    """The demands, and which of them come from people who make a business of it."""
    p, rows = population.parameters, len(on)
    listed = categories()
    problems = vocabulary().yaml["problems"]
    problem = choose(g, rows, [s for _, s in problems])
    serial = (kind == REPORT) & (g.random(rows) < p.rate("complaints.serial_reporters"))
    person = np.where(serial, 2**46 + (g.random(rows) ** 2 * SERIAL_REPORTERS).astype(np.int64), g.integers(2**47, 2**48, rows))
    name = population.name(who, on)
    # People write what the sign says.
    called = where((population.number[who] + category) % 5 < 3, name, pc.replace_substring_regex(name, r"^广州市(..区)?|有限公司$|有限责任公司$", ""))
    grievance = [text for of in GRIEVANCES.values() for text in of]
    begins = np.cumsum([0, *[len(of) for of in GRIEVANCES.values()]])
    which = begins[problem] + g.integers(0, 8, rows) % np.diff(begins)[problem]
    goods = pick([n for n, _, _ in listed], category)
    text = join(
        pick(OPENINGS, g.integers(0, len(OPENINGS), rows)),
        called,
        "：",
        goods,
        "，",
        pick(grievance, which),
        "，",
        pick(WISHES, g.integers(0, len(WISHES), rows)),
        "。",
    )
    report = join(
        "举报", called, "销售的", goods, "涉嫌违反《广告法》和《消费者权益保护法》，", pick(grievance, which), "，要求依法查处并书面答复，给予奖励。"
    )
    plain = join("举报", called, "：", pick(grievance, which), "，请查处。")
    query = join("咨询：", pick(["怎样办理营业执照", "个体户年报怎么填", "商品三包期是多久", "怎样查询企业信息"], g.integers(0, 4, rows)))
    templated = serial | (g.random(rows) < 0.15)  # honest people copy such letters too
    time = join(dates(on), " ", pc.utf8_lpad(numbers(minute // 60), 2, "0"), ":", pc.utf8_lpad(numbers(minute % 60), 2, "0"), ":00")
    asked = kind == QUERY
    phone = ((person.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(36)).astype(np.int64) % 10**8
    columns = {
        "登记编号": number, "登记时间": time, "诉求类型": pick(["投诉", "举报", "咨询"], kind), "客体类别": where(asked, "", pick([k for _, _, k in listed], category)),
        "商品服务类别": where(asked, "", goods), "问题类别": where(asked, "", pick([n for n, _ in problems], problem)), "被诉主体名称": where(asked, "", called),
        "被诉主体代码": where((g.random(rows) < 0.33) & ~asked, population.code(who, on), ""), "被诉主体所在区": where(asked, "", pick([n for _, n in DISTRICTS], population.district_on(who, on))),
        "诉求人": population.person(person), "联系电话": join("1000", pc.utf8_lpad(numbers(phone), 8, "0")),
        "诉求内容": where(asked, query, where(kind == COMPLAINT, text, where(templated, report, plain))), "争议金额": where(kind == COMPLAINT, numbers(amount, 2), ""),
    }  # fmt: skip
    return Rows("complaints", on, columns, np.where(asked, -1, who)), serial


def _steps(
    population: Population, g: np.random.Generator, number: Column, on: np.ndarray, who: np.ndarray, kind: np.ndarray, amount: np.ndarray
) -> Iterator[Rows]:
    """First look, nearly always within 7 working days; of what is accepted, the end: mediation or verification."""
    p, rows = population.parameters, len(on)
    late = g.random(rows) > p.rate("complaints.in_time")
    looked = on + np.where(late, g.integers(12, 25, rows), g.integers(0, 6, rows))
    done = looked + g.integers(1, 45, rows)
    office = pick([f"广州市{n}市场监督管理局" for _, n in DISTRICTS], population.district_on(who, on))
    accepted = g.random(rows) < p.rate("complaints.accepted")
    settled = g.random(rows) < p.rate("complaints.mediated")
    asked = kind == QUERY
    # What is given back, of all that was in dispute, comes out as published.
    share = np.minimum(
        1.0, p.rate("complaints.recovered") / p.rate("complaints.mediated") / p.rate("complaints.accepted") * g.uniform(0.97, 1.03, rows)
    )
    back = numbers((amount * share).astype(np.int64), 2)
    ends = where(kind == REPORT, pick(["不予立案", "立案查处"], (g.random(rows) < 0.12).astype(int)), where(settled, "调解成功", "调解不成"))
    for name, when, mine, result, given in (
        ("初查", looked, ~asked, where(accepted, "受理", "不予受理"), None),
        ("办结", done, ~asked & accepted, ends, where(settled & (kind == COMPLAINT), back, "")),
        ("答复", on, asked, repeat("已答复", rows), None),
    ):
        chosen = np.flatnonzero(mine & (when < p.end))
        taken = pa.array(chosen)
        yield Rows("complaint_steps", when[chosen], {"登记编号": number.take(taken), "环节": repeat(name, len(chosen)), "环节时间": dates(when[chosen]), "办理单位": office.take(taken), "结果": result.take(taken), "挽回损失": given.take(taken) if given is not None else repeat("", len(chosen))}, np.where(asked, -1, who)[chosen])  # fmt: skip


def public_opinion(population: Population, market: Market) -> Rows:
    p, g = population.parameters, population.parameters.generator(32)
    rows = max(200, round(p.subjects * 0.002 * p.years))
    on = np.sort(g.integers(p.start, p.end, rows))
    who = market.drawn(CONSUMER_SECTIONS, on, g)
    name = population.name(who, on)
    mood = choose(g, rows, [0.5, 0.3, 0.2])
    title = join(name, pick(["推出新品受关注", "被曝服务缩水", "门店开业"], mood))
    return Rows("public_opinion", on, {"编号": join("YQ", numbers(scrambled(population, 9, np.full(rows, -1)))), "发布时间": dates(on), "来源": pick(["微博", "论坛", "新闻客户端"], g.integers(0, 3, rows)), "标题": title, "涉及主体": name, "情感": pick(["中性", "负面", "正面"], mood)}, who)  # fmt: skip
