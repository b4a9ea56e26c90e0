"""Marks made from names, and the ways to find them that are measured beside the index."""

import numpy as np
import pytest

from infra.bench import run
from infra.bench import trademark as bench
from infra.bench.trademark_truth import KNOWN_BRANDS, STYLES, made, trade_names


def test_made_marks_are_reproducible_and_differ_from_their_names():
    some = made(40)
    assert some == made(40)
    assert some != made(40, seed=10)
    assert {m.style for m in some} == set(STYLES)
    assert all(m.mark != m.name for m in some)
    assert max(sum(m.style == s for m in some) for s in STYLES) == 40


def test_names_are_real_ones_and_the_known_brands():
    assert set(KNOWN_BRANDS) <= set(trade_names())
    assert len(trade_names()) > 2_000
    assert len(set(trade_names())) == len(trade_names())


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("order", lambda name, mark: sorted(name) == sorted(mark)),
        ("insertion", lambda name, mark: len(mark) == len(name) + 1),
        ("deletion", lambda name, mark: len(mark) == len(name) - 1),
        ("homophone", lambda name, mark: sum(a != b for a, b in zip(name, mark, strict=True)) == 1),
        ("look-alike", lambda name, mark: sum(a != b for a, b in zip(name, mark, strict=True)) == 1),
        ("first character", lambda name, mark: name[0] != mark[0] and name[1:] == mark[1:]),
        ("last character", lambda name, mark: name[-1] != mark[-1] and name[:-1] == mark[:-1]),
        ("generic word", lambda name, mark: name in mark),
        ("pinyin", lambda name, mark: mark.isascii()),
    ],
)
def test_a_style_changes_what_it_says(style, kept):
    assert all(kept(m.name, m.mark) for m in made(40) if m.style == style)


def test_made_up_names_are_as_many_as_asked_for_and_the_same_again():
    assert bench.made_up(500, 1) == bench.made_up(500, 1)
    assert len(bench.made_up(500, 1)) == 500
    assert any(name.isascii() for name in bench.made_up(500, 1))


@pytest.mark.parametrize("method", ["keys", "tfidf-100", "tfidf-pinyin-100", "cdist-60", "cdist-pinyin-60"])
def test_every_way_finds_the_name_itself(method):
    names, marks = ["浪奇", "立白", "王老吉"], ["王老吉", "立白"]
    steps = bench.METHODS[method](names, marks)
    next(steps)
    assert {(0 << 32) | 2, (1 << 32) | 1} <= set(next(steps).tolist())


def test_what_is_measured_is_counted_by_style(monkeypatch):
    monkeypatch.setattr(bench, "EACH", 5)
    found = bench.measure("keys", 0)
    assert set(found["styles"]) == set(STYLES)
    assert all(0 <= hit <= number for number, hit in found["styles"].values())
    assert found["marks"] == sum(number for number, _ in found["styles"].values())


def test_precision_is_a_share(monkeypatch):
    monkeypatch.setattr(bench, "EACH", 5)
    monkeypatch.setattr(bench, "OTHERS", 20)
    shares = bench.precision(0)
    assert all(0 <= share <= 1 for share in shares.values())
    assert shares["within the first 100"] >= shares["within the first 5"] >= shares["within the first 1"] > 0.5
    assert np.isfinite(list(shares.values())).all()


def test_the_workload_is_offered():
    assert "trademark" in run.names()
