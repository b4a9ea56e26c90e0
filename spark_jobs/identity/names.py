"""What the parts of a registered name are: 广州市白云区石井老王五金有限公司第一分公司 → 老王, and what stands around it.

A name is division + trade name (字号) + trade (行业或者经营特点) + legal form (企业名称登记管理规定, State Council Order 734, art. 6-12); the
division may stand in brackets behind the trade name, a branch writes its own name behind its parent's. Nothing in the name says where
the trade name ends. So every cut is given a cost, the negative logarithm of how usual its pieces are, and the cheapest one is taken: the
trade words and characters are counted in the register (catalog/codes/name_trade_words.csv, name_characters.csv), areas come from
GB/T 2260, lower places, forms and parents whose trade name looks like a trade (中国移动) from lists of ours.

No Spark here: a name goes in, its parts come out. Traditional characters are not turned into simplified ones (no list of ours, no library).
"""

from __future__ import annotations

import math
import re
from functools import cache, lru_cache
from typing import NamedTuple

from spark_jobs.refine import codes
from spark_jobs.refine.text import clean_name, normalize_name

LONGEST = 200  # characters; a longer text is no name, it is not taken apart


class Name(NamedTuple):
    """The parts of a name; '' for what is absent.

    Every character of the cleaned name but the brackets is in exactly one of the parts before `core`. A part that stands in two places of the
    name (中国…广东…: division) is joined in the order of the name.

    The division of a company that a group's name leads is often in `group` alone.

    `core` is what is compared where names are blocked: the trade name; where there is none, the division without its suffixes, the place
    and the trade (广州市化工有限公司 → 广州化工), since a trade alone would bring together firms of the whole country. It is upper case and '' only
    for a name of which nothing is left.
    """

    division: str = ""  # 广州市天河区, also from brackets; 中国; the country of a foreign firm
    place: str = ""  # a town, street, village between division and trade name; 国营 before it
    trade_name: str = ""
    trade: str = ""
    form: str = ""  # 有限公司, 厂, 事务所普通合伙 (what it said in brackets comes last)
    branch: str = ""  # everything behind the parent's form: 广州分公司, 番禺支公司大岗营业部
    group: str = ""  # the parent that leads the name of a company of its own: 广州酒家集团 (利口福食品有限公司)
    core: str = ""


EMPTY = Name()


class _Head(NamedTuple):
    """A name without branch and group."""

    division: str
    place: str
    trade_name: str
    trade: str
    form: str


class _Area(NamedTuple):
    name: str
    codes: tuple[str, ...]  # without the zeros at the end: 44, 4401, 440106; none for a country or a zone
    cost: float  # of reading it as an area at the beginning of a name
    below: float  # of reading it behind an area that it belongs to


class _Start(NamedTuple):
    """A way to read the beginning of a name: the trade name may begin at `at`."""

    at: int
    division: int  # end of the division
    cost: float
    named: bool  # a trade name has to follow
    short: bool  # it ends in an area or place without its suffix: 广州白云 (山制药)


# Costs are natural logarithms. Those of words and characters are counted; these here began as counts of the register and were set by reading names. A trade
# name of one character is very rare (fewer than 10 of 20,000), and most that look so are not (新干线 实业).
_LENGTH = (3.0, 12.0, 0.7, 1.4, 2.6, 4.4, 5.6, 7.0, 8.5)  # of a trade name, by characters
_LONGER = 1.5  # each further character
_UNKNOWN = (18.0, 20.0, 32.0)  # one, two, three characters of the trade that are no word; most unknown words have two
_UNKNOWN_HEAD = 4.0  # the same at the head of the trade: it may as well be the end of the trade name
_UNIVERSITY = 4.0  # a university's name as the trade name: 华南理工大学 出版社
_SINGLE = 6.0  # a word of one character at the head of a longer trade: it is rather the end of the trade name (直通车 眼镜)
_ORDINAL_TRADE = 12.0  # 第三 inside a trade: 第三工程
_ALSO_TRADE = 5.0  # a trade name that is a trade word too; one character behind an area without its suffix
_USUAL = 7.2  # a trade word cheaper than this is seldom the end of a trade name (鑫科技)
# Words of trades that say no trade: between a division and a trade word they are the trade name, a little cheaper than none.
_DISTINGUISHING = frozenset((
    "石化", "通用", "海外", "兴业", "联合", "创新", "创业", "天然", "健康", "建工", "外经", "外经贸",
    "五矿", "海事", "超声", "财富", "国际", "国际信托", "华侨", "精工", "互动", "发展",
))  # fmt: skip
_NAMED_SO = 1.0
_ESTATES = frozenset({"花园", "新邨", "新村", "山庄", "广场", "大厦", "公寓", "大道"})  # behind a place no trade name of their own: 祈福新邨
_RARE = 9.0  # a character that no trade name of the register has
_PLACE = 5.0  # a place before the trade name
_LATIN = 3.0  # a letter, digit or hyphen of a trade name
_MIDDLE_AREA = 9.0  # an area inside the trade (南方工贸海南实业公司)
_SUFFIX = re.compile(r"(?:特别行政区|自治区|自治州|自治县|自治旗|地区|林区|特区|省|市|区|县|盟|旗)$")
_PEOPLE = re.compile(r"(?<=..)(?:[\u4e00-\u9fff]{1,3}族)+$|(?:壮|回|维吾尔|蒙古)族?$")
# Words for a rank; the 区 of 开发区, 保税区 is none.
_RANK = re.compile(r"(?<=..)(?:特别行政区|自治区|自治州|自治县|省|市|(?<![发税济口验])区|县)")
_ZONE = re.compile(r"经济特区|港?保税区|(?:经济技术|经济|(?:高新)?技术产业|高新)开发区|工业园?区")  # behind an area or a place
_ZONE_HEADS = frozenset("经港保高技开工")
_OWN_RANK = re.compile(r"^([\u4e00-\u9fff]{2,4}?)[市区县](?=分公司|支公司|分店|营业部|门市部|办事处)")

_COMPANY = re.compile(r"(?:企业集团|控股集团|集团|控股)?(?:股份有限|有限责任|有限|股份|总|集团)?公司$")
_STALL = re.compile(r"[A-Za-z]{0,2}(?:区|座|栋)?\d[\dA-Za-z-]*号?(?:档口|铺位|档|铺|摊位)$")  # 123档 at a market
_BRACKET = re.compile(r"（([^（）]*)）")
_STRAY = re.compile(r"[（）]")
_PARTNERS = re.compile(r".*(?:合伙|独资|筹|个体|个人|分支|集体|合作|联营|全民|有限公司).*")
# What has a branch without being a company; a branch is only seen behind it where the tail ends as branches end.
_UNIT = re.compile(
    r"^(.{2,}?(?:供销合作社|供销社|信用合作社|信用社|合作联社|经济联合社|经济合作社|合作社|农场|"
    r"总厂|厂|银行|医院|学校|大学|学院|研究院|研究所|设计院|事务所|邮政局|电力局|供电局|电信局|水利局|商店|酒店|宾馆|集团|中心)(?:（[^（）]*）)?)"
    r"((?!有限)(?:.{0,20}?)(?:分公司|供电公司|分店|分厂|分行|支行|支局|分社|分部|分所|分院|分站|营业部|营业所|营业厅|经营部|门市部|门市|服务部|服务站|销售部|供销部|购销部|购销站|"
    r"经理部|批发部|收购站|收购店|回收站|代购店|展销部|农药部|肥料部|商店|食品店|仓储|仓库|停车场|招待所|办事处|代表处|分理处|储蓄所|管理处|工程处|工程队|第.{1,3}[店厂社站]))$"
)  # fmt: skip
_COLLECTIVE = re.compile(
    r"^(.{2,}?(?:供销合作总社|供销合作社联合社|供销总社|供销合作社|供销社))((?!.*(?:有限|责任)公司).+)$"
)  # whatever is behind it is one of its shops
_DIGITS = "零一二三四五六七八九〇"
_NUMBERED = re.compile(r"第?([一二三四五六七八九十百零〇\d]{1,5})(?=分公司|分店|分厂|分部|店|门市|营业|经营|专卖|支行|工程|车间)")
_ORDINAL = re.compile(r"第[一二三四五六七八九十百零〇\d]{1,4}")


@cache
def _areas() -> dict[str, tuple[_Area, ...]]:
    """First two characters → the areas, the longest first."""
    found: dict[str, set[str]] = {}
    costs: dict[str, float] = {}
    rather_names = {r["name"] for r in codes.rows("name_places") if r["kind"] == "rather_name"}
    for row in codes.rows("gbt2260_areas"):
        code, full = re.sub(r"(?:00){1,2}$", "", row["code"]), row["name"]
        if full in ("市辖区", "郊区", "城区", "县"):
            continue
        short = _SUFFIX.sub("", full)
        if full.endswith(("自治区", "自治州", "自治县", "自治旗")):
            short = _PEOPLE.sub("", short)
        # A short name that is no province's, city's or the city's own district's says too little.
        known = (len(code) < 6 or full.endswith("市") or code.startswith("4401")) and short not in rather_names
        usual = 1.5 if len(code) == 2 or code == "4401" else 3.0 if len(code) == 4 or code.startswith("4401") else 6.5
        for name, cost in ((full, 0.5), (short, usual)):
            if len(name) > 1 and (name == full or known):
                found.setdefault(name, set()).add(code)
                costs[name] = min(cost, costs.get(name, cost))
    for row in codes.rows("name_places"):
        if row["kind"] in ("country", "zone"):
            found[row["name"]] = set()
            costs[row["name"]] = 1.5 if row["kind"] == "country" else 0.5
    by_head: dict[str, list[_Area]] = {}
    for name, its_codes in found.items():
        by_head.setdefault(name[:2], []).append(_Area(name, tuple(sorted(its_codes)), costs[name], min(costs[name], 3.5)))
    return {head: tuple(sorted(areas, key=lambda a: -len(a.name))) for head, areas in by_head.items()}


@cache
def _places() -> dict[str, tuple[tuple[str, float], ...]]:
    """First two characters → the lower places of Guangzhou and what they cost."""
    by_head: dict[str, list[tuple[str, float]]] = {}
    for row in codes.rows("name_places"):
        if row["kind"] in ("place", "name_or_place"):
            by_head.setdefault(row["name"][:2], []).append((row["name"], _PLACE if row["kind"] == "place" else _PLACE + 4.0))
    return {head: tuple(sorted(places, key=lambda p: -len(p[0]))) for head, places in by_head.items()}


@cache
def _forms() -> tuple[dict[str, str], int]:
    """(form → its kind, the longest form's length) of the forms that end a name which is no company's."""
    forms = {r["form"]: r["kind"] for r in codes.rows("legal_forms")}
    return forms, max(map(len, forms))


@cache
def _known() -> dict[str, tuple[tuple[str, str], ...]]:
    """First two characters → (beginning of a name, its trade name), the longest first."""
    by_head: dict[str, list[tuple[str, str]]] = {}
    for row in codes.rows("name_known"):
        by_head.setdefault(row["beginning"][:2], []).append((row["beginning"], row["trade_name"]))
    return {head: tuple(sorted(known, key=lambda k: -len(k[0]))) for head, known in by_head.items()}


@cache
def _words() -> tuple[dict[str, float], dict[str, tuple[int, ...]], frozenset[str]]:
    """(trade word → cost, first two characters → lengths, words that are areas)."""
    counts: dict[str, float] = {}
    for row in codes.rows("gbt4754_industries"):  # its words count little: they say what trades there are, not how firms call them
        for word in re.split(r"[、，（）和与及的或]|其他|以及", row["name"]):
            if 2 <= len(word) <= 6:
                counts[word] = 0.2
    for row in codes.rows("industry_words"):
        if 2 <= len(row["word"]) <= 6:
            counts[row["word"]] = 0.3
    for row in codes.rows("name_trade_words"):
        counts[row["word"]] = max(float(row["count"]), 0.3)
    total = sum(counts.values())
    costs = {word: math.log(total / count) for word, count in counts.items()}
    areas = {a.name for group in _areas().values() for a in group if any(len(c) == 2 or c.startswith("4401") for c in a.codes)} | {"中国"}
    areas -= costs.keys()
    for area in areas:
        costs[area] = _MIDDLE_AREA
    lengths: dict[str, set[int]] = {}
    for word in costs:
        if len(word) > 1:
            lengths.setdefault(word[:2], set()).add(len(word))
    return costs, {head: tuple(sorted(found)) for head, found in lengths.items()}, frozenset(areas)


@cache
def _characters() -> dict[str, float]:
    """Character → what it costs in a trade name."""
    counts = {r["character"]: float(r["count"]) for r in codes.rows("name_characters")}
    total = sum(counts.values()) or 1.0
    costs = {character: min(_RARE, math.log(total / count)) for character, count in counts.items()}
    return costs | dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-", _LATIN)


def parse_name(name: str | None) -> Name:
    """The parts of a name as it is written anywhere; `EMPTY` for what is no name. Never raises."""
    text = clean_name(name)
    if text is None:
        return EMPTY
    return _parse(text)


@lru_cache(maxsize=65536)
def _parse(text: str) -> Name:
    if len(text) > LONGEST:
        return EMPTY._replace(trade_name=text, core=text.upper())
    parent, branch = _split(text)
    group = ""
    if branch and _is_company(branch):  # 甲总公司乙有限公司: a company of its own, if it has a trade name
        own = _head(branch)
        if own.trade_name and (own.trade or own.form != "公司" or not _head(parent).trade_name):
            parent, branch, group = branch, "", _STRAY.sub("", parent)
    head = _head(parent)
    at = parent.find("集团", 2)
    if 0 < at < len(parent) - 4 and not group and parent[at + 2] not in "）（":
        group, head = _behind_group(parent, at + 2, head)
    return Name(*head, branch, group, _core(head, branch, text))


def _behind_group(parent: str, end: int, whole: _Head) -> tuple[str, _Head]:
    """(group, head) of a name that a group's name leads: 广州酒家集团 利口福食品有限公司. No group where nothing behind it has a trade name."""
    rest = parent[end:]
    if _COMPANY.match(rest) or not _is_company(rest):
        return "", whole
    own, leading = _head(rest), _head(parent[:end])
    if own.trade_name and (leading.trade_name or leading.trade) and not (leading.trade_name and _ORDINAL.fullmatch(own.trade_name)):
        return _STRAY.sub("", parent[:end]), own
    if not own.trade_name or leading.trade_name:  # 中国移动通信集团广东有限公司: the group's own name, a part of it for an area or a trade
        return "", _Head(
            leading.division + own.division,
            leading.place + own.place,
            leading.trade_name,
            leading.trade + own.trade_name + own.trade,
            leading.form + own.form,
        )
    return "", whole


def _is_company(text: str) -> bool:
    return text.endswith(("公司", "供销社")) and text[-3:-2] not in ("分", "支", "子")


def _split(text: str) -> tuple[str, str]:
    """(parent with its form, branch)."""
    at = text.find("公司")
    while at > 0 and text[at - 1] in "分支子":
        at = text.find("公司", at + 2)
    if at < 0:
        found = _COLLECTIVE.match(text) or _UNIT.match(text)
        return (found.group(1), found.group(2)) if found else (text, "")
    end = at + 2
    if end == len(text):
        unit = _UNIT.match(text) if text.endswith("供电公司") else None
        return (unit.group(1), unit.group(2)) if unit else (text, "")
    if text[end] == "（":  # 有限公司（普通合伙）, 有限公司（筹）
        close = text.find("）", end)
        if close > 0 and (_PARTNERS.fullmatch(text[end + 1 : close]) or _is_area(text[end + 1 : close])):
            end = close + 1
    elif text[end] == "）":  # 甲（乙公司）丙
        end = len(text)
    return text[:end], text[end:]


def _unbracket(text: str) -> tuple[str, list[int], str, str, str]:
    """(text without brackets, where a piece ends, division, what goes before and behind the form) of what stood in them."""
    body, cuts, division, before, behind = "", [], "", "", ""
    last = 0
    for found in _BRACKET.finditer(text):
        body += text[last : found.start()]
        cuts.append(len(body))
        inner = found.group(1)
        if _is_area(inner):
            division += inner
        elif inner in ("集团", "控股", "企业集团", "控股集团"):
            before += inner
        elif _PARTNERS.fullmatch(inner) and found.start() > 1:
            behind += inner
        else:
            body += inner
            cuts.append(len(body))
        last = found.end()
    body += text[last:]
    if "（" in body or "）" in body:  # a bracket without its other half
        bare, moved = "", list[int]()
        for position, character in enumerate(body):
            moved.extend(len(bare) for cut in cuts if cut == position)
            if character in "（）":
                moved.append(len(bare))
            else:
                bare += character
        body, cuts = bare, moved
    return body, sorted({cut for cut in cuts if 0 < cut < len(body)}), division, before, behind


@lru_cache(maxsize=4096)
def _is_area(text: str) -> bool:
    """Whether a text is one or more areas and nothing else."""
    if len(text) < 2:
        return False
    return any(start.division == len(text) for start in _starts(text, len(text)))


@lru_cache(maxsize=16384)
def _head(text: str) -> _Head:
    cuts: list[int] = []
    aside = before = behind = ""
    if "（" in text or "）" in text:
        text, cuts, aside, before, behind = _unbracket(text)
    form = _form(text)
    end = len(text) - len(form)
    for beginning, known in _known().get(text[:2], ()):
        if text.startswith(beginning):
            at = beginning.rfind(known) if known else len(beginning)
            start = _division_end(text, at)
            trade = text[start:at] + text[at + len(known) : end]
            areas, trade = _areas_out(trade)
            return _Head(text[:start] + areas + aside, "", known, trade, before + form + behind)
    start, place, stop, mixed = _cut(text, end, [cut for cut in cuts if cut < end])  # a stray bracket may stand inside the form
    areas, trade = _areas_out(text[stop:end]) if mixed else ("", text[stop:end])
    return _Head(text[:start] + areas + aside, text[start:place], text[place:stop], trade, before + form + behind)


def _division_end(text: str, limit: int) -> int:
    return max((start.division for start in _starts(text, limit) if start.division <= limit), default=0)


def _areas_out(trade: str) -> tuple[str, str]:
    """(areas inside a trade, the trade without them): 工贸海南实业 → 海南, 工贸实业."""
    areas = _words()[2]
    _, _, steps = _cover(trade, 0, len(trade), ())
    found, rest, at = "", "", 0
    while at < len(trade):
        piece = trade[at : at + steps[at]]
        if piece in areas:
            found += piece
        else:
            rest += piece
        at += steps[at]
    return found, rest


def _form(text: str) -> str:
    found = _COMPANY.search(text) if text.endswith("公司") else None
    if found is not None:
        form = found.group()
        return form if len(form) < len(text) else ""
    stall = _STALL.search(text)
    if stall is not None and stall.start() > 1:
        return stall.group()
    forms, longest = _forms()
    for length in range(min(longest, len(text) - 1), 0, -1):
        if text[-length:] in forms:
            return text[-length:]
    return ""


def _cover(text: str, first: int, end: int, cuts: tuple[int, ...] | list[int]) -> tuple[list[float], list[float], list[int]]:
    """For each position: what it costs to read the rest of the trade from there as words; what, if the trade begins there; how long its first word is."""
    costs, lengths, _ = _words()
    one, two, three = _UNKNOWN
    best, heads, steps = [0.0] * (end + 1), [0.0] * (end + 1), [1] * (end + 1)
    if first < end:
        best[end - 1] = heads[end - 1] = costs.get(text[end - 1], one)
    for at in range(end - 2, first - 1, -1):
        cheapest, step = best[at + 2] + two, 2
        if at + 3 <= end and best[at + 3] + three < cheapest:
            cheapest, step = best[at + 3] + three, 3
        head = cheapest + _UNKNOWN_HEAD
        if text[at] == "第" and (ordinal := _ORDINAL.match(text, at, end)) and (cost := best[ordinal.end()] + _ORDINAL_TRADE) < cheapest:
            cheapest, step, head = cost, ordinal.end() - at, cost
        for length in lengths.get(text[at : at + 2], ()):
            stop = at + length
            if stop > end:
                break
            word = costs.get(text[at:stop])
            if word is not None:
                cost = word + best[stop]
                if cost < head and not (cuts and any(at < cut < stop for cut in cuts)):
                    head = cost
                    if cost < cheapest:
                        cheapest, step = cost, length
        single = best[at + 1] + costs.get(text[at], one)
        heads[at] = head if head < single + _SINGLE else single + _SINGLE
        best[at], steps[at] = (single, 1) if single < cheapest else (cheapest, step)
    return best, heads, steps


def _cut(text: str, end: int, cuts: list[int]) -> tuple[int, int, int, bool]:
    """(end of the division, of the place, of the trade name, whether the trade has areas): the cheapest reading of text[:end]."""
    starts = _starts(text, end)
    if not text.endswith("公司"):
        _add_addresses(text, end, starts)
    characters = _characters()
    words, _, middle_areas = _words()
    _, heads, steps = _cover(text, min(s.at for s in starts), end, cuts)
    cheapest, found = math.inf, (0, 0, 0)
    university = text.find("大学", 2, end)
    if text[university + 2 : university + 3] in ("城", "生"):
        university = -1
    for at, division, base, named, short in starts:
        if at == end:
            if not named and base + _LENGTH[0] < cheapest:
                cheapest, found = base + _LENGTH[0], (division, at, at)
            continue
        limit = next((cut for cut in cuts if cut > at), end)
        cost = base
        if not named and ((first := text[at : at + steps[at]]) in words and first not in middle_areas):
            total = cost + _LENGTH[0] + heads[at]
            if total < cheapest:
                cheapest, found = total, (division, at, at)
            if first in _DISTINGUISHING and total - _NAMED_SO < cheapest:
                stop = at + len(first)
                if stop < limit or (stop == end and first != "发展"):
                    cheapest, found = total - _NAMED_SO, (division, at, stop)
        if university > 0 and at + 2 <= university <= at + 6 and university + 2 <= limit:
            total = base + _UNIVERSITY + heads[university + 2]
            if total < cheapest:
                cheapest, found = total, (division, at, university + 2)
        for stop in range(at + 1, limit + 1):
            cost += characters.get(text[stop - 1], _RARE)
            if cost >= cheapest:
                break
            length = stop - at
            total = cost + heads[stop] + (_LENGTH[length] if length < 9 else _LENGTH[8] + _LONGER * (length - 8))
            if total >= cheapest:
                continue
            if (piece := text[at:stop]) in words and piece not in middle_areas:
                total += _ALSO_TRADE + named * _ALSO_TRADE
            elif named and piece in _ESTATES:
                total += _ALSO_TRADE + _ALSO_TRADE
            elif (length == 1 and (short or piece == "港")) or (length > 2 and words.get(text[stop - 2 : stop], _RARE) < _USUAL):
                total += _ALSO_TRADE
            if total < cheapest:
                cheapest, found = total, (division, at, stop)
        ordinal = _ORDINAL.match(text, at, limit) if text[at] == "第" else None
        if ordinal:
            total = base + 8.0 + heads[ordinal.end()]
            if total < cheapest:
                cheapest, found = total, (division, at, ordinal.end())
    at = found[2]
    while at < end:
        if text[at : at + steps[at]] in middle_areas:
            return *found, True
        at += steps[at]
    return *found, False


_TOWN = re.compile(r"(?![市区县])[\u4e00-\u9fff]{2,3}?(?:(?<!城)镇|街道|街(?!市|坊)|村(?!镇)|管理区)")

_ADDRESS = re.compile(
    r"[\u4e00-\u9fff]{1,6}?(?:大道[东西南北中]?|[一二三四五六]?马?路[东西南北中]?|大街|直街|横街|新街|[东南西北]街|巷|市场|大厦|广场|商业城|电脑城|服装城|牛仔城|鞋城|布匹城|城(?!市)|花园|小区|新村|商场|工业区)"
    r"(?:[一二三四五六七八九十\d]+(?:号|栋|座|楼|层|区))*"
)  # fmt: skip


def _starts(text: str, end: int) -> list[_Start]:
    """The ways to read the beginning of text[:end]."""
    areas = _areas()
    starts = [] if text.startswith(("广州", "广东")) and end > 2 else [_Start(0, 0, 5.0, False, False)]
    queue: list[tuple[int, float, tuple[str, ...] | None]] = [(0, 0.0, None)]
    while queue:
        at, cost, parents = queue.pop()
        for name, found, first, below in areas.get(text[at : at + 2], ()):
            stop = at + len(name)
            if stop > end or not text.startswith(name, at):
                continue
            if parents and found and not any(c.startswith(p) and c != p for c in found for p in parents):
                continue
            more = first if parents is None else below
            starts.append(_Start(stop, stop, cost + more, False, len(name) == 2 and parents is not None))
            queue.append((stop, cost + more, found))
            following = text[stop : stop + 1]
            if following in _ZONE_HEADS:
                if zone := _ZONE.match(text, stop, end):
                    starts.append(_Start(zone.end(), zone.end(), cost + more + 0.5, False, False))
                if following == "港" and len(name) == 2:  # 广州港 船舶代理
                    starts.append(_Start(at, at, cost + 2.0, False, False))
            if name[-1] in "市省" and following not in ("场", "政", "民", "级"):
                break  # 广州市甲 is not 广州 and 市甲
    for start in starts[:]:
        known = len(starts)
        _add_places(text, end, start, starts)
        for place in starts[known:] if len(starts) > known else ():
            _add_villages(text, end, place, starts)
    return starts


def _add_villages(text: str, end: int, start: _Start, starts: list[_Start]) -> None:
    """A place within a place: 石基镇 海傍 永昌皮具."""
    for place, cost in _places().get(text[start.at : start.at + 2], ()):
        stop = start.at + len(place)
        if stop < end and text.startswith(place, start.at) and text[stop + 1 : stop + 2] != "村":  # 石壁三村 is one name
            starts.append(_Start(stop, start.division, start.cost + cost, True, True))


def _add_places(text: str, end: int, start: _Start, starts: list[_Start]) -> None:
    at = start.at
    base = start.cost + (2.0 if at == 0 else 0.0)
    remote = (
        text.startswith("广州") if 0 < at < 4 else at == 0 and text.endswith("公司")
    )  # 国泰君安; 广州市珠光南景: no district before what is a trade name too
    for place, cost in _places().get(text[at : at + 2], ()):
        stop = at + len(place)
        if remote and cost > _PLACE:
            cost += _ALSO_TRADE
        if stop <= end and text.startswith(place, at):
            starts.append(_Start(stop, start.division, base + cost, True, True))
            if text[stop : stop + 1] in ("镇", "街", "村", "路") and stop < end:
                starts.append(_Start(stop + 1, start.division, base + 4.0, text[stop] == "路", False))
            if text[stop : stop + 1] in _ZONE_HEADS and (zone := _ZONE.match(text, stop, end)):
                starts.append(_Start(zone.end(), start.division, base + 2.0, False, False))
    if at:
        found = _TOWN.match(text, at, end)
        if found:
            stop = found.end()
            town = text[stop - 1] == "镇" or text[stop - 1] == "道"
            starts.append(_Start(stop, start.division, base + (6.0 if town else 10.0), not town, False))
            further = _TOWN.match(text, stop, end)
            if further:
                starts.append(_Start(further.end(), start.division, base + (10.0 if town else 14.0), True, False))


def _add_addresses(text: str, end: int, starts: list[_Start]) -> None:
    """Roads, markets, buildings in which sole traders say that they are: 瑞宝布匹市场 志成布行."""
    for start in starts[:]:
        found = _ADDRESS.match(text, start.at, end) if start.at else None
        if found and found.end() < end:
            starts.append(_Start(found.end(), start.division, start.cost + 6.0 + 2.0 * len(found.group()) - 2.0 * start.named, True, False))


def _core(head: _Head, branch: str, text: str) -> str:
    core = head.trade_name
    if not core:
        core = short_division(head.division) + head.place + head.trade
        if not head.trade:
            core += head.form
    return (core or _STRAY.sub("", branch or text)).upper()


def short_division(division: str) -> str:
    """A division without the words for its rank: 广州市番禺区, 广州番禺 → 广州番禺. The area is never looked up, so 沙市区 is 沙市."""
    return _RANK.sub("", division) or division


def match_key(name: Name) -> str:
    """One text for the ways in which one name is written, never shown.

    Alike are: brackets and width (`normalize_name`), the place of the division, 广州市 and 广州, 有限责任公司 and 有限公司, 第三分店, 三分店 and 3分店,
    第一 and 一 as a trade name. Different stay: names with and without a division, other words for one trade.
    """
    trade_name = _number(name.trade_name.removeprefix("第")) if _ORDINAL.fullmatch(name.trade_name) else name.trade_name
    branch = _NUMBERED.sub(lambda found: _number(found.group(1)), name.branch)
    if branch:
        branch = _OWN_RANK.sub(r"\1", branch)
    form = name.form.replace("有限责任公司", "有限公司")
    parts = (name.group, short_division(name.division), name.place, trade_name, name.trade, form, branch)
    return (normalize_name("".join(parts)) or "").replace("(", "").replace(")", "")


def _number(text: str) -> str:
    """第 is gone: 二十三, 一百零三 → 23, 103; a text of figures as it stands."""
    total = digit = 0
    for character in text:
        if character in "十百":
            total, digit = total + (digit or 1) * (10 if character == "十" else 100), 0
        elif character in _DIGITS:
            digit = _DIGITS.index(character) % 10
        else:
            return text
    return str(total + digit)
