"""Names of marks as they are compared: one character for each way to write it, and what is left without words that anybody may use.

All functions take many names at once and work on arrays of code points, since a register has millions of them. Chinese characters are made simple one by
one (OpenCC's table), not by phrases: 乾隆 becomes 干隆 in the mark and in the name that it is compared with.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import opencc
from numpy.typing import NDArray

from spark_jobs.refine import codes

Codes = NDArray[np.uint32]
Rows = NDArray[np.int64]

LONGEST = 16  # characters of a name that are compared; what follows is looked at by nobody
_END = 0x323B0  # the first code point behind the Chinese characters
_SEVERAL = 0xFFFFFFFF  # one sign that stands for several: ﬁ, ㍿, œ; or for a part of a syllable of Hangul
_NO_LETTERS = "™℠"  # they say that a name is a mark, and are none of its letters
# Letters that are no others with an accent, as NFKC has it, and what they are written for where they can't be written.
_PLAIN = dict(zip("łøđħŧıȷŀɨʉƀ", "lodhtijliub", strict=True)) | {"œ": "oe", "æ": "ae", "ß": "ss", "þ": "th", "ð": "d", "ŋ": "ng", "ĸ": "k"}
# CJK radicals U+2E81 to U+2EF3 that a PDF may have for the characters (⻓ for 长): Equivalent_Unified_Ideograph of the Unicode Character Database 14.0.
_RADICALS = dict(
    zip(
        "⺁⺂⺃⺄⺅⺆⺇⺈⺉⺊⺋⺌⺍⺎⺏⺐⺑⺒⺓⺔⺕⺖⺗⺘⺙⺛⺜⺝⺞⺟⺠⺡⺢⺣⺤⺥⺦⺧⺨⺩⺪⺫⺬⺭⺮⺯⺰⺱⺲⺳⺴⺵⺶⺷⺸⺹⺺"
        "⺻⺼⺽⺾⺿⻀⻁⻂⻃⻄⻅⻆⻇⻈⻉⻊⻋⻌⻍⻎⻏⻐⻑⻒⻓⻔⻕⻖⻗⻘⻙⻚⻛⻜⻝⻞⻟⻠⻡⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳",
        "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爫丬牛犭王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀"
        "聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟",
        strict=True,
    )
)
# Letters of other alphabets that nobody can tell from Latin ones, in upper case.
_LATIN_TWINS = dict(zip("АВЕКМНОРСТХІЅЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEKMHOPCTXISJABEZHIKMNOPTYX", strict=True))
# Words of praise, age and size before a mark, and places; behind it words for a brand or a shop. Trades are counted in the register (name_trade_words).
_PRAISE = "中国 中华 大 小 老 新 真 正宗 正品 金牌 名牌 优质 特级 百年 传统 原味 古法 御品 精品 第一"
_SHOP = """
牌 店 厂 老店 总店 旗舰店 专卖店 连锁店 分店 商店 公司 有限公司 集团 股份 品牌 系列 专营 专营店 商城 超市 门店 直营店
洗衣 洗衣液 凉茶 饼家 酒家 酒楼 茶楼 餐厅 饭店 食府 药业 药房 大药房 制药 中药 饮料 食品 牛奶 奶茶 咖啡 烘焙 月饼 腊味 酱油 啤酒 白酒 茶叶 乐园 度假区 动物世界
服装 童装 女装 男装 皮具 箱包 鞋业 珠宝 首饰 化妆品 护肤 美容 美发 家居 家具 家电 电器 电子 数码 手机 电池 洗洁精 洗衣粉 牙膏 日化 科技 网络 传媒 教育 物流
"""


@dataclass(frozen=True)
class Names:
    """Many names, one behind the other: name n is ``codes[offsets[n]:offsets[n + 1]]``, code points of letters, digits and Chinese characters."""

    codes: Codes
    offsets: Rows

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Rows:
        return np.diff(self.offsets)

    def text(self, row: int) -> str:
        return "".join(map(chr, self.codes[self.offsets[row] : self.offsets[row + 1]].tolist()))

    def take(self, rows: Rows, skip: Rows | int = 0, lengths: Rows | None = None) -> Names:
        """The names of ``rows`` in that order; of each only ``lengths`` characters behind the first ``skip``."""
        starts = self.offsets[rows] + skip
        counts = self.offsets[rows + 1] - starts if lengths is None else np.asarray(lengths, dtype=np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        at = np.arange(offsets[-1], dtype=np.int64) + np.repeat(starts - offsets[:-1], counts)
        return Names(np.asarray(self.codes[at]), offsets)

    def matrix(self, rows: Rows, length: int) -> Codes:
        """The first ``length`` characters of names that have so many: shape (rows, length)."""
        return np.asarray(self.codes[self.offsets[rows][:, None] + np.arange(length)])


def normalise(names: Sequence[str | None]) -> Names:
    """Names in simplified characters and lower-case letters without accents, without blanks and signs; None and '' have no characters.

    Whatever NFKC makes a letter or digit of is one: Ⓛ, ⽴, ⑦. Letters of alphabets that we know nothing of stay themselves.
    """
    texts = [name or "" for name in names]
    flat, offsets = _flat(texts)
    folded = compared_as()[np.minimum(flat, _END)]
    several = np.flatnonzero(folded == _SEVERAL)
    if several.size:
        for row in np.unique(np.searchsorted(offsets, several, side="right") - 1).tolist():
            texts[row] = _written_out(texts[row])
        flat, offsets = _flat(texts)
        folded = compared_as()[np.minimum(flat, _END)]
        folded = np.where(folded == _SEVERAL, flat, folded)  # what stands for several alone: 정, a lone part of such a one
    kept = folded != 0
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    return Names(folded[kept], before[offsets])


def _flat(texts: Sequence[str]) -> tuple[Codes, Rows]:
    flat = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return flat, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


@cache
def compared_as() -> Codes:
    """Code point → the one that is compared; 0: left out, _SEVERAL: the whole name is written out before it is compared."""
    table = np.zeros(_END + 1, dtype=np.uint32)
    for code in range(_END):
        if _is_part(code):
            table[code] = _SEVERAL
        elif 0xAC00 <= code <= 0xD7A3 or 0x3400 <= code < 0xA000:
            table[code] = code
        elif letters := _letters(chr(code)):
            table[code] = ord(letters) if len(letters) == 1 else _SEVERAL
    table[0x3007] = ord("零")  # 〇 is a numeral sign, not a letter
    chinese = [c for c in np.flatnonzero(table).tolist() if is_chinese(table[c])]
    simple = opencc.OpenCC("t2s").convert("\n".join(chr(table[c]) for c in chinese)).split("\n")
    for code, character in zip(chinese, simple, strict=True):
        # A simple character beyond the basic plane (暐 → 𬀩) is known by none of the tables.
        table[code] = ord(character) if len(character) == 1 and ord(character) < 0x10000 else table[code]
    return table


@cache
def written_as() -> dict[str, str]:
    """Simplified character → the characters that become it, itself not among them: 干 → 乾幹榦."""
    table, found = compared_as(), dict[str, str]()
    for code in range(0x3400, 0xA000):
        if table[code] not in (0, code):
            found[chr(table[code])] = found.get(chr(table[code]), "") + chr(code)
    return found


def _letters(sign: str) -> str:
    """The letters and digits that a sign stands for, in lower case and without accents."""
    if sign in _NO_LETTERS:
        return ""
    found = ""
    for letter in unicodedata.normalize("NFKC", _RADICALS.get(sign, sign)):
        if letter.isalnum():
            bare = "".join(c for c in unicodedata.normalize("NFD", letter) if c.isalnum() and not unicodedata.combining(c))
            one = bare if len(bare) == 1 else letter
            one = _LATIN_TWINS.get(one.upper(), one).lower()
            found += _PLAIN.get(one, one)
    return found


def _is_part(code: int) -> bool:
    """Whether a code point is a part of a syllable of Hangul, which neighbours make whole."""
    return 0x1100 <= code <= 0x11FF or 0x3131 <= code <= 0x318E or 0xA960 <= code <= 0xA97C or 0xD7B0 <= code <= 0xD7FB or 0xFFA1 <= code <= 0xFFDC


def _written_out(text: str) -> str:
    """A name of letters and digits alone that each stand for themselves; parts of syllables are put together once nothing is between them."""
    return unicodedata.normalize("NFC", "".join(map(_letters, unicodedata.normalize("NFKC", "".join(c for c in text if c not in _NO_LETTERS)))))


def is_chinese(code: int) -> bool:
    return 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code < _END


def chinese(points: Codes) -> NDArray[np.bool_]:
    """As `is_chinese`, for an array of normalised code points."""
    return ((points >= 0x3400) & (points <= 0x9FFF)) | (points >= 0x20000)


def mixed(codes_of: NDArray[np.generic], seed: int = 0) -> NDArray[np.uint64]:
    """A number of 64 bits for each row of a matrix; rows that differ have different ones but for one case in billions."""
    found = np.full(codes_of.shape[0], 0x9E3779B97F4A7C15 ^ (seed * 0x100000001B3), dtype=np.uint64)
    for column in range(codes_of.shape[1]):
        found ^= codes_of[:, column].astype(np.uint64) + np.uint64(1)
        found *= np.uint64(0xD6E8FEB86659FD93)
        found ^= found >> np.uint64(32)
    return found


# ---- words that anybody may use ----


@cache
def generic_words() -> tuple[frozenset[str], frozenset[str]]:
    """(before a mark, behind a mark): normalised."""
    before = {*_PRAISE.split()}
    for row in codes.rows("gbt2260_areas"):
        # Provinces, cities of Guangdong and districts of Guangzhou; short names of others are names of many other things.
        if row["code"].endswith("0000") or (row["code"].startswith("44") and row["code"].endswith("00")) or row["code"].startswith("4401"):
            full = row["name"]
            before |= {full, full[:-1]} if full[-1] in "省市区县" and len(full) > 2 else {full}
    behind = {*_SHOP.split(), *(r["word"] for r in codes.rows("industry_words")), *(r["form"] for r in codes.rows("legal_forms"))}
    # A word that few names have may be somebody's mark.
    behind |= {r["word"] for r in codes.rows("name_trade_words") if float(r["count"]) >= 3}
    behind = {w for w in behind if len(w) > 1 or w in "牌店厂"}
    return frozenset(_each(before)), frozenset(_each(behind))


def _each(words: Iterable[str]) -> list[str]:
    kept = normalise(sorted(words))
    return [kept.text(n) for n in range(len(kept)) if kept.lengths[n]]


@cache
def _generic_keys() -> tuple[dict[int, NDArray[np.uint64]], dict[int, NDArray[np.uint64]]]:
    """Length → sorted keys of the words before and behind."""

    def keys(words: frozenset[str]) -> dict[int, NDArray[np.uint64]]:
        by_length: dict[int, list[str]] = {}
        for word in words:
            by_length.setdefault(len(word), []).append(word)
        return {
            n: np.sort(mixed(np.array([[ord(c) for c in w] for w in found], dtype=np.uint32))) for n, found in sorted(by_length.items(), reverse=True)
        }

    before, behind = generic_words()
    return keys(before), keys(behind)


def cores(names: Names) -> tuple[Rows, Rows]:
    """(characters to skip, characters that are left) of each name without generic words around it: 浪奇洗衣 → 浪奇.

    At least two characters stay, and a name of nothing but generic words stays whole: 广州酒家, 中国贸易.
    """
    starts, ends = names.offsets[:-1].copy(), names.offsets[1:].copy()
    before, behind = _generic_keys()
    for words, front, again in ((behind, False, False), (behind, False, True), (behind, False, True), (before, True, False), (before, True, True)):
        # A second word is looked for only where a first one was.
        open_rows = np.flatnonzero(
            (ends - starts > 2) & ((ends < names.offsets[1:]) | (not again or front)) & ((starts > names.offsets[:-1]) | (not again or not front))
        )
        for length, keys in words.items():
            rows = open_rows[ends[open_rows] - starts[open_rows] >= length + 2]
            if not rows.size:
                continue
            at = starts[rows] if front else ends[rows] - length
            found = mixed(names.codes[at[:, None] + np.arange(length)])
            place = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
            hit = rows[keys[place] == found]
            if front:
                starts[hit] += length
            else:
                ends[hit] -= length
            open_rows = np.setdiff1d(open_rows, hit, assume_unique=True)
    cut = np.flatnonzero(ends - starts < names.lengths)
    for words in (before, behind):
        for length, keys in words.items():
            rows = cut[ends[cut] - starts[cut] == length]
            left = mixed(names.codes[starts[rows][:, None] + np.arange(length)])
            whole = rows[keys[np.minimum(np.searchsorted(keys, left), len(keys) - 1)] == left]
            starts[whole], ends[whole] = names.offsets[whole], names.offsets[whole + 1]
    return starts - names.offsets[:-1], ends - starts
