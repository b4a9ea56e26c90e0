"""Sending: once, never lost, and nobody else the worse for a server that refuses, drops or is away."""

import datetime as dt
import io
import socket
from types import SimpleNamespace

import pytest
from mail_server import listening
from rich.console import Console

from infra import mail, notify
from infra import settings as settings_
from infra.ledger import Told
from infra.notice_rows import Found
from infra.notices import Notice
from infra.problems import Problem

ADDRESSES = {
    "operators": ["lake@bureau.example"],
    "知识产权保护处": ["marks@bureau.example"],
    "执法监督处": ["cases@bureau.example", "head@bureau.example"],
}
ALERT = Notice("alert/A1/2026-12-10/10", "知识产权保护处", "alert", 9, ("A1 “云朗阁”", "最晚 2026-12-10"), days_left=9)
LATE = Notice("delivery/penalties/2026-11-30/7", "执法监督处", "delivery", -8, ("行政处罚，业务日期 2026-11-30",))
OTHER = Notice("delivery/licences/2026-11-30/1", "执法监督处", "delivery", -1, ("行政许可，业务日期 2026-11-30",))
STRAY = Notice("item/Z1/2026-11-30/first", "登记注册处", "item", -1, ("Z1",))


class Killed(BaseException):
    """The program is gone: nothing of it runs any more."""


class Ledger:
    """A ledger in memory that outlives the programs that use it. ``dies``: the method before which the program is killed."""

    def __init__(self):
        self.rows, self.is_held, self.dies = {}, False, ""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.is_held = False

    def hold_notices(self):
        was, self.is_held = self.is_held, True
        return not was

    def notices(self):
        return [Told(*key, *row.values()) for key, row in self.rows.items()]

    def note_notices(self, noticed):
        self._die("note_notices")
        for key in noticed:
            self.rows.setdefault(key, {"noticed_at": dt.datetime.now(dt.UTC), "sent_at": None, "tries": 0, "error": None})

    def note_sent(self, recipient, keys, error=None):
        self._die("note_sent")
        self._note(recipient, keys, error, dt.datetime.now(dt.UTC))

    def note_unsent(self, recipient, keys, error):
        self._note(recipient, keys, error, None)

    def _note(self, recipient, keys, error, at):
        for key in keys:
            row = self.rows[key, recipient]
            if row["sent_at"] is None:
                row |= {"sent_at": at, "tries": row["tries"] + 1, "error": error}

    def _die(self, name):
        if self.dies == name:
            self.dies = ""
            raise Killed

    def unsent(self):
        return {key for (key, _), row in self.rows.items() if row["sent_at"] is None}


@pytest.fixture
def lake(monkeypatch):
    """What is to be told (``found``), the ledger, and the settings."""
    made = SimpleNamespace(
        found=[ALERT, LATE, OTHER], ledger=Ledger(), left_out=(), is_whole=True, to=dict(ADDRESSES), web={"superset_url": "", "airflow_url": ""}
    )
    monkeypatch.setattr(notify, "Ledger", lambda context: made.ledger)
    monkeypatch.setattr(notify.notice_rows, "find", lambda *_: Found(list(made.found), made.left_out, made.is_whole))

    def context(port, server=None):
        address = f"smtp://127.0.0.1:{port}" if server is None else server
        values = {"mail": {"server": address, "sender": "lake@bureau.example", "ca": "", "to": made.to}, "web": made.web}
        return SimpleNamespace(settings=settings_.Settings("unit", values), secrets={})

    def send(port):
        out = Console(file=io.StringIO(), width=200)
        of = context(port)
        try:
            made.code = notify.send(of, mail.target(of), out)
        finally:
            made.said = out.file.getvalue()
        return made.code

    made.context, made.send = context, send
    return made


def test_each_group_gets_one_mail_and_each_notice_is_sent_once(lake):
    with listening() as (post, port):
        assert lake.send(port) == 0
        assert [(m.receivers, m.message["Subject"]) for m in post.mails] == [
            (["marks@bureau.example"], "【数据湖】商标抢注预警 1 项，最近的还有 9 天"),
            (["cases@bureau.example", "head@bureau.example"], "【数据湖】逾期未到的报送 2 项"),
        ]
        first = post.mails[0].message
        assert first.get_content_charset() == "utf-8"
        assert first["Auto-Submitted"] == "auto-generated"
        (_, alert), (_, late) = post.texts
        assert "1. A1 “云朗阁”\n   最晚 2026-12-10\n" in alert
        assert late.index("行政处罚") < late.index("行政许可")
        assert lake.ledger.unsent() == set()
        assert lake.send(port) == notify.NOTHING
        assert "没有要发送的通知" in lake.said
        later = Notice("delivery/penalties/2026-11-30/30", "执法监督处", "delivery", -30, ("行政处罚",))
        lake.found = [ALERT, later, OTHER]
        assert lake.send(port) == 0
        assert len(post.mails) == 3
        assert "行政许可" not in post.mails[-1].message.get_content()


def test_what_the_server_does_not_take_waits_and_the_others_get_theirs(lake):
    with listening() as (post, port):
        post.refused = {"marks@bureau.example"}
        assert lake.send(port) == 1
        assert [m.receivers for m in post.mails] == [["cases@bureau.example", "head@bureau.example"]]
        assert lake.ledger.unsent() == {ALERT.key}
        row = lake.ledger.rows[ALERT.key, ALERT.to]
        assert (row["tries"], row["error"]) == (1, "550 no such box …")
        post.refused = set()
        assert lake.send(port) == 0
        assert post.mails[-1].receivers == ["marks@bureau.example"]
        assert len(post.mails) == 2


def test_of_a_group_those_who_are_refused_are_named_and_the_others_are_told_once(lake):
    with listening() as (post, port):
        post.refused = {"head@bureau.example"}
        assert lake.send(port) == 0
        assert "head@bureau.example 被拒收" in lake.said
        assert lake.ledger.unsent() == set()
        assert lake.ledger.rows[LATE.key, LATE.to]["error"] == "550 no such box …"
        assert lake.send(port) == notify.NOTHING


def test_a_server_that_is_away_loses_nothing(lake):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = free.getsockname()[1]
    with pytest.raises(Problem, match="不能把邮件交给"):
        lake.send(away)
    assert lake.ledger.unsent() == {ALERT.key, LATE.key, OTHER.key}
    with listening() as (post, port):
        assert lake.send(port) == 0
        assert len(post.mails) == 2


def test_a_connection_that_is_cut_on_one_mail_is_no_fault_of_the_next(lake):
    with listening() as (post, port):
        post.drops = {"END"}
        assert lake.send(port) == 1
        assert lake.ledger.unsent() == {ALERT.key, LATE.key, OTHER.key}
        assert post.connections == 2
        post.drops = {"AFTER"}  # taken, and then gone
        assert lake.send(port) == 0
        assert lake.ledger.unsent() == set()
        assert len(post.mails) == 2


def test_killed_after_the_server_took_a_mail_it_is_sent_twice_at_most_and_with_one_identity(lake):
    with listening() as (post, port):
        lake.ledger.dies = "note_sent"
        with pytest.raises(Killed):
            lake.send(port)
        assert len(post.mails) == 1
        assert lake.ledger.unsent() == {ALERT.key, LATE.key, OTHER.key}
        assert lake.send(port) == 0
        assert [m.receivers[0] for m in post.mails] == ["marks@bureau.example", "marks@bureau.example", "cases@bureau.example"]
        assert post.mails[0].message["Message-ID"] == post.mails[1].message["Message-ID"] != post.mails[2].message["Message-ID"]
        assert lake.send(port) == notify.NOTHING
        assert len(post.mails) == 3


def test_killed_before_anything_was_noted_nothing_is_lost(lake):
    with listening() as (post, port):
        lake.ledger.dies = "note_notices"
        with pytest.raises(Killed):
            lake.send(port)
        assert post.mails == []
        assert lake.send(port) == 0
        assert len(post.mails) == 2


def test_two_programs_do_not_send_at_once(lake):
    with listening() as (post, port):
        lake.ledger.is_held = True
        assert lake.send(port) == notify.NOTHING
        assert post.mails == []
        assert "另一个程序" in lake.said


def test_what_is_meant_for_a_group_without_address_waits_and_operators_hear_of_it_once(lake):
    lake.found = [STRAY]
    with listening() as (post, port):
        assert lake.send(port) == 0
        assert post.texts[0][0] == ["lake@bureau.example"]
        assert "登记注册处：1 项通知没有人收到" in post.texts[0][1]
        assert lake.ledger.unsent() == {STRAY.key}
        assert lake.send(port) == notify.NOTHING
        lake.to["登记注册处"] = ["register@bureau.example"]
        assert lake.send(port) == 0
        assert [m.receivers for m in post.mails] == [["lake@bureau.example"], ["register@bureau.example"]]


def test_what_could_not_be_read_is_said_and_tried_again(lake):
    lake.left_out, lake.is_whole = ("Trino 没有应答",), False
    with listening() as (post, port):
        assert lake.send(port) == 1
        assert "Trino 没有应答" in lake.said
        assert len(post.mails) == 2
        lake.is_whole = True  # a view that isn't there yet is no fault
        assert lake.send(port) == notify.NOTHING


def test_addresses_of_screens_are_those_that_others_can_reach(lake):
    lake.web["superset_url"] = "https://screens.bureau.example/"
    with listening() as (post, port):
        lake.send(port)
        assert "https://screens.bureau.example/superset/dashboard/alerts/" in post.mails[0].message.get_content()


def test_the_list_says_what_waits_for_whom_and_what_was_sent(lake):
    def listed(context):
        out = Console(file=io.StringIO(), width=200)
        notify.show(context, out)
        return out.file.getvalue()

    lake.found.append(STRAY)
    said = listed(lake.context(0, ""))
    assert "待发送 5 项；设置 [mail] server 是空的" in said
    assert "知识产权保护处（marks@bureau.example）：1 项" in said
    assert "登记注册处（没有收件地址）：1 项" in said
    assert lake.ledger.rows == {}, "looking notes nothing"
    with listening() as (post, port):
        post.refused = {"marks@bureau.example"}
        lake.send(port)
        said = listed(lake.context(port))
        assert "待发送 2 项\n" in said
        assert "（试过 1 次：550 no such box …）" in said
        assert "14 天内已发送 3 项" in said
        assert "delivery/penalties/2026-11-30/7" in said
        assert len(post.mails) == 2


def test_a_test_mail_goes_to_that_address_alone(lake):
    out = Console(file=io.StringIO(), width=200)
    with listening() as (post, port):
        to = notify.required(lake.context(port))
        notify.test(to, "new@bureau.example", out)
        assert [m.receivers for m in post.mails] == [["new@bureau.example"]]
        assert "已接收" in out.file.getvalue()
        with pytest.raises(Problem, match="不是邮件地址"):
            notify.test(to, "no address", out)
        post.refused = {"new@bureau.example"}
        with pytest.raises(Problem, match="550"):
            notify.test(to, "new@bureau.example", out)
    assert lake.ledger.rows == {}
    with pytest.raises(Problem, match="server 是空的"):
        notify.required(lake.context(0, ""))


@pytest.mark.parametrize(
    ("server", "code", "says"),
    [("", notify.NOTHING, "不发送通知"), ("http://mail.example", notify.REFUSED, "smtp://"), ("smtp://127.0.0.1:1", 1, "不能把邮件交给")],
)
def test_in_airflow_a_server_that_is_away_is_tried_again_and_a_wrong_setting_is_not(lake, monkeypatch, capsys, server, code, says):
    of = lake.context(0, server)
    monkeypatch.setattr(notify.settings, "load", lambda: of.settings)
    monkeypatch.setattr(notify.credentials, "load", lambda current: {})
    assert notify.main() == code
    told = capsys.readouterr()
    assert says in told.out + told.err
    if not server:
        assert lake.ledger.rows == {}, "as long as nobody is mailed nothing is noted"
