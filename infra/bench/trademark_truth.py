"""Marks that are known to come close to a name, because they were made from it: one list for each way to do so.

What is changed into what comes from elsewhere than the index's own tables as far as there is anything else: readings from the library's table over all
characters of GB 2312 (no folding, no limits) and, for pinyin, from its phrases; look-alikes from the list alone, and once from characters that stand together in
somebody's list without standing in each other's; generic words from the names of industries, goods and places. The seed makes them reproducible.
"""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import opencc
from pypinyin import Style, lazy_pinyin, pinyin

from infra.settings import REPO
from spark_jobs.identity.names import parse_name
from spark_jobs.refine import codes
from spark_jobs.trademark.glyphs import rows

KNOWN_BRANDS = (
    *(
        "陈李济",
        "王老吉",
        "敬修堂",
        "潘高寿",
        "陶陶居",
        "莲香楼",
        "广州酒家",
        "泮溪酒家",
        "致美斋",
        "皇上皇",
        "趣香",
        "鹰金钱",
        "珠江",
        "虎头",
        "五羊",
    ),
    *("浪奇", "立白", "唯品会", "长隆"),
)
LATIN_BRANDS = ("LONKEY", "LIBY", "CHIMELONG", "VIPSHOP", "NETEASE", "PEARLRIVER", "TIGERHEAD", "KAPOK", "GALANZ", "HONGMIAN", "MINISO", "DOUBLEFISH")
# Pairs of initials and finals that people of the region confuse.
_REGION = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("eng", "en"), ("ing", "in"))
_GOODS_WORDS = "洗发水 沐浴露 纸巾 雨伞 拖鞋 毛巾 保温杯 耳机 充电宝 蜂蜜 陈皮 腊肠 米粉 火锅 烧鹅 糖水 甜品 糕点 茶庄 花店 工坊 生鲜 文创 研学 民宿 旅拍 汽修 洗车 宠物"
_GOODS = _GOODS_WORDS.split()

Change = Callable[[str, random.Random], str | None]


@dataclass(frozen=True)
class Made:
    """A mark made from a name. ``style``: how, one of STYLES."""

    style: str
    name: str
    mark: str


@cache
def trade_names() -> tuple[str, ...]:
    """Chinese trade names of the sample register (two to five characters) and the known brands, each once."""
    found = dict.fromkeys(KNOWN_BRANDS)
    for path in sorted((REPO / "samples" / "registrations").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if re.fullmatch(r"[\u4e00-\u9fff]{2,5}", name := parse_name(row["企业名称"]).trade_name):
                    found.setdefault(name)
    return tuple(found)


@cache
def _common() -> tuple[str, ...]:
    """The characters of GB 2312."""
    return tuple(c for c in map(chr, range(0x4E00, 0x9FA6)) if _encodes(c))


def _encodes(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _sounds(character: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pinyin(character, style=Style.NORMAL, heteronym=True)[0]))


@cache
def _sounding() -> dict[str, list[str]]:
    """Syllable → common characters whose usual reading it is."""
    found: dict[str, list[str]] = {}
    for character in _common():
        found.setdefault(_sounds(character)[0], []).append(character)
    return found


@cache
def _listed() -> dict[str, list[str]]:
    """Character → its look-alikes, both ways."""
    found: dict[str, set[str]] = {}
    for a, others in rows("lookalike").items():
        for b in others:
            if a != b:
                found.setdefault(a, set()).add(b)
                found.setdefault(b, set()).add(a)
    return {a: sorted(others) for a, others in found.items()}


@cache
def _listed_together() -> dict[str, list[str]]:
    """Character → characters that stand with it in somebody's list, and not in its own: they share a part with a third one."""
    listed = _listed()
    return {a: sorted({c for b in others for c in listed[b]} - {a, *others}) for a, others in listed.items()}


@cache
def _industry_words() -> tuple[str, ...]:
    words = {w for r in codes.rows("gbt4754_industries") for w in re.split(r"[、，（）和与及的或]|其他|以及", r["name"]) if 2 <= len(w) <= 4}
    return tuple(sorted(words))


# ---- changes ----


def _replaced(name: str, draw: random.Random, by: Callable[[str], list[str]], places: list[int] | None = None) -> str | None:
    """One character, of ``places`` or of all, replaced by one that ``by`` names for it."""
    places = draw.sample(places or range(len(name)), len(places or name))
    for place in places:
        if others := [c for c in by(name[place]) if c != name[place]]:
            return name[:place] + draw.choice(others) + name[place + 1 :]
    return None


def _homophones(character: str) -> list[str]:
    return _sounding().get(_sounds(character)[0], [])


def _other_readings(character: str) -> list[str]:
    return [c for reading in _sounds(character)[1:] for c in _sounding().get(reading, [])]


def _regional(character: str) -> list[str]:
    reading, found = _sounds(character)[0], []
    for a, b in (*_REGION, *((b, a) for a, b in _REGION)):
        if len(a) > 1 and a[-1] in "gn" and a[0] in "ei":
            changed = reading[: -len(a)] + b if reading.endswith(a) else ""
        else:
            changed = b + reading[len(a) :] if reading.startswith(a) else ""
        found += _sounding().get(changed, [])
    return found


def _all_homophones(name: str, draw: random.Random) -> str | None:
    found = "".join(draw.choice(_homophones(c) or [c]) for c in name)
    return found if found != name else None


def _order(name: str, draw: random.Random) -> str | None:
    others = {"".join(draw.sample(name, len(name))) for _ in range(6)} - {name}
    return draw.choice(sorted(others)) if others else None


def _insertion(name: str, draw: random.Random) -> str:
    place = draw.randrange(len(name) + 1)
    return name[:place] + draw.choice(_common()) + name[place:]


def _deletion(name: str, draw: random.Random) -> str | None:
    place = draw.randrange(len(name))
    return name[:place] + name[place + 1 :] if len(name) > 2 else None


def _generic(name: str, draw: random.Random) -> str:
    where = draw.randrange(4)
    word = draw.choice(_GOODS) if where % 2 else draw.choice(_industry_words())
    return draw.choice(("广州", "岭南", "正宗", "老")) + name if where == 3 else name + word


def _spoken_and_goods(name: str, draw: random.Random) -> str | None:
    changed = _replaced(name, draw, _homophones)
    return changed + draw.choice(_GOODS) if changed else None


def _at(name: str, draw: random.Random, place: int) -> str | None:
    """The character at an end is another one: any where two others stay, in a shorter name one that sounds or looks alike."""
    if len(name) > 2:
        return _replaced(name, draw, lambda c: list(_common()), [place])
    return _replaced(name, draw, lambda c: _homophones(c) + _listed().get(c, []), [place])


def _traditional(name: str, draw: random.Random) -> str | None:
    ways = {_converter(way).convert(name) for way in ("s2t", "s2tw", "s2hk")} - {name}
    return draw.choice(sorted(ways)) if ways else None


@cache
def _converter(way: str) -> opencc.OpenCC:
    return opencc.OpenCC(way)


def _in_letters(name: str, draw: random.Random) -> str:
    syllables = [s.replace("ü", "v") for s in lazy_pinyin(name)]
    return draw.choice(("", "", " ", "-")).join(draw.choice((syllables, [s.upper() for s in syllables], [s.title() for s in syllables])))


def _letters_and_more(name: str, draw: random.Random) -> str:
    """Pinyin in one word with an English word behind or before it, or with digits."""
    letters = "".join(s.replace("ü", "v") for s in lazy_pinyin(name)).upper()
    word = draw.choice(("TEA", "RESORT", "PARK", "GROUP", "HOME", "FOOD", "CLUB", "LIFE"))
    return draw.choice((f"{letters} {word}", f"{letters}{word}", f"{word} {letters}", f"{letters}{draw.randrange(1000)}"))


def _letter(name: str, draw: random.Random) -> str:
    place, letter, what = draw.randrange(len(name)), draw.choice("ABCDEFGHIKLMNOPRSTUVXYZ"), draw.randrange(4)
    if what == 3 and place < len(name) - 1:
        return name[:place] + name[place + 1] + name[place] + name[place + 2 :]
    return name[:place] + ("" if what == 0 else letter) + name[place + (what != 1) :]


def _mixed(name: str, draw: random.Random) -> str | None:
    """Two characters: one read alike, the other a look-alike."""
    one, other = draw.sample(range(len(name)), 2)
    changed = _replaced(name, draw, _homophones, [one])
    return _replaced(changed, draw, lambda c: _listed().get(c, []), [other]) if changed else None


STYLES: dict[str, Change] = {
    "homophone": lambda name, draw: _replaced(name, draw, _homophones),
    "homophones of all": _all_homophones,
    "polyphone": lambda name, draw: _replaced(name, draw, _other_readings),
    "regional sound": lambda name, draw: _replaced(name, draw, _regional),
    "look-alike": lambda name, draw: _replaced(name, draw, lambda c: _listed().get(c, [])),
    "shared part": lambda name, draw: _replaced(name, draw, lambda c: _listed_together().get(c, [])),
    "order": _order,
    "insertion": _insertion,
    "deletion": _deletion,
    "generic word": _generic,
    "homophone and goods": _spoken_and_goods,
    "first character": lambda name, draw: _at(name, draw, 0),
    "last character": lambda name, draw: _at(name, draw, len(name) - 1),
    "traditional": _traditional,
    "pinyin": _in_letters,
    "letters": lambda name, draw: None,  # of Latin marks, see `made`
    "sound and shape": _mixed,
    "pinyin and more": _letters_and_more,
}
# Outside of what an index has to find: reported, not counted.
BEYOND = frozenset({"sound and shape", "shared part"})


def made(each: int, seed: int = 9) -> list[Made]:
    """At most ``each`` marks of every style, from names drawn at random; a mark that is its name is none."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    found: list[Made] = []
    for style, change in STYLES.items():
        names = list(trade_names())
        if style == "letters":
            names, change = list(LATIN_BRANDS) * (each // len(LATIN_BRANDS) + 1), _letter
        draw.shuffle(names)
        some: list[Made] = []
        # Known brands are in every style.
        for name in ([*KNOWN_BRANDS, *names] if style != "letters" else names)[: 3 * each]:
            mark = change(name, draw)
            if mark and mark != name and len(some) < each:
                some.append(Made(style, name, mark))
        found += some
    return found
