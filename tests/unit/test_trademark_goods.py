"""Goods of marks: what the notes of the official table say, read by hand here, and how trades map to classes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.refine import codes
from spark_jobs.trademark import goods
from spark_jobs.trademark.goods import Goods, Relation

QUICK = settings(max_examples=60, deadline=None)  # the first example loads tables
GROUPS = [r["group_code"] for r in codes.rows("nice_similar_groups")]
MARKS = st.builds(
    Goods.of, st.frozensets(st.integers(1, 45), min_size=1, max_size=3), st.frozensets(st.sampled_from(GROUPS), max_size=3)
)  # fmt: skip


def test_what_the_notes_say_is_read():
    found = goods.notes()
    assert len(found.unread) <= 1
    assert found.share_read >= 0.998
    # Three clauses say only a class (第3类、第5类): they are read, and tie no groups.
    assert found.read["class_only"] == 3
    assert sum(found.read.values()) + len(found.unread) == 819
    assert len({(t.one, t.other) for t in found.ties if t.edition is None}) >= 350


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0101", "0102"), ("0101", "0601"), ("0301", "0306"), ("0306", "1603"), ("0306", "2110"), ("0801", "0810"),
        ("0702", "0752"),
        ("1211", "1201"), ("2904", "3103"), ("2907", "3001"), ("3014", "3016"), ("3507", "3602"), ("3902", "3904"), ("4001", "4015"), ("4303", "4401"),
        ("2405", "2407"), ("0919", "1004"),
    ],
)  # fmt: skip
def test_ties(one, other):
    assert goods.ties_between(one, other)
    assert goods.relation(Goods.of(groups=[one]), Goods.of(groups=[other])) is Relation.NOTE


@pytest.mark.parametrize(
    ("one", "other", "edition"),
    [("0404", "2807", 10), ("0407", "0117", 8), ("4501", "4208", 7), ("4218", "4503", 8), ("0107", "0102", 10), ("2507", "2506", 9)],
)
def test_ties_of_earlier_editions_are_kept_apart(one, other, edition):
    assert not goods.ties_between(one, other)
    assert goods.ties_between(one, other, edition)
    assert not goods.ties_between(one, other, edition + 1)


@pytest.mark.parametrize(("one", "other"), [("2501", "3001"), ("0738", "0748"), ("0101", "0104")])
def test_a_clause_with_two_halves(one, other):
    """0738 与 0748 第(二)部分 are similar today; that goods 现属于0738 once stood elsewhere ties nothing."""
    assert bool(goods.ties_between(one, other)) == ((one, other) == ("0738", "0748"))
    assert not [t for t in goods.notes().ties if t.edition and t.one == "0738" and t.other == "0748"]


def test_what_holds_within_a_group_ties_nothing():
    assert all(t.one < t.other for t in goods.notes().ties)
    for clause in ("本类似群各部分之间商品不类似", "本类似群第(二)、(三)部分互为类似商品", "本部分为单一商品,各自然段间互不类似"):
        assert goods._read("0501", clause, frozenset(GROUPS)) == ("within", [])


def test_a_clause_that_nobody_foresaw_is_unread():
    assert goods._read("0501", "参见商标局公告", frozenset(GROUPS)) == ("unread", [])


def test_ties_of_today_are_between_groups_of_today():
    assert {g for t in goods.notes().ties if t.edition is None for g in (t.one, t.other)} <= set(GROUPS)


def test_order_of_relations():
    tea, coffee, clothes = Goods.of(groups=["3002"]), Goods.of(groups=["3001"]), Goods.of([25])
    assert goods.relation(tea, Goods.of(groups=["3002", "4302"])) is Relation.SAME_GROUP
    assert goods.relation(tea, coffee) is Relation.NOTE
    assert goods.relation(coffee, Goods.of(groups=["3007"])) is Relation.SAME_CLASS
    assert goods.relation(coffee, Goods.of([30])) is Relation.SAME_CLASS
    assert goods.relation(tea, clothes) is Relation.NONE
    assert goods.relation(Goods.of([29]), Goods.of(groups=["3009"])) is Relation.RELATED_CLASS
    # Both say their groups, and no note ties them: the classes say nothing more.
    assert goods.relation(Goods.of(groups=["2901"]), Goods.of(groups=["3009"])) is Relation.NONE
    assert Relation.NONE < Relation.RELATED_CLASS < Relation.SAME_CLASS < Relation.NOTE < Relation.SAME_GROUP


@QUICK
@given(MARKS, MARKS, st.one_of(st.none(), st.integers(6, 13)))
def test_a_relation_is_symmetric(one, other, edition):
    assert goods.relation(one, other, edition) is goods.relation(other, one, edition)
    assert goods.relation(one, one) >= Relation.SAME_CLASS
    assert goods.relation(one, other, edition) >= goods.relation(one, other)


def test_goods_of_a_record():
    assert Goods.read(3, "0301；0306") == Goods.of([3], ["0301", "0306"])
    assert Goods.read(1, "０１０２第(四)部分,0101") == Goods.of(groups=["0101", "0102"])
    assert Goods.read(3, None) == Goods.of([3])
    assert Goods.read(None, "9901,030101") == Goods.of() == Goods.read(46, "")
    assert goods.relation(Goods.of(), Goods.of()) is Relation.NONE


def test_wrong_goods_are_refused():
    for wrong in (lambda: Goods.of([0]), lambda: Goods.of([46]), lambda: Goods.of(groups=["9901"]), lambda: Goods.of(groups=["301"])):
        with pytest.raises(ValueError, match="no goods"):
            wrong()


def test_every_division_has_its_classes():
    divisions = {r["code"] for r in codes.rows("gbt4754_industries") if r["edition"] == "2017" and r["level"] == "division"}
    rows = codes.rows("industry_nice")
    listed = [r["industry"] for r in rows]
    assert len(divisions) == 97
    assert divisions <= set(listed)
    assert len(set(listed)) == len(listed)
    assert set(listed) <= {r["code"] for r in codes.rows("gbt4754_industries") if r["edition"] == "2017"}
    assert {d for d in divisions if not goods.classes_of_industry(d)} == {"91", "92", "93", "97"}
    # Every class of the classification is somebody's trade.
    assert {c for code in listed for c in goods.classes_of_industry(code)} == set(range(1, 46))


def test_the_longest_beginning_decides():
    assert goods.classes_of_industry("1521") == goods.classes_of_industry("152") == (32, 30)
    assert goods.classes_of_industry("15") == (32, 33, 30)
    assert goods.classes_of_industry("O8040") == (44, 3)
    assert goods.classes_of_industry(None) == goods.classes_of_industry(float("nan")) == ()  # type: ignore[arg-type]
    assert goods.classes_of_industry("") == goods.classes_of_industry("99") == goods.classes_of_industry("C") == ()


def test_goods_that_notes_name_have_their_class():
    assert {18, 34} <= set(goods.classes_of_industry("C4119"))  # umbrellas, lighters
    assert 25 in goods.classes_of_industry("1942")  # down clothing
    assert {41, 43} <= set(goods.classes_of_industry("7861"))  # scenic areas


def test_whether_a_class_is_of_ones_trade_is_unknown_of_dealers():
    assert goods.is_own_trade("C1521", 32) is True
    assert goods.is_own_trade("C1521", 12) is False
    for code in ("F5131", "511", "52", "F5299", None, "", "S91", "99"):
        assert goods.is_own_trade(code, 3) is None


def test_class_35_is_a_trade_of_few():
    """Were it everybody's, every pair of firms would be related."""
    divisions = {r["industry"] for r in codes.rows("industry_nice") if len(r["industry"]) == 2 and 35 in goods.classes_of_industry(r["industry"])}
    assert divisions == {"51", "52", "64", "72", "75", "95"}
    assert 35 not in goods.classes_of_industry("5131")


def test_editions():
    assert [goods.edition_of(y) for y in (1990, 2001, 2002, 2022, 2023, 2026)] == [6, 7, 8, 11, 12, 13]
