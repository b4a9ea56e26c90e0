"""Which characters look alike, from what they are made of.

Of two characters are compared: the digits of their four-corner codes 四角号码, place by place (half of the score), the fifth digit, the structure, the
radical, the numbers of strokes, the two corners of the right or lower half where both have one; and whether one stands in the other's list of look-alikes.
The score is from 0 to 1. Whatever these say, characters whose pictures in print are alike have 0.8 at least, and near ones WIDE: codes and parts don't see that
大 and 太, 米 and 来 look alike.

ALIKE was set by reading: above it are 未/末 1.00, 吉/古 1.00, 白/自 1.00, 茅/芧 0.85, 帅/师 0.84, 王/玉 0.80, 大/太 0.80; below it 清/情 0.70, and
我/他, 汽/机, 康/糠 (those sound alike) even below WIDE. A part that two characters share, 清/情, is seen by everybody, and so is what differs: that alone
is no likeness. From WIDE on characters are looked at, to be sure that none is missed.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from spark_jobs.trademark.normalise import normalise

FOLDER = Path(__file__).resolve().parents[2] / "catalog" / "glyphs"
ALIKE = 0.74  # from here on two characters are taken for each other
WIDE = 0.55  # from here on they are looked at
NEAREST = 160  # usual characters at most that are looked at for one; rare ones are looked at from ALIKE on
_FULL = 200  # points of a likeness of 1
_CORNER, _FIFTH, _STRUCTURE, _RADICAL, _STROKES, _HALF, _LISTED = 25, 10, 20, 30, 40, 20, 40  # points
_PRINTED = 160  # points at least of two characters that are alike in print
_AT_ONCE = 64  # characters that are compared with all others at once; more do not fit into the caches

Points = NDArray[np.int16]


def rows(name: str) -> dict[str, str]:
    """Character → what `catalog/glyphs/<name>.txt` says, '' where it says nothing; private-use characters are left out."""
    lines = [line.split(" ", 1) for line in (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()]
    return {line[0]: line[1].strip() if len(line) > 1 else "" for line in lines if len(line[0]) == 1 and not 0xE000 <= ord(line[0]) <= 0xF8FF}


def printed() -> tuple[dict[str, str], dict[str, str]]:
    """(character → those that are alike in print, character → those that are near to it), as `catalog/glyphs/render.py` has found."""
    with (FOLDER / "rendered.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    return {row["character"]: row["alike"] for row in found}, {row["character"]: row["near"] for row in found}


def likeness(one: str, other: str) -> float:
    """How alike two simplified characters look, from 0 to 1; below WIDE it is 0."""
    if one == other:
        return 1.0
    if max(ord(one), ord(other)) >= 0x10000:
        return 0.0
    return float(neighbours()[[ord(one)], :][:, [ord(other)]].toarray()[0, 0])


@cache
def neighbours() -> csr_array:
    """(code point, code point) → likeness of all pairs from WIDE on, both ways, shape (0x10000, 0x10000).

    Simplified characters only, and pairs of which one at least is a usual one (of the 6,763 of lookalike.txt). A character with very many has the nearest ones.
    """
    four, listed = rows("four_corner"), rows("lookalike")
    simple = normalise(list(four))
    known = [c for n, c in enumerate(four) if simple.text(n) == c and re.fullmatch(r"\d{4,5}", four[c]) and ord(c) < 0x10000]
    known.sort(key=lambda c: c not in listed)  # the usual ones come first
    usual = sum(c in listed for c in known)
    in_list = _lists(known, listed)
    printed_alike, printed_near = (_lists(known, others) for others in printed())
    features = _features(known, four)
    points = np.array([ord(c) for c in known])
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    for first in range(0, usual, _AT_ONCE):
        some = slice(first, min(first + _AT_ONCE, usual))
        score = _scores(features, some)
        i, j = in_list[some].nonzero()
        score[i, j] += _LISTED
        score[np.arange(score.shape[0]), np.arange(some.start, some.stop)] = 0
        of_usual, of_rare = score[:, :usual], score[:, usual:]
        of_usual[of_usual < np.maximum(np.partition(of_usual, -NEAREST, axis=1)[:, [-NEAREST]], WIDE * _FULL)] = 0
        of_rare[of_rare < ALIKE * _FULL] = 0
        # What looks alike in print is alike whatever it is made of, and is looked at whatever else there is.
        for matrix, points_least in ((printed_near, WIDE * _FULL), (printed_alike, _PRINTED)):
            i, j = matrix[some].nonzero()
            score[i, j] = np.maximum(score[i, j], np.int16(points_least))
        i, j = np.nonzero(score)
        found.append((points[some][i], points[j], np.minimum(score[i, j] / np.float32(_FULL), 1).astype(np.float32)))
    i, j, likenesses = (np.concatenate(column) for column in zip(*found, strict=True))
    whole = csr_array(coo_array((likenesses, (i, j)), shape=(0x10000, 0x10000)))
    return csr_array(whole.maximum(whole.T))


def _lists(known: list[str], listed: dict[str, str]) -> csr_array:
    """1 where one character stands in the other's list."""
    at = {c: n for n, c in enumerate(known)}
    pairs = np.array([(at[a], at[b]) for a, others in listed.items() for b in set(others) if a in at and b in at]).T
    matrix = csr_array((np.ones(pairs.shape[1], np.float32), (pairs[0], pairs[1])), shape=(len(known), len(known)))
    return csr_array(matrix.maximum(matrix.T))


def _features(known: list[str], four: dict[str, str]) -> tuple[list[tuple[int, Points]], Points]:
    """([points for being equal, values of all characters, -1 equals nothing], strokes)."""
    structure, strokes, radical = (rows(name) for name in ("structure", "strokes", "radicals"))
    radicals = {r: n for n, r in enumerate(sorted(set(radical.values())))}
    columns = [(_CORNER, [int(four[c][n]) for c in known]) for n in range(4)]
    columns.append((_FIFTH, [int((four[c] + "0")[4]) for c in known]))
    columns.append((_STRUCTURE, [int(structure.get(c) or -1) for c in known]))
    columns.append((_RADICAL, [radicals.get(radical.get(c, ""), -1) for c in known]))
    for n in "12":  # the right half of 1, left and right; the lower half of 2, above and below
        columns.append((_HALF, [int(four[c][int(n)]) * 10 + int(four[c][3]) if structure.get(c) == n else -1 for c in known]))
    return [(points, np.array(values, dtype=np.int16)) for points, values in columns], np.array(
        [max(int(strokes.get(c) or 1), 1) for c in known], np.int16
    )


def _scores(features: tuple[list[tuple[int, Points]], Points], some: slice) -> Points:
    """The points, but for the lists, of some characters with all."""
    columns, strokes = features
    counts = np.arange(strokes.max() + 1)[:, None], np.arange(strokes.max() + 1)
    closeness = np.round(_STROKES * np.minimum(*counts) / np.maximum(np.maximum(*counts), 1)).astype(np.int16)
    found = closeness[strokes[some]][:, strokes]
    for points, values in columns:
        mine = np.where(values[some] < 0, -2, values[some])
        found += np.multiply(mine[:, None] == values, points, dtype=np.int16)
    return found
