"""How marks are read: the syllables of each character in all its readings, folded as people of Guangzhou confuse them, and of pinyin in letters.

Candidates are looked for under all readings of a character, rare ones too: what a phrase suggests is wrong for marks as often as not (pypinyin reads 长隆 as
zhǎng lóng). What is said of a pair rests on readings that are alive, which words of the language have: 方 was once read wang, and nobody hears it so. Tones are
left out. Digits are read as their numerals are, 7天 as 七天, and a digit repeated as how often it is there, 999 as 三九. Folded are z/zh, c/ch, s/sh, n/l at the beginning and en/eng, in/ing at the end. hu/f is not: 华 and 发, 辉 and 飞 are among the most usual
characters of marks, and nobody takes 华达 for 发达.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from pypinyin.phrases_dict import phrases_dict
from pypinyin.pinyin_dict import pinyin_dict

from spark_jobs.trademark.normalise import Codes, written_as

Syllables = NDArray[np.int16]

MOST = 6  # readings of a character that are kept, after folding
WAYS = 24  # ways to read a name that are followed, the usual ones first
SPELLED = 0xE000  # private-use code points that stand for a syllable written in letters: SPELLED + its number
_TONES = dict.fromkeys((0x300, 0x301, 0x302, 0x304, 0x30C))
_NO_SYLLABLES = frozenset(("hm", "hng", "m", "n", "ng"))  # sighs
_LONGEST = 36  # letters of a word that are taken apart
_DIGITS = ("ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu")


@dataclass(frozen=True)
class Table:
    """Readings of the code points below 0x10000, the usual one first; the numbers of syllables begin at 1, 0 is none.

    ``exact``, ``folded``: shape (0x10000, MOST), without repetition; ``alive``: as exact, those alone that words have, and the usual one; ``counts``: how
    many folded ones a character has, at least 1. What is neither a Chinese character nor a digit is read as itself: its number is negative.
    """

    exact: Syllables
    folded: Syllables
    alive: Syllables
    counts: Syllables


@cache
def confused() -> NDArray[np.int16]:
    """Number of a syllable → number of the one that stands for it; 0 → 0."""
    number = {s: n for n, s in enumerate(syllables(), start=1)}
    return np.array([0, *(number[fold(s)] for s in syllables())], dtype=np.int16)


def fold(syllable: str) -> str:
    """The syllable that stands for all that are confused with it: zheng → zen, niang → liang."""
    if syllable[:2] in ("zh", "ch", "sh"):
        syllable = syllable[0] + syllable[2:]
    elif syllable[0] == "n" and len(syllable) > 1:
        syllable = "l" + syllable[1:]
    return syllable[:-1] if syllable.endswith(("eng", "ing")) else syllable


def readings(character: str) -> tuple[str, ...]:
    """The readings of a simplified character without tones (ü as v), the usual one first, then those of the characters that it is written for (干 is 乾
    too, qian); none where it is unknown."""
    every = (character, *written_as().get(character, ""))
    found = [_plain(r) for c in every for r in pinyin_dict.get(ord(c), "").split(",") if r]
    return tuple(dict.fromkeys(r for r in found if r not in _NO_SYLLABLES))


def _plain(reading: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", reading).translate(_TONES)).replace("ü", "v").replace("ê", "e")


@cache
def syllables() -> tuple[str, ...]:
    """All syllables; the number of the first one is 1."""
    found = {_plain(r) for readings_of in pinyin_dict.values() for r in readings_of.split(",")} - _NO_SYLLABLES
    return tuple(sorted(found | {fold(s) for s in found}))


@cache
def _alive() -> dict[str, frozenset[str]]:
    """Character → readings that two words at least have."""
    found: Counter[tuple[str, str]] = Counter()
    for word, sounds in phrases_dict.items():
        if len(word) == len(sounds):
            found.update((character, sound[0]) for character, sound in zip(word, sounds, strict=True))
    usual: dict[str, Counter[str]] = {}
    for (character, sound), times in found.items():
        usual.setdefault(character, Counter())[_plain(sound)] += times
    return {character: frozenset(s for s, times in sounds.items() if times > 1) for character, sounds in usual.items()}


@cache
def table() -> Table:
    number = {s: n for n, s in enumerate(syllables(), start=1)}
    exact, folded, alive = (np.zeros((0x10000, MOST), np.int16) for _ in range(3))
    itself = np.arange(0x10000)
    exact[:, 0] = folded[:, 0] = alive[:, 0] = -1 - itself % 0x7FFF  # letters and digits are far apart; so are characters that nobody can read
    counts = np.ones(0x10000, np.int16)
    words = _alive()

    def put(code: int, ways: tuple[str, ...]) -> None:
        whole = [number[w] for w in ways[:MOST]]
        plain = list(dict.fromkeys(number[fold(w)] for w in ways))[:MOST]
        exact[code, : len(whole)], folded[code, : len(plain)], counts[code] = whole, plain, len(plain)
        living = [number[w] for n, w in enumerate(ways) if n == 0 or w in words.get(chr(code), ())][:MOST]
        alive[code, : len(living)] = living

    for code in pinyin_dict:
        if code < 0x10000 and (ways := readings(chr(code))):
            put(code, ways)
    for digit, syllable in enumerate(_DIGITS):
        put(ord("0") + digit, (syllable,))
    for syllable, n in number.items():
        put(SPELLED + n, (syllable,))
    return Table(exact, folded, alive, counts)


def read(codes_of: Codes) -> tuple[Syllables, Syllables]:
    """(folded readings, how many) of code points of any shape; what is beyond the basic plane is read as nothing that anything else is."""
    points = np.where(codes_of < 0x10000, codes_of, 0xF000 + codes_of % 0x1000)
    return table().folded[points], table().counts[points]


def ways(codes_of: Codes) -> tuple[NDArray[np.int64], Syllables]:
    """(row, syllables) of every way to read each name of a matrix, at most WAYS of one."""
    folded, counts = read(codes_of)
    rows = np.arange(codes_of.shape[0])
    # Way number w takes the digits of w in a system whose bases are the numbers of readings, the last character first.
    totals = np.ones(len(rows), np.int64)
    for column in range(codes_of.shape[1]):
        totals = np.minimum(totals * counts[:, column], WAYS)
    found_rows, found = [], []
    for way in range(int(totals.max(initial=0))):
        some = rows[totals > way]
        left = np.full(len(some), way)
        taken = np.empty((len(some), codes_of.shape[1]), np.int16)
        for column in range(codes_of.shape[1] - 1, -1, -1):
            digit = left % counts[some, column]
            left = left // counts[some, column]
            taken[:, column] = folded[some, column, digit]
        found_rows.append(some)
        found.append(taken)
    if not found:
        return rows, np.zeros(codes_of.shape, np.int16)
    return np.concatenate(found_rows), np.concatenate(found)


@cache
def _spellings() -> dict[str, tuple[int, ...]]:
    """Letters → code points of the syllables that they spell: lu is 路 and 绿 to those who have no ü."""
    found: dict[str, list[int]] = {}
    for n, syllable in enumerate(syllables(), start=1):
        for letters in {syllable, syllable.replace("v", "u"), syllable.replace("v", "yu")} if "v" in syllable else {syllable}:
            found.setdefault(letters, []).append(SPELLED + n)
    return {letters: tuple(numbers) for letters, numbers in found.items()}


def spelled(word: str, most: int = 4) -> list[tuple[int, ...]]:
    """The ways to read a word of letters as pinyin of at least two syllables, as code points (see SPELLED): libai → li bai; none for lake.

    The longest syllables come first: xian is xian before it is xi an.
    """
    if not 3 <= len(word) <= _LONGEST:
        return []
    spellings = _spellings()
    # ends[at]: whether the letters from there can be read at all.
    ends = [False] * len(word) + [True]
    for at in range(len(word) - 1, -1, -1):
        ends[at] = any(ends[at + n] and word[at : at + n] in spellings for n in range(1, min(6, len(word) - at) + 1))
    found: list[tuple[int, ...]] = []
    waiting: list[tuple[int, tuple[int, ...]]] = [(0, ())] if ends[0] else []
    while waiting and len(found) < most:
        at, so_far = waiting.pop()
        if at == len(word):
            if len(so_far) > 1:
                found.append(so_far)
            continue
        for n in range(1, min(6, len(word) - at) + 1):  # the stack gives the longest back first
            if ends[at + n]:
                waiting += [(at + n, (*so_far, point)) for point in spellings.get(word[at : at + n], ())]
    return found


def spelled_starts(word: str, most: int = 2) -> list[tuple[int, ...]]:
    """The pinyin of at least two syllables that a word of letters begins with, without the whole word: changlongpark → chang long, chang long pa.

    The shortest come first; of each length in letters at most ``most`` ways, those with the longer first syllables before.
    """
    spellings = _spellings()
    word = word[:_LONGEST]
    at_end: list[list[tuple[int, ...]]] = [[] for _ in range(len(word) + 1)]
    at_end[0] = [()]
    for end in range(1, len(word)):
        for n in range(1, min(6, end) + 1):  # a short last syllable leaves more to the first ones
            points = spellings.get(word[end - n : end], ())
            at_end[end] += [(*so_far, point) for so_far in at_end[end - n] for point in points]
        # Fewer syllables are what is meant more often: xian g is no worse than xi an g.
        at_end[end] = sorted(at_end[end], key=len)[:most]
    return [way for ways_of in at_end for way in ways_of if len(way) > 1]


def repeated(digits: str) -> tuple[int, ...]:
    """A digit that is there three times to nine as two syllables, as code points: 999 → san jiu; () for others."""
    if not 3 <= len(digits) <= 9 or digits != digits[0] * len(digits) or digits[0] not in "0123456789":
        return ()
    return numerals(str(len(digits)) + digits[0])


def numerals(digits: str) -> tuple[int, ...]:
    """Digits as syllables one by one, as code points: 101 → yi ling yi."""
    return tuple(_digits()[int(digit)] for digit in digits)


@cache
def _digits() -> tuple[int, ...]:
    number = {s: n for n, s in enumerate(syllables(), start=1)}
    return tuple(SPELLED + number[syllable] for syllable in _DIGITS)


def without_digits(word: str) -> str:
    return word.translate(dict.fromkeys(map(ord, "0123456789")))
