"""Candidates: nothing that was made from a name is missed, a saved index answers as it did before."""

import dataclasses
import functools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.bench import trademark_truth as truth
from spark_jobs.trademark import index as indexes
from spark_jobs.trademark.index import Index, Kind, build, load, query, save

# Beside the trade names of the samples, so that what is asked for is not alone.
NAMES = [*truth.trade_names(), *truth.LATIN_BRANDS, "康师傅", "未来", "茅台", "newbalance", "七天", "三九", "三六零"]


@functools.cache
def real() -> Index:
    return build(np.arange(len(NAMES)), NAMES)


def kinds(mark: str, name: str, index: Index | None = None) -> Kind:
    """The ways in which a name is found for a mark; none: it isn't."""
    found = query(index or real(), [mark])
    at = NAMES.index(name) if index is None else 0
    return Kind(int(found.kinds[found.places == at].sum()))


@pytest.mark.parametrize(
    ("mark", "name", "kind"),
    [
        ("常隆", "长隆", Kind.SOUND),  # pypinyin alone reads 长隆 as zhang long
        ("丽白", "立白", Kind.SOUND),
        ("朱江", "珠江", Kind.SOUND),
        ("朗奇", "浪奇", Kind.SOUND),
        ("维品汇", "唯品会", Kind.SOUND),
        ("淘淘居", "陶陶居", Kind.SOUND),
        ("至美斋", "致美斋", Kind.SOUND),
        ("狼奇", "浪奇", Kind.SOUND),
        ("王老古", "王老吉", Kind.SHAPE),
        ("康帅傅", "康师傅", Kind.SHAPE),
        ("糠帅付", "康师傅", Kind.SHAPE),
        ("末来", "未来", Kind.SHAPE),
        ("芧台", "茅台", Kind.SHAPE),
        ("莲香樓", "莲香楼", Kind.SAME),
        ("浪奇洗衣", "浪奇", Kind.SAME),
        ("浪奇甲乙丙", "浪奇", Kind.CONTAINS),
        ("朗奇研学", "浪奇", Kind.CONTAINS),
        ("老王吉", "王老吉", Kind.ORDER),
        ("奇浪", "浪奇", Kind.ORDER),
        ("BALANCE NEW", "newbalance", Kind.ORDER),
        ("LIBAI", "立白", Kind.LETTERS),
        ("Wang Lao Ji", "王老吉", Kind.LETTERS),
        ("LIBAI洗衣液", "立白", Kind.LETTERS),
        ("WANGLAOJI TEA", "王老吉", Kind.LETTERS),
        ("CHANGLONG RESORT", "长隆", Kind.LETTERS),
        ("CHANGLONGPARK", "长隆", Kind.LETTERS),
        ("libai168", "立白", Kind.LETTERS),
        ("TEA WANGLAOJI", "王老吉", Kind.LETTERS),
        ("7天", "七天", Kind.SOUND),
        ("999", "三九", Kind.LETTERS),
        ("360", "三六零", Kind.LETTERS),
        ("潘寿", "潘高寿", Kind.LESS),
        ("陈李记济", "陈李济", Kind.MORE),
        ("VIPSHOT", "VIPSHOP", Kind.OTHER),
        ("广洲酒嘉楼", "广州酒家", Kind.SOUND_PART),
    ],
)
def test_known_tricks_are_found_and_named(mark, name, kind):
    assert kind in kinds(mark, name)


def test_both_directions_are_found():
    index = build([7], ["浪奇洗衣"])
    assert Kind.SAME in kinds("浪奇", "浪奇洗衣", index)
    assert Kind.LETTERS in kinds("立白", "LI BAI", build(["x"], ["LI BAI"]))
    for mark, name in (
        ("王老吉", "WANGLAOJI TEA"),
        ("长隆", "CHANGLONGPARK"),
        ("立白", "libai168"),
        ("王老吉", "TEA WANGLAOJI"),
        ("三九", "999"),
        ("一零一", "101"),
    ):
        assert Kind.LETTERS in kinds(mark, name, build([1], [name]))
    assert Kind.CONTAINS in kinds("WANGLAOJI", "WANGLAOJI TEA", build([1], ["WANGLAOJI TEA"]))
    assert Kind.SOUND in kinds("七天", "7天", build([1], ["7天"]))


@pytest.mark.parametrize(("mark", "name"), [("海天", "立白"), ("大海", "浪奇"), ("ABC", "立白")])
def test_what_has_nothing_in_common_is_not_found(mark, name):
    assert not kinds(mark, name)


@pytest.mark.parametrize("style", list(truth.STYLES))
def test_recall_of_every_style(style):
    made = [m for m in truth.made(150) if m.style == style]
    found = query(real(), [m.mark for m in made])
    pairs = set(zip(found.rows.tolist(), found.places.tolist(), strict=True))
    recall = np.mean([(n, NAMES.index(m.name)) in pairs for n, m in enumerate(made)])
    assert len(made) > 50
    assert recall >= (0.10 if style == "sound and shape" else 0.97), [m for n, m in enumerate(made) if (n, NAMES.index(m.name)) not in pairs][:5]


def test_overall_recall():
    made = [m for m in truth.made(150) if m.style not in truth.BEYOND]
    found = query(real(), [m.mark for m in made])
    pairs = set(zip(found.rows.tolist(), found.places.tolist(), strict=True))
    assert np.mean([(n, NAMES.index(m.name)) in pairs for n, m in enumerate(made)]) >= 0.99


CHARACTERS = st.text(alphabet=sorted({c for name in truth.trade_names() for c in name})[:400], min_size=2, max_size=6)


@settings(max_examples=60, deadline=None)
@given(CHARACTERS, st.integers(0, 2**31))
def test_any_name_is_found_under_its_order_and_with_one_character_more_or_less(name, seed):
    index, draw = build([0], [name]), random.Random(seed)
    place = draw.randrange(len(name))
    marks = [name, "".join(draw.sample(name, len(name))), name[:place] + "鑫" + name[place:]]
    marks += [name[:place] + name[place + 1 :], name[:place] + "鑫" + name[place + 1 :]] if len(name) > 2 else []
    assert set(query(index, marks).rows.tolist()) == set(range(len(marks)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=8), st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=5))
def test_any_text_is_taken_and_each_pair_comes_once(names, marks):
    found = query(build(np.arange(len(names)), names), marks)
    pairs = list(zip(found.rows.tolist(), found.places.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert all(k > 0 for k in found.kinds.tolist())


def test_a_saved_index_answers_the_same(tmp_path):
    save(real(), tmp_path / "index")
    again = load(tmp_path / "index")
    marks = [m.mark for m in truth.made(20)]
    for one, other in zip(vars(query(real(), marks)).values(), vars(query(again, marks)).values(), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(again.ids, real().ids)
    assert isinstance(again.families["whole"][0].base, np.memmap)
    with pytest.raises(FileExistsError):
        save(real(), tmp_path / "index")


def test_an_index_of_another_version_or_half_of_one_is_refused(tmp_path, monkeypatch):
    save(build(["a"], ["浪奇"]), tmp_path / "index")
    monkeypatch.setattr(indexes, "VERSION", indexes.VERSION + 1)
    with pytest.raises(ValueError, match="build it anew"):
        load(tmp_path / "index")
    monkeypatch.undo()
    (tmp_path / "index" / "sounds_keys.npy").unlink()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "index")


@pytest.mark.parametrize("name", ["generic_words", "syllables", "compared_as", "table"])
def test_an_index_of_other_tables_is_refused(tmp_path, monkeypatch, name):
    others = {
        "generic_words": (frozenset(("大",)), frozenset(("店",))),
        "syllables": ("a", "ai"),
        "compared_as": np.arange(9),
        "table": dataclasses.replace(indexes.table(), folded=np.zeros((2, 2), np.int16)),
    }
    save(build(["a"], ["浪奇"]), tmp_path / "index")
    monkeypatch.setattr(indexes, name, lambda: others[name])
    monkeypatch.setattr(indexes, "rests_on", indexes.rests_on.__wrapped__)
    with pytest.raises(ValueError, match=r"other readings, characters or generic words .* build it anew"):
        load(tmp_path / "index")


@pytest.mark.parametrize("left", [0, 20, 150])
@pytest.mark.parametrize("name", ["version", "ids", "codes", "sounds_keys", "alike_start"])
def test_a_damaged_file_is_named(tmp_path, name, left):
    save(build(range(100), ["浪奇"] * 100), tmp_path / "index")
    file = tmp_path / "index" / f"{name}.npy"
    if left >= file.stat().st_size:
        return
    with file.open("r+b") as open_file:
        open_file.truncate(left if left < 150 else file.stat().st_size - 1)
    with pytest.raises(ValueError, match=f"{name}.npy is damaged .* build the index anew"):
        load(tmp_path / "index")


@pytest.mark.parametrize("name", ["ids", "codes", "offsets", "sounds_keys", "orders_owners", "alike_other", "alike_start"])
def test_parts_that_do_not_belong_together_are_refused(tmp_path, name):
    save(build(["a", "b"], ["浪奇", "立白"]), tmp_path / "index")
    file = tmp_path / "index" / f"{name}.npy"
    np.save(file, np.load(file)[1:])
    with pytest.raises(ValueError, match="belong together"):
        load(tmp_path / "index")


def test_what_cannot_be_saved_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="ids"):
        build([object()], ["浪奇"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Object arrays"):
        save(dataclasses.replace(build([1], ["浪奇"]), ids=np.array([None])), tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


def test_ids_are_the_callers_and_as_many_as_names():
    index = build(["G001", "G002"], ["浪奇", "立白"])
    assert index.ids[query(index, ["丽白"]).places].tolist() == ["G002"]
    with pytest.raises(ValueError, match="1 ids, 2 names"):
        build(["G001"], ["浪奇", "立白"])


def test_many_marks_are_asked_as_one_by_one(monkeypatch):
    marks = [m.mark for m in truth.made(6)]
    whole = query(real(), marks)
    monkeypatch.setattr(indexes, "_ASKED_AT_ONCE", 7)
    assert all(np.array_equal(a, b) for a, b in zip(vars(whole).values(), vars(query(real(), marks)).values(), strict=True))


def test_a_long_name_is_found_by_itself():
    long = "这是一个非常非常长的名称用来试一试会怎么样"
    assert len(query(build([1], [long]), [long])) == 1
