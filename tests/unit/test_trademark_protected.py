"""Protected rights: whose they are, since when, and for which goods."""

from __future__ import annotations

import datetime as dt

import pytest

from spark_jobs.refine import codes
from spark_jobs.trademark.goods import Goods
from spark_jobs.trademark.protected import HOLDERS_OF_A_COMMON_NAME, Kind, ProtectedRight, Scope, covers, is_common, listed_rights, owned_by, scope

LISTED = {r.name: r for r in listed_rights()}


def right(reach, goods):
    return ProtectedRight("1", Kind.TRADE_NAME, "立白", "s1", frozenset({"s2"}), goods, dt.date(2000, 1, 1), reach)


def test_the_list_is_a_beginning_and_says_so():
    rows = codes.rows("time_honoured")
    assert len(LISTED) == len(rows) >= 40
    assert {r["kind"] for r in rows} == {"老字号", "知名品牌"}
    assert all("待主管部门核定" in r["status"] for r in rows)
    for name in [
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
        "浪奇",
        "立白",
        "唯品会",
        "长隆",
    ]:
        assert LISTED[name].goods.classes


@pytest.mark.parametrize("name", ["五羊", "珠江", "虎头", "亚洲", "沧洲", "艳芳", "星群", "趣香", "广百"])
def test_common_words_are_protected_for_their_goods_only(name):
    assert LISTED[name].reach is Scope.OWN
    assert covers(LISTED[name], Goods.of([min(LISTED[name].goods.classes)]))
    assert not covers(LISTED[name], Goods.of([45]))


def test_a_distinctive_listed_name_is_watched_everywhere():
    assert covers(LISTED["陶陶居"], Goods.of([12]))


def test_places_and_names_of_many_are_common():
    assert is_common("天河")
    assert is_common("广州市")
    assert is_common("鑫")
    assert not is_common("陶陶居")
    assert not is_common("粤湘隆", HOLDERS_OF_A_COMMON_NAME - 1)
    assert is_common("粤湘隆", HOLDERS_OF_A_COMMON_NAME)
    assert not is_common("立白", 1000)  # what the list says of a name goes before counts: many bear it because it is known


def test_scopes():
    assert scope("立白", Kind.MARK) is Scope.OWN
    assert scope("立白", Kind.TRADE_NAME) is Scope.RELATED
    assert scope("天河", Kind.TRADE_NAME) is Scope.OWN
    assert scope("增城荔枝", Kind.INDICATION) is Scope.OWN
    assert scope("立白", Kind.LISTED) is Scope.ALL


def test_own_goods_are_groups_where_both_say_them():
    assert covers(right(Scope.OWN, Goods.of(groups=["0301"])), Goods.of(groups=["0302"]))  # tied by a note
    assert not covers(right(Scope.OWN, Goods.of(groups=["3001"])), Goods.of(groups=["3007"]))
    assert covers(right(Scope.OWN, Goods.of([30])), Goods.of(groups=["3007"]))
    assert not covers(right(Scope.OWN, Goods.of([29])), Goods.of([30]))
    assert covers(right(Scope.RELATED, Goods.of([29])), Goods.of([30]))
    assert not covers(right(Scope.RELATED, Goods.of([29])), Goods.of([12]))


def test_whose_it_is_and_since_when():
    one = right(Scope.OWN, Goods.of([3]))
    assert one.belongs_to("s1")
    assert one.belongs_to("s2")
    assert not one.belongs_to("s3")
    assert not one.belongs_to(None)
    assert one.is_earlier(dt.date(2000, 1, 2))
    assert not one.is_earlier(dt.date(2000, 1, 1))
    listed = LISTED["陶陶居"]
    assert not listed.belongs_to(None)
    assert listed.is_earlier(dt.date(1900, 1, 1)) is None
    assert listed.unsettled() == "在先权利的权利人和起始日期尚未核定"
    assert one.unsettled() == ""
    settled = owned_by(listed, "s9", since=dt.date(1880, 1, 1))
    assert settled.unsettled() == ""
    assert not settled.is_earlier(dt.date(1870, 1, 1))
    assert owned_by(listed, "s9", frozenset({"s9", "s8"})).affiliates == {"s8"}
