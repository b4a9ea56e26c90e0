"""How similar two marks are, by sound, shape, order, containment and first character, and the sentence that says why.

After the examiner's rules (商标审查审理指南, similar marks of words): the same characters in another shape or order; three or more characters of which single
ones differ, unless the first one differs clearly; letters, four or more, of which single ones differ; a mark with a generic name, place or word of quality
beside it. Meaning is not judged: who reads an alarm does. Goods are compared by `spark_jobs.trademark.goods`; their `Relation` comes in.

All scores are from 0 (nothing alike) to 1, and the same whichever of the two is new. Weights and limits are ours, set on the cases of the unit tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from spark_jobs.trademark import glyphs
from spark_jobs.trademark.goods import Relation
from spark_jobs.trademark.normalise import LONGEST, Names, Rows, chinese, cores, is_chinese, normalise
from spark_jobs.trademark.readings import SPELLED, confused, repeated, spelled, spelled_starts, syllables, table, without_digits

Floats = NDArray[np.float32]
Matrix = NDArray[np.uint8]
Places = NDArray[np.int32]

ALARM, DOUBT = 0.72, 0.58  # totals from which two marks are similar, and from which somebody has to look
SAME = 0.995  # from here on it is the same mark
FIRST_ALIKE = 0.70  # below, a first character differs clearly in sound and shape
_CONFUSED, _RARE = 0.9, 0.5  # sound of syllables that are confused in the region; of characters that have a rare reading in common
_CLEAR = 0.5  # the most that a mark with a clearly different first character reaches
_READ_ON = 0.70  # the most for letters that begin with pinyin and go on with none: LIBAISTR may be 立白 and more, or no pinyin at all
_PART = 0.95  # of two marks that are the same but for something around it
_STEPS = 200  # of a likeness in a byte
_AT_ONCE = 1_000_000  # pairs
_CELLS = 8_000_000  # cells of the tables of a group of pairs


# By `Relation`. Whether classes with similar groups matter is not known before the groups are: between nothing and the same class.
_OF_GOODS = np.array([0.60, 0.75, 0.85, 0.95, 1.00], dtype=np.float32)
_GOODS_SAY = (
    "商品无类似关系",
    "商品所属类别之间有类似群，是否涉及尚不知",
    "商品属同一类别、不同类似群",
    "商品跨类似群近似",
    "商品属同一类似群",
)


class Verdict(IntEnum):
    """What follows from a total."""

    DIFFERENT = 0
    DOUBTFUL = 1
    SIMILAR = 2
    SAME = 3


_VERDICT_SAYS = ("不近似", "有待人工判断", "近似", "相同")


@dataclass(frozen=True)
class Scores:
    """One value for each pair. ``mark``: of the marks alone; ``total``: with their goods; ``verdict``: of `Verdict`."""

    sound: Floats
    shape: Floats
    order: Floats
    containment: Floats
    first: Floats
    mark: Floats
    total: Floats
    verdict: NDArray[np.int8]


@dataclass(frozen=True)
class Explanation:
    """The scores of one pair, and why in Chinese."""

    sound: float
    shape: float
    order: float
    containment: float
    first: float
    mark: float
    total: float
    verdict: Verdict
    sentence: str

    @property
    def alarms(self) -> bool:
        return self.verdict >= Verdict.SIMILAR


def score(
    new: Names, prior: Names, rows: Rows | Places, places: Rows | Places, goods: NDArray[np.int8] | None = None, alike: csr_array | None = None
) -> Scores:
    """Return the scores of pairs: name ``rows[n]`` of ``new`` with name ``places[n]`` of ``prior``.

    ``goods``: of `Relation`, for each pair; None: of all the same group. ``alike``: of `glyphs.neighbours`, where an index has it already.
    """
    shapes = glyphs.neighbours() if alike is None else alike
    # Each name once, without what nobody looks at; most are in many pairs.
    mine, of_mine = np.unique(rows, return_inverse=True)
    theirs, of_theirs = np.unique(places, return_inverse=True)
    one, other = _Side.of(_cut(new, mine.astype(np.int64))), _Side.of(_cut(prior, theirs.astype(np.int64)))
    alphabet = _Alphabet.of([n for side in (one, other) for n in (side.whole, side.spoken)], shapes)
    parts = np.zeros((6, len(rows)), np.float32)
    for first in range(0, len(rows), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        parts[:, some] = _pairs(one, other, of_mine[some], of_theirs[some], alphabet)
    sound, shape, order, containment, first_character, mark = parts
    # What is behind the characters that are compared makes two marks no longer the same.
    beyond = np.flatnonzero((mark >= SAME) & ((new.lengths[rows] > LONGEST) | (prior.lengths[places] > LONGEST)))
    mark[[n for n in beyond.tolist() if new.text(rows[n]) != prior.text(places[n])]] = _PART
    total = mark * _OF_GOODS[np.full(len(rows), Relation.SAME_GROUP) if goods is None else goods]
    verdict = np.digitize(total, [DOUBT, ALARM, SAME]).astype(np.int8)
    return Scores(sound, shape, order, containment, first_character, mark, total, verdict)


def explain(new: str, prior: str, goods: Relation = Relation.SAME_GROUP, alike: csr_array | None = None) -> Explanation:
    """Return the scores of one pair with the sentence that a reader gets; ``alike`` as in `score`."""
    return explain_all([(new, prior, goods)], alike)[0]


def explain_all(pairs: Sequence[tuple[str, str, Relation]], alike: csr_array | None = None) -> list[Explanation]:
    """`explain` of many pairs (new, prior, goods), scored at once."""
    if not pairs:
        return []
    shapes = glyphs.neighbours() if alike is None else alike
    one, other = normalise([new for new, _, _ in pairs]), normalise([prior for _, prior, _ in pairs])
    each = np.arange(len(pairs))
    found = score(one, other, each, each, np.array([goods for _, _, goods in pairs], np.int8), shapes)
    explained = []
    for n, (new, prior, goods) in enumerate(pairs):
        values = {f.name: float(getattr(found, f.name)[n]) for f in fields(Scores) if f.name != "verdict"}
        verdict = Verdict(int(found.verdict[n]))
        said = "；".join([*_reasons(one.text(n), other.text(n), values, shapes), _GOODS_SAY[goods]])
        explained.append(
            Explanation(**values, verdict=verdict, sentence=f"“{new}”与“{prior}”：{said}。判断：{_VERDICT_SAYS[verdict]}（{values['total']:.2f}）。")
        )
    return explained


# ---- pairs ----


@dataclass(frozen=True)
class _Side:
    """The names of one side: whole, without generic words, without letters where there are two Chinese characters, and those of letters alone as
    syllables (the usual way to read them). ``partly``: which of those are read in part; ``named``: those that have Chinese characters; ``core_head``,
    ``characters_head``: how many characters are left out at the beginning; ``tail``: where the generic words at the end begin."""

    whole: Names
    core: Names
    characters: Names
    spoken: Names
    partly: NDArray[np.bool_]
    named: NDArray[np.bool_]
    core_head: Rows
    characters_head: Rows
    tail: Rows

    @classmethod
    def of(cls, names: Names) -> _Side:
        is_chinese_there = chinese(names.codes)
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(is_chinese_there)])
        skip, left = cores(names)
        # Letters before the first Chinese character, where they are left out.
        characters = _characters(names)
        there = np.concatenate([np.flatnonzero(is_chinese_there), np.zeros(1, np.int64)])
        head = np.where(characters.lengths < names.lengths, there[before[names.offsets[:-1]]] - names.offsets[:-1], 0)
        core = names.take(np.arange(len(names)), skip, left)
        return cls(names, core, characters, *_spoken(names), np.diff(before[names.offsets]) > 0, skip, head, skip + left)


@dataclass(frozen=True)
class _Alphabet:
    """The characters of the names that are compared, numbered, and how they are alike: all with all, in steps of 1/200."""

    numbers: NDArray[np.int32]  # by code point
    sounds: Matrix
    looks: Matrix
    first_way: NDArray[np.int32]  # the syllable of the usual reading
    named: NDArray[np.bool_]  # Chinese characters and syllables that are spelled, no letters

    @classmethod
    def of(cls, several: list[Names], shapes: csr_array) -> _Alphabet:
        used = np.zeros(max((int(n.codes.max(initial=0)) for n in several), default=0) + 1, bool)
        for names in several:
            used[names.codes] = True
        points = np.flatnonzero(used)
        numbers = np.zeros(len(used), np.int32)
        numbers[points] = np.arange(len(points))
        first_way = table().folded[np.where(points < 0x10000, points, 0xF000 + points % 0x1000), 0].astype(np.int32)
        named = chinese(points.astype(np.uint32)) | (points >= SPELLED)
        return cls(numbers, _sounds(points), _looks(points, shapes), first_way, named)


def _cut(names: Names, rows: Rows) -> Names:
    return names.take(rows, 0, np.minimum(names.offsets[rows + 1] - names.offsets[rows], LONGEST))


def _characters(names: Names) -> Names:
    wanted = chinese(names.codes)
    counts = np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted)])[names.offsets])
    wanted |= np.repeat(counts < 2, names.lengths)
    return Names(names.codes[wanted], np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted)])[names.offsets])


def _spoken(names: Names) -> tuple[Names, NDArray[np.bool_]]:
    """(names without Chinese characters as syllables, the usual way to read them; whether only what a name begins with is read so)."""
    found: list[int] = []
    lengths, partly = np.zeros(len(names), np.int64), np.zeros(len(names), bool)
    plain = (names.codes >= ord("0")) & (names.codes <= ord("9")) | (names.codes >= ord("a")) & (names.codes <= ord("z"))
    counts = np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(plain)])[names.offsets])
    for row in np.flatnonzero((counts == names.lengths) & (counts >= 3)).tolist():
        text = names.text(row)
        word = without_digits(text)
        points = next(iter(spelled(word, 1)), ()) if word else repeated(text)
        if not points and len(word) > 3 and (starts := spelled_starts(word, 1)):
            points, partly[row] = starts[-1], True
        found += points
        lengths[row] = len(points)
    return Names(np.array(found, dtype=np.uint32), np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])), partly


def _pairs(one: _Side, other: _Side, rows: Rows, places: Rows, alphabet: _Alphabet) -> Floats:
    """Sound, shape, order, containment, first and mark of pairs, shape (6, pairs): of their best way to be compared."""
    found = _compared(one.whole, other.whole, rows, places, alphabet)
    clear = (one.named[rows] | other.named[places]) & (found[4] < FIRST_ALIKE)
    # Of the same length, perhaps without 店 behind.
    lengths, tails = one.whole.lengths[rows], one.tail[rows]
    clear &= ((lengths == other.whole.lengths[places]) & (lengths >= 3)) | ((tails == other.tail[places]) & (tails >= 3))
    for mine, theirs, my_head, their_head in (
        (one.core, other.core, one.core_head, other.core_head),
        (one.characters, other.characters, one.characters_head, other.characters_head),
    ):
        some = np.flatnonzero((mine.lengths < one.whole.lengths)[rows] | (theirs.lengths < other.whole.lengths)[places])
        # 大师傅 isn't 师傅 beside 康师傅: a single character that differs clearly counts, unless both begin with one that nobody looks at, or as much is
        # left of both (浪奇洗衣, 广州浪奇).
        heads = my_head[rows[some]], their_head[places[some]]
        capped = clear[some] & (np.maximum(*heads) < 2) & (np.minimum(*heads) == 0) & (mine.lengths[rows[some]] != theirs.lengths[places[some]])
        _better(found, some, mine, theirs, rows, places, alphabet, capped)
    by_letters = np.flatnonzero((one.spoken.lengths > 0)[rows] & other.named[places])
    _better(found, by_letters, one.spoken, other.whole, rows, places, alphabet, most=np.where(one.partly[rows[by_letters]], _READ_ON, 1))
    to_letters = np.flatnonzero(one.named[rows] & (other.spoken.lengths > 0)[places])
    _better(found, to_letters, one.whole, other.spoken, rows, places, alphabet, most=np.where(other.partly[places[to_letters]], _READ_ON, 1))
    return found


def _better(
    found: Floats,
    some: Rows,
    one: Names,
    other: Names,
    rows: Rows,
    places: Rows,
    alphabet: _Alphabet,
    capped: NDArray[np.bool_] | None = None,
    most: NDArray[np.floating] | float = 1,
) -> None:
    """Put in the scores of some pairs in other texts where the marks come out closer.

    ``capped``: the texts are the marks without something around them, and which of the marks begin too differently to be similar for that. The same
    without something around it is contained, not the same; and what a stripped text stands in, but not at its beginning, it isn't. ``most``: that the
    marks reach.
    """
    if not some.size:
        return
    again = _compared(one, other, rows[some], places[some], alphabet, anywhere=capped is None)
    if capped is not None:
        same = again[5] >= SAME
        again[3] = np.where(same, 1, again[3])
        again[5] = np.where(same, _PART, again[5] * 0.98)
        again[5] = np.where(capped, np.minimum(again[5], _CLEAR), again[5])
    again[5] = np.minimum(again[5], most)
    closer = again[5] > found[5, some]
    found[:, some[closer]] = again[:, closer]


def _compared(one: Names, other: Names, rows: Rows, places: Rows, alphabet: _Alphabet, anywhere: bool = True) -> Floats:
    found = np.zeros((6, len(rows)), np.float32)
    for n, m, group in _by_lengths(one.lengths[rows], other.lengths[places]):
        a, b = alphabet.numbers[one.matrix(rows[group], n)], alphabet.numbers[other.matrix(places[group], m)]
        found[:, group] = _group(a, b, alphabet, anywhere)
    return found


def _by_lengths(one: Rows, other: Rows) -> Iterator[tuple[int, int, Rows]]:
    """Pairs of the same two lengths, few enough at a time; pairs with a name of nothing are left out."""
    key = one * 32 + other
    order = np.argsort(key, kind="stable")
    kinds, starts = np.unique(key[order], return_index=True)
    for value, start, end in zip(kinds.tolist(), starts.tolist(), [*starts.tolist()[1:], len(order)], strict=True):
        n, m = divmod(value, 32)
        if n and m:
            size = max(1, _CELLS // (n * m))
            for at in range(start, end, size):
                yield n, m, order[at : min(at + size, end)]


def _sounds(points: NDArray[np.int64]) -> Matrix:
    """How alike code points sound: all with all, in steps of 1/200."""
    readings = table()
    low = np.where(points < 0x10000, points, 0)
    alive = np.maximum(readings.alive[low], 0)
    found = np.zeros((len(points), len(points)), np.uint8)
    for ways, worth in ((np.maximum(readings.folded[low], 0), _RARE), (confused()[alive], _CONFUSED), (alive, 1.0)):
        has = np.zeros((len(points), len(syllables()) + 1), np.float32)
        for column in range(ways.shape[1]):
            has[np.arange(len(points)), ways[:, column]] = 1
        has[:, 0] = 0
        for first in range(0, len(points), 1024):
            block = found[first : first + 1024]
            block[has[first : first + 1024] @ has.T > 0] = round(worth * _STEPS)
    np.fill_diagonal(found, _STEPS)
    return found


def _looks(points: NDArray[np.int64], shapes: csr_array) -> Matrix:
    """How alike code points look: all with all, in steps of 1/200; those that are not taken for each other count half."""
    low = np.where(points < 0x10000, points, 0)
    found = np.zeros((len(points), len(points)), np.uint8)
    some = shapes[low, :][:, low].tocoo()
    found[some.coords[0], some.coords[1]] = np.round(np.where(some.data >= glyphs.ALIKE, 1, 0.5) * some.data * _STEPS)
    np.fill_diagonal(found, _STEPS)
    return found


def _group(a: NDArray[np.int32], b: NDArray[np.int32], alphabet: _Alphabet, anywhere: bool) -> Floats:
    """The scores of pairs of which one has n characters, the other m. ``anywhere``: one may stand in the other behind its beginning, too."""
    named = alphabet.named[a].any(axis=1) | alphabet.named[b].any(axis=1)
    n, m = a.shape[1], b.shape[1]
    most, least = max(n, m), min(n, m)
    heard = [[alphabet.sounds[a[:, i], b[:, j]] for j in range(m)] for i in range(n)]
    seen = [[alphabet.looks[a[:, i], b[:, j]] for j in range(m)] for i in range(n)]
    both = [[np.maximum(h, s) for h, s in zip(*pair, strict=True)] for pair in zip(heard, seen, strict=True)]
    sound, shape, either = (1 - _edits(cells) / most for cells in (heard, seen, both))
    first = both[0][0].astype(np.float32) / _STEPS
    characters, spoken = _shared(a, b), _shared(alphabet.first_way[a], alphabet.first_way[b])
    order = np.where(named, (characters + spoken) / (n + m), _turned(a, b)).astype(np.float32)
    # What a mark begins with is what people remember of it.
    within, leading = (found & (named & (least >= 2) | (least >= 4)) for found in _contained(a, b))
    containment = np.where(leading, 0.65 + 0.35 * least / most, np.where(within & anywhere, 0.5 + 0.5 * least / most, 0))
    if n != m:
        spoken_first = named & (least >= 2) & np.all([heard[k][k] >= _CONFUSED * _STEPS for k in range(least)], axis=0)
        containment = np.maximum(containment, np.where(spoken_first, 0.9 * (0.65 + 0.35 * least / most), 0))

    mark = np.maximum.reduce([0.85 * sound + 0.10 * shape, 0.98 * shape, 0.90 * either])
    # Single characters or letters differ: one is another, or there is one more, and the others are the same. (Three at least; four letters.)
    single = (characters >= most - 1) & (either >= 1 - 1 / most - 1e-4) & (first >= np.where(named, FIRST_ALIKE, 0))
    single &= least >= np.where(named, 3, 4)
    mark = np.where(single, np.maximum(mark, np.minimum(0.90 * either + 0.15, 0.92)), mark)
    clear = named & (n == m) & (n >= 3) & (first < FIRST_ALIKE)
    mark = np.where(clear, np.minimum(mark, _CLEAR), mark)
    mark = np.where(~named & (least < 4), 0, mark)  # letters, so few: the same or nothing
    if n == m and n > 1:
        # Of marks that begin differently all has to be there again: what stands where it stood has no other order.
        turned = (order >= 0.75) & (~clear | (np.maximum(characters, spoken) == n))
        mark = np.maximum(mark, np.where(turned, 0.90 * order, 0))
    mark = np.maximum(mark, 0.95 * containment)
    same = np.all(a == b, axis=1) if n == m else np.zeros(len(a), bool)
    return np.array([sound, shape, order, np.where(same, 1, containment), first, np.where(same, 1, np.minimum(mark, 0.98))], dtype=np.float32)


def _edits(cells: list[list[NDArray[np.uint8]]]) -> Floats:
    """Levenshtein's distance in which a character that is alike costs little to replace."""
    before = [np.float32(j) for j in range(len(cells[0]) + 1)]
    rows: list[Floats] = [np.full(len(cells[0][0]), value, np.float32) for value in before]
    for i, line in enumerate(cells, start=1):
        current = [np.full(len(line[0]), i, np.float32)]
        for j, cell in enumerate(line, start=1):
            replaced = rows[j - 1] + (1 - cell.astype(np.float32) / _STEPS)
            current.append(np.minimum(np.minimum(rows[j], current[j - 1]) + 1, replaced))
        rows = current
    return rows[-1]


def _shared(a: NDArray[np.int32], b: NDArray[np.int32]) -> Floats:
    """How many values two rows have in common, each as often as both have it."""
    found = np.zeros(len(a), np.float32)
    for i in range(a.shape[1]):
        there = (b == a[:, [i]]).sum(axis=1)
        found += (a[:, :i] == a[:, [i]]).sum(axis=1) < there
    return found


def _turned(a: NDArray[np.int32], b: NDArray[np.int32]) -> Floats:
    """1 where letters are the same in two halves that changed places, or with two neighbours swapped."""
    found = np.zeros(len(a), bool)
    length = a.shape[1]
    if length == b.shape[1] and length >= 4:
        for turn in range(2, length - 1):
            found |= (np.roll(a, turn, axis=1) == b).all(axis=1)
        for place in range(length - 1):
            swapped = a.copy()
            swapped[:, [place, place + 1]] = a[:, [place + 1, place]]
            found |= (swapped == b).all(axis=1)
    return found.astype(np.float32)


def _contained(a: NDArray[np.int32], b: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(whether the shorter text stands in the longer one, whether at its beginning)."""
    short, long = (a, b) if a.shape[1] < b.shape[1] else (b, a)
    size, room = short.shape[1], long.shape[1] - short.shape[1]
    if not room:
        return np.zeros(len(a), bool), np.zeros(len(a), bool)
    at = [(long[:, start : start + size] == short).all(axis=1) for start in range(room + 1)]
    return np.any(at, axis=0), at[0]


# ---- in words ----

_NUMBERS = "零一二三四五六七八九十"


def _reasons(new: str, prior: str, values: dict[str, float], shapes: csr_array) -> list[str]:
    if not new or not prior:
        return ["没有可以比较的文字"]
    if new == prior:
        return ["文字相同（不计字体、繁简、大小写和标点）"]
    if len(new) == len(prior) and sorted(new) == sorted(prior) and values["order"] >= 1:
        return ["文字相同，仅排列顺序不同"]
    if said := _said_in_letters(new, prior):
        return [said]
    found = []
    bare_new, bare_prior = _bare(new), _bare(prior)
    if (bare_new, bare_prior) != (new, prior) and bare_new == bare_prior:
        return [f"均以“{bare_new}”为显著部分，其余为通用名称、地名或表示质量的词"]
    characters = [_without_letters(text) for text in (new, prior)]
    if characters != [new, prior] and characters[0] == characters[1]:
        return [f"汉字部分“{characters[0]}”相同"]
    if new in prior or prior in new:
        short, long = sorted((new, prior), key=len)
        found.append(f"“{long}”完整包含“{short}”")
        return found
    if len(new) != len(prior):
        if (bare_new, bare_prior) != (new, prior) and len(bare_new) == len(bare_prior):
            found.append("去除通用词后")
            new, prior = bare_new, bare_prior
        else:
            short, long = sorted((new, prior), key=len)
            if _heard(long[: len(short)], short) >= _CONFUSED:
                found.append(f"“{long}”的开头与“{short}”读音相同或者相近")
            kinds = _written_in(new), _written_in(prior)
            if kinds[0] == kinds[1]:
                differ = f"{kinds[0]}数不同（{len(new)}、{len(prior)}）"
            else:
                differ = f"“{new}”为{_KINDS[kinds[0]]}，“{prior}”为{_KINDS[kinds[1]]}"
            return [*found, f"{differ}，读音相似度{values['sound']:.2f}，字形相似度{values['shape']:.2f}"]
    return found + _by_place(new, prior, shapes)


_KINDS = {"字": "汉字", "字母": "字母", "数字": "数字", "字符": "不同文字的组合"}


def _written_in(text: str) -> str:
    """What a text consists of: 字 Chinese characters, 字母 letters, 数字 digits, 字符 several of these."""
    if chinese(np.array([ord(c) for c in text], np.uint32)).all():
        return "字"
    return "数字" if text.isdigit() else "字母" if text.isalpha() and not any(is_chinese(ord(c)) for c in text) else "字符"


def _said_in_letters(new: str, prior: str) -> str:
    """What is said where letters or digits are read as the characters of the other mark; '' where they aren't."""
    letters, characters = (new, prior) if new.isascii() else (prior, new)
    if not letters.isascii() or _written_in(characters) != "字":
        return ""
    spoken, partly = _spoken(normalise([letters]))
    read = spoken.text(0)
    heard = _heard(read[: len(characters)], characters)
    if heard < _CONFUSED:
        return ""
    how = f"读作“{characters}”" if heard == 1 else f"读成与“{characters}”相近的音"
    if partly[0] or len(read) > len(characters):
        return f"“{letters}”的开头可按拼音{how}"
    if letters.isalpha():
        return f"“{letters}”可按拼音{how}"
    return f"“{letters}”可{how}" if letters.isdigit() else f"“{letters}”中的字母可按拼音{how}"


def _heard(one: str, other: str) -> float:
    """How alike texts of one length sound where they sound least alike; 0 for texts of different lengths."""
    if len(one) != len(other) or not one:
        return 0.0
    sounds = _sounds(np.array([ord(c) for c in one + other]))
    return min(float(sounds[n, len(one) + n]) / _STEPS for n in range(len(one)))


@lru_cache(maxsize=65536)
def _bare(text: str) -> str:
    names = normalise([text])
    return names.take(np.zeros(1, int), *cores(names)).text(0)


def _by_place(new: str, prior: str, shapes: csr_array) -> list[str]:
    """What is said of two texts of one length: what is the same, and how what differs sounds and looks."""
    pairs = list(zip(new, prior, strict=True))
    same = sum(a == b for a, b in pairs)
    word = _written_in(new + prior)
    kinds = f"个{word}" if word != "字" else word
    found = [f"{_count(len(pairs), kinds)}中{_count(same, kinds)}相同"] if same else []
    points = np.array([ord(c) for c in new + prior])
    sounds, looks = _sounds(points), _looks(points, shapes)
    for place, (a, b) in enumerate(pairs):
        if a == b:
            continue
        heard, seen = sounds[place, len(new) + place] / _STEPS, looks[place, len(new) + place] / _STEPS
        says = "读音相同" if heard == 1 else "读音相近" if heard >= _CONFUSED else ""
        shape = f"字形近似（{seen:.2f}）" if seen >= glyphs.ALIKE else "字形略有相近" if seen > 0 and not says else ""
        where = "" if place or len(pairs) == 1 or word in ("字母", "数字") else f"首{word}"
        clearly = "读音、字形均有明显差异" if _written_in(a + b) == "字" else "不同"
        found.append(f"{where}“{a}”与“{b}”{'、'.join(s for s in (says, shape) if s) or clearly}")
    return found


@lru_cache(maxsize=65536)
def _without_letters(text: str) -> str:
    return _characters(normalise([text])).text(0)


def _count(number: int, kinds: str) -> str:
    said = _NUMBERS[number] if number <= 10 else str(number)
    return ("两" if number == 2 and kinds.startswith("个") else said) + kinds
