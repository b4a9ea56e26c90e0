"""Finding what comes close to a mark: the index and other ways to do it, each with the recall that it buys.

``python -m infra.bench.trademark METHOD NAMES FOLDER`` runs one way (see METHODS) over NAMES names and leaves ``found.json`` in FOLDER: seconds, candidates for
each mark, and for each style of made mark how many there are and how many of them were found. Others get their names normalised by us, which the
index would have to do itself, and pinyin beside the characters where it says so: the same as they would be given by whoever uses them well.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pypinyin import lazy_pinyin
from rapidfuzz import fuzz, process
from sklearn.feature_extraction.text import TfidfVectorizer
from sparse_dot_topn import sp_matmul_topn

from infra.bench.trademark_truth import BEYOND, LATIN_BRANDS, STYLES, Made, made, trade_names
from spark_jobs.trademark import index as indexes
from spark_jobs.trademark.normalise import normalise
from spark_jobs.trademark.similarity import SAME, score

EACH = 65  # marks of each style
OTHERS = 4_000  # marks that come close to nothing on purpose, for precision
_LENGTHS, _SHARES = (2, 3, 4, 5, 0), (0.40, 0.30, 0.15, 0.05, 0.10)  # characters of made-up names; 0: letters
Pairs = NDArray[np.int64]  # row × 2^32 + place


def made_up(count: int, seed: int) -> list[str]:
    """Names of characters as usual as in the trade names of the samples, and a tenth of letters that can be spoken."""
    draw = np.random.default_rng(seed)
    usual = Counter("".join(trade_names()))
    characters, weights = np.array(list(usual)), np.array(list(usual.values())) / usual.total()
    lengths, found = draw.choice(_LENGTHS, count, p=_SHARES), np.empty(count, dtype=object)
    for length in _LENGTHS[:-1]:
        rows = np.flatnonzero(lengths == length)
        found[rows] = ["".join(row) for row in draw.choice(characters, (len(rows), length), p=weights)]
    consonants, vowels = list("BCDFGHJKLMNPRSTVWXZ"), list("AEIOU")
    for row in np.flatnonzero(lengths == 0):
        size = int(draw.integers(2, 5))
        found[row] = "".join(a + b for a, b in zip(draw.choice(consonants, size), draw.choice(vowels, size), strict=True))
    return [str(name) for name in found]


def world(size: int) -> tuple[list[str], list[Made]]:
    """(``size`` names, the real ones first; marks made from some of the real ones)."""
    real = [*trade_names(), *LATIN_BRANDS]
    return [*real, *made_up(max(0, size - len(real)), 1)], made(EACH)


# ---- ways ----


def _keys(names: list[str], marks: list[str]) -> Iterator[Pairs]:
    index = indexes.build(np.arange(len(names)), names)
    yield np.zeros(0, np.int64)
    found = indexes.query(index, marks)
    yield (found.rows.astype(np.int64) << 32) | found.places


def _prepared(names: list[str], spoken: bool) -> list[str]:
    normal = normalise(names)
    texts = [normal.text(n) for n in range(len(normal))]
    return [" ".join([t, *lazy_pinyin(t)]) for t in texts] if spoken else texts


def _tfidf(most: int, spoken: bool) -> Callable[[list[str], list[str]], Iterator[Pairs]]:
    def run(names: list[str], marks: list[str]) -> Iterator[Pairs]:
        vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3), dtype=np.float32)
        there = vectors.fit_transform(_prepared(names, spoken)).T.tocsr()
        yield np.zeros(0, np.int64)
        found = sp_matmul_topn(vectors.transform(_prepared(marks, spoken)), there, top_n=most, threshold=0.05, n_threads=2).tocoo()
        yield (found.row.astype(np.int64) << 32) | found.col

    return run


def _all_pairs(least: int, spoken: bool) -> Callable[[list[str], list[str]], Iterator[Pairs]]:
    def run(names: list[str], marks: list[str]) -> Iterator[Pairs]:
        ways = [(_prepared(names, False), _prepared(marks, False))]
        if spoken:
            ways.append(tuple(["".join(lazy_pinyin(t)) for t in texts] for texts in ways[0]))  # type: ignore[arg-type]
        yield np.zeros(0, np.int64)
        found = []
        for there, asked in ways:
            for first in range(0, len(asked), 50):
                near = process.cdist(asked[first : first + 50], there, scorer=fuzz.ratio, score_cutoff=least, dtype=np.uint8, workers=2)
                rows, places = near.nonzero()
                found.append(((rows.astype(np.int64) + first) << 32) | places)
        yield np.unique(np.concatenate(found))

    return run


METHODS: dict[str, Callable[[list[str], list[str]], Iterator[Pairs]]] = {
    "keys": _keys,
    "tfidf-100": _tfidf(100, False),
    "tfidf-1000": _tfidf(1000, False),
    "tfidf-pinyin-100": _tfidf(100, True),
    "tfidf-pinyin-1000": _tfidf(1000, True),
    "cdist-60": _all_pairs(60, False),
    "cdist-45": _all_pairs(45, False),
    "cdist-pinyin-60": _all_pairs(60, True),
    "cdist-pinyin-45": _all_pairs(45, True),
}


def measure(method: str, size: int) -> dict[str, object]:
    """What one way costs and finds."""
    names, marks = world(size)
    at = {name: place for place, name in reversed(list(enumerate(names)))}
    begin = time.perf_counter()
    steps = METHODS[method](names, [m.mark for m in marks])
    next(steps)
    ready = time.perf_counter()
    pairs = next(steps)
    ended = time.perf_counter()
    wanted = np.array([(row << 32) | at[m.name] for row, m in enumerate(marks)])
    hit = np.isin(wanted, pairs)
    styles = {s: (sum(m.style == s for m in marks), sum(bool(h) for m, h in zip(marks, hit, strict=True) if m.style == s)) for s in STYLES}
    return {"build": ready - begin, "ask": ended - ready, "marks": len(marks), "candidates": len(pairs) / len(marks), "styles": styles}


def precision(size: int, ks: tuple[int, ...] = (100, 200, 400, 800)) -> dict[str, float]:
    """What the similarity alone is worth, all goods alike.

    "of the first k": made marks and OTHERS made-up ones are asked of the real names; of the k most similar pairs the share that was made to be similar or
    is the same mark by chance. "within the first k": made marks are asked of all names; the share whose name is among the k most similar ones.
    """
    names, marks = world(size)
    real = names[: len(trade_names()) + len(LATIN_BRANDS)]
    found: dict[str, float] = {}
    asked = [*(m.mark for m in marks), *made_up(OTHERS, 2)]
    rows, places, total = _ranked(real, asked)
    right = [row < len(marks) and real[place] == marks[row].name for row, place in zip(rows, places, strict=True)]
    for k in ks:
        found[f"of the first {k}"] = float(np.mean((np.array(right) | (total >= SAME))[:k]))
    rows, places, _ = _ranked(names, [m.mark for m in marks])
    best: dict[int, list[str]] = {}
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        best.setdefault(row, []).append(names[place])
    counted = [n for n, m in enumerate(marks) if m.style not in BEYOND]
    for k in (1, 5, 20, 100):
        found[f"within the first {k}"] = float(np.mean([marks[n].name in best.get(n, [])[:k] for n in counted]))
    return found


def _ranked(names: list[str], marks: list[str]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """(rows, places, totals) of all candidates, the most similar first."""
    index, asked = indexes.build(np.arange(len(names)), names), normalise(marks)
    found = indexes.query(index, marks)
    total = score(asked, index.names, found.rows, found.places, None, index.alike).total
    best = np.lexsort((found.places, found.rows, -total))
    return found.rows[best], found.places[best], total[best]


if __name__ == "__main__":
    what, number, folder = sys.argv[1:]
    result = precision(int(number)) if what == "precision" else measure(what, int(number))
    (Path(folder) / "found.json").write_text(json.dumps(result))
