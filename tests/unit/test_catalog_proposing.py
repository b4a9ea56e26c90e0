"""A change of the declarations needs two persons, and says before what follows from it."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from dataclasses import replace
from types import SimpleNamespace

import bcrypt
import psycopg
import pytest

from catalog import amendments, editing
from infra import amendments as infra_amendments
from infra.ledger import Proposal
from infra.services.catalog import proposing, server

WORD = "Right-horse-7"
HASH = bcrypt.hashpw(WORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$", 1)
PEOPLE = {
    n: {"role": r, "title": r, "disabled": False, "hash": HASH}
    for n, r in (("ann", "analyst"), ("sun", "steward"), ("tan", "steward"), ("li", "leader"))
}
SHIPPED = editing.current("field", "abnormal_since", "meaning")
NEW = "列入后没有移出的，最早的一次"


class Ledger:
    """Proposals as the database keeps them."""

    def __init__(self):
        self.kept = {}
        self.order = []

    def propose(self, kind, target, edits, reason, who):
        number = len(self.kept) + 1
        self.kept[number] = Proposal(number, kind, target, tuple(edits), reason, who, dt.datetime(2026, 11, 30, tzinfo=dt.UTC))
        return number

    def decide(self, number, decision, who, note):
        if (who == self.kept[number].who) != (decision == "withdrawn"):
            raise psycopg.errors.RaiseException
        self.kept[number] = replace(
            self.kept[number], decision=decision, note=note, decided_by=who, decided_at=dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
        )
        self.order.append(number)
        return True

    def proposals(self):
        return [self.kept[n] for n in (*self.order, *(n for n in self.kept if n not in self.order))]


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def sign_in(ledger, tmp_path, monkeypatch):
    (tmp_path / "site" / "current").mkdir(parents=True)
    settings = SimpleNamespace(values={"web": {"catalog_url": ""}}, folder=lambda name: tmp_path / name, declarations=tmp_path / "declarations")
    monkeypatch.setattr(server.accounts, "users", lambda context: PEOPLE)
    monkeypatch.setattr(server, "Ledger", lambda context: contextlib.nullcontext(ledger))
    app = server.make(SimpleNamespace(settings=settings, secrets={"catalog_session": "k" * 40}))

    def as_(name):
        client = app.test_client()
        post(client, "/login", "/login", name=name, password=WORD)
        return client

    return as_


def post(client, page, to, **data):
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).text)[1]
    return client.post(to, data={**data, "csrf_token": token})


def shown(target, edits=()):
    return dict(amendments.current(editing.kind_of(target), target, edits))


def propose(client, target="abnormal_since", reason="更准确", step="submit", **changed):
    address = f"/changes/new?target={target}"
    return post(client, address, address, **{**shown(target), **changed, "reason": reason, "step": step})


def decide(client, number, decision, **more):
    return post(client, f"/changes/{number}", f"/changes/{number}/decide", decision=decision, **more)


def test_a_definition_is_proposed_seen_approved_by_another_and_put_in_force(sign_in, ledger, tmp_path, monkeypatch):
    analyst, steward = sign_in("ann"), sign_in("sun")
    seen = propose(analyst, step="preview", meaning=NEW).text
    assert "gold.archive_credit" in seen
    assert "不影响已有数据" in seen
    assert "1.1.0 → 1.1.1" in seen
    assert ledger.kept == {}, "looking writes nothing"
    answer = propose(analyst, meaning=f" {NEW}\n")
    assert answer.headers["Location"] == "/changes/1"
    assert ledger.kept[1].edits == (("meaning", SHIPPED, NEW),)
    assert "提出修改" in steward.get("/changes/").text
    assert "abnormal_since" in steward.get("/changes/").text
    decide(steward, 1, "approved")
    assert ledger.kept[1].decision == "approved"
    assert "下一次运行时生效" in analyst.get("/changes/1").text
    context = SimpleNamespace(settings=SimpleNamespace(declarations=tmp_path / "declarations"))
    written = []
    monkeypatch.setattr(infra_amendments.accounts, "write_trino_files", lambda c: written.append(c))
    assert infra_amendments.take_up(context, ledger)
    assert not infra_amendments.take_up(context, ledger), "once"
    assert written == [context]
    assert "已生效" in analyst.get("/changes/1").text
    assert f"现在是：{NEW}" not in analyst.get("/changes/new?target=abnormal_since").text
    assert NEW in analyst.get("/changes/new?target=abnormal_since").text
    propose(analyst, meaning="改回原来的说法")
    assert ledger.kept[2].edits == (("meaning", NEW, "改回原来的说法"),), "upon what is approved"


def test_nobody_approves_their_own_and_nobody_but_a_steward(sign_in, ledger):
    steward, other, analyst, leader = map(sign_in, ("sun", "tan", "ann", "li"))
    propose(steward, meaning=NEW)
    for who in (steward, analyst, leader):
        decide(who, 1, "approved")
        assert ledger.kept[1].decision is None
    assert leader.get("/changes/new?target=abnormal_since").status_code == 403
    decide(other, 1, "withdrawn")
    assert ledger.kept[1].decision is None, "only who made it withdraws it"
    assert "另一位数据管理员审批" in steward.get("/changes/1").text
    decide(other, 1, "rejected")
    assert ledger.kept[1].decision is None, "a refusal has a reason"
    decide(other, 1, "rejected", note="原来的说法是条例的用语")
    assert ledger.kept[1].decision == "rejected"
    decide(other, 1, "approved")
    assert ledger.kept[1].decision == "rejected", "once"


def test_what_can_not_be_is_said_where_it_is_typed(sign_in, ledger):
    client = sign_in("sun")
    for changed, says in (
        ({"meaning": ""}, "含义不能为空"),
        ({"meaning": "in English"}, "不能这样改"),
        ({}, "没有改动任何一项"),
        ({"reason": "", "meaning": NEW}, "请写明理由"),
        ({"classification": "秘密"}, "Not a valid choice"),
    ):
        text = propose(client, **changed).text
        assert says in text, changed
    assert ledger.kept == {}
    assert client.get("/changes/new?target=no_such_column").status_code == 404
    assert client.get("/changes/new?target=../../etc/passwd").status_code == 404
    assert client.get("/changes/77").status_code == 404
    assert client.post("/changes/new?target=abnormal_since", data={}).status_code == 400, "forged"


def test_what_shows_more_or_breaks_readers_is_marked_as_seen_before(sign_in, ledger):
    analyst, steward = sign_in("ann"), sign_in("sun")
    propose(analyst, target="complainant_phone", classification="一般")
    if not ledger.kept:  # contracts may forbid it outright; then nothing was proposed
        pytest.fail("the change was refused")
    page = steward.get("/changes/1").text
    assert "放宽分类" in page
    decide(steward, 1, "approved")
    assert ledger.kept[1].decision is None
    decide(steward, 1, "approved", seen="yes")
    assert ledger.kept[1].decision == "approved"


def test_markup_in_a_proposal_is_shown_and_not_obeyed(sign_in, ledger):
    client = sign_in("sun")
    propose(client, meaning="<script>甲</script>", reason="<b>乙</b>")
    text = client.get("/changes/1").text + client.get("/changes/").text
    assert "<script>甲" not in text
    assert "<b>乙" not in text
    assert "&lt;script&gt;甲" in text


def test_every_kind_of_thing_has_its_form(sign_in):
    client = sign_in("sun")
    for target in ("gold.archive_credit", "bronze.complaints/lodged_at_not_future", "demand_kind/other", "registered_capital"):
        text = client.get(f"/changes/new?target={target}").text
        for title, _ in editing.PERMITTED[editing.kind_of(target)].values():
            assert f">{title}</label>" in text, (target, title)
    assert proposing.STATES.keys() == {None, "approved", "rejected", "withdrawn"}
