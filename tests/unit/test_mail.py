"""Handing mail over: what settings are refused, that no password goes unencrypted to another machine, and what a server may do."""

import socket
import tomllib
from email.message import EmailMessage
from types import SimpleNamespace

import pytest
from mail_server import listening

from infra import mail
from infra import settings as settings_
from infra.problems import Problem
from infra.services.trino import tls

USER, SECRET = "lake", "of the account"
OPERATORS = ["lake@bureau.example"]


def context(server="", sender="lake@bureau.example", ca="", to=None, **secrets):
    values = {"mail": {"server": server, "sender": sender, "ca": str(ca), "to": {"operators": OPERATORS} if to is None else to}}
    return SimpleNamespace(settings=settings_.Settings("unit", values), secrets=secrets)


def account():
    return {mail.USER: USER, mail.PASSWORD: SECRET}


def letter(*to):
    found = EmailMessage()
    found["From"], found["To"], found["Subject"] = "lake@bureau.example", ", ".join(to or OPERATORS), "通知"
    found.set_content("一行\n", cte="base64")
    return found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return tls.ensure(SimpleNamespace(settings=SimpleNamespace(folder=lambda name: folder)))


# ---- settings ----


def test_an_installation_mails_nobody_until_it_says_so():
    shipped = settings_.load("unit").values["mail"]
    assert shipped == {"server": "", "sender": "", "ca": "", "to": {}}
    assert mail.target(context()) is None


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("mail.example", "smtp://"), ("http://mail.example", "smtp://"), ("smtp://", "smtp://"), ("smtp://mail.example:port", "smtp://"), ("smtp://mail.example:99999", "smtp://"),
        ("smtp://mail.example/path", "只能有主机和端口"), ("smtp://lake:" + "of-the-account@mail.example", "只能有主机和端口"), ("smtps://mail.example?a=1", "只能有主机和端口"),
    ],
)  # fmt: skip
def test_an_address_that_can_t_be_a_server_is_refused_and_no_password_shown(server, why):
    with pytest.raises(Problem) as raised:
        mail.target(context(server))
    assert why in str(raised.value)
    assert "server" in raised.value.what
    assert "of-the-account" not in str(raised.value)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ({"知识产权处": ["a@b.example"]}, "不是 catalog/departments.yaml 里的部门"), ({"operators": "a@b.example"}, "不是地址的清单"), ({"operators": [1]}, "不是地址的清单"),
        ({"operators": ["王科长 <a@b.example>"]}, "不是邮件地址"), ({"operators": ["a@b.example\r\nBcc: c@d.example"]}, "不是邮件地址"), ({"operators": ["@b.example"]}, "不是邮件地址"),
    ],
)  # fmt: skip
def test_a_receiver_that_can_t_be_one_is_named(to, why):
    for server in ("", "smtp://mail.example"):  # a fault is told before the server is switched on
        with pytest.raises(Problem) as raised:
            mail.target(context(server, to=to))
        assert why in str(raised.value)
        assert next(iter(to)) in raised.value.what


def test_what_a_server_needs_is_asked_for():
    for wrong, why in (
        (context("smtp://mail.example", sender=""), "sender"),
        (context("smtp://mail.example", to={"知识产权保护处": ["a@b.example"]}), "operators"),
        (context("smtp://mail.example", to={"operators": []}), "operators"),
        (context("smtp://mail.example", **{mail.USER: USER}), mail.PASSWORD),
    ):
        with pytest.raises(Problem, match=why):
            mail.target(wrong)
    found = mail.target(context(" smtps://mail.example ", **account()))
    assert (found.host, found.port, found.is_tls, found.user) == ("mail.example", 465, True, USER)
    assert mail.target(context("smtp://mail.example:2525")).port == 2525


def test_each_department_may_be_written_to_and_an_installation_s_own_file_names_them(tmp_path, monkeypatch):
    text = '[mail]\nserver = "smtp://mail.example"\n[mail.to]\n"知识产权保护处" = ["a@b.example", "a@b.example"]\noperators = ["c@d.example"]\nstewards = []\n'
    merged = settings_._merge(settings_.load("unit").values, tomllib.loads(text), "settings.toml")
    assert mail.recipients(settings_.Settings("unit", merged)) == {"知识产权保护处": ("a@b.example",), "operators": ("c@d.example",)}
    with pytest.raises(ValueError, match="unknown setting 'to_whom'"):
        settings_._merge(settings_.load("unit").values, {"mail": {"to_whom": {}}}, "settings.toml")


# ---- handing over ----


def test_a_mail_is_taken_as_it_is():
    with listening() as (post, port):
        to = mail.target(context(f"smtp://127.0.0.1:{port}"))
        assert mail.send(to, letter("a@b.example", "c@d.example")) == {}
    (got,) = post.mails
    assert (got.sender, got.receivers, got.encrypted) == ("lake@bureau.example", ["a@b.example", "c@d.example"], False)
    assert (got.message["Subject"], got.message.get_content()) == ("通知", "一行\n")


def test_starttls_is_used_where_it_is_offered_and_the_server_has_to_prove_itself(certificates):
    with listening(certificate=certificates["server"]) as (post, port):
        post.offers.append("AUTH PLAIN")
        mail.send(mail.target(context(f"smtp://localhost:{port}", ca=certificates["ca"], **account())), letter())
        assert [(m.encrypted, post.logins) for m in post.mails] == [(True, [(USER, SECRET, True)])]
        with pytest.raises(Problem, match="没有证明自己"):
            mail.send(mail.target(context(f"smtp://localhost:{port}")), letter())
        with pytest.raises(Problem, match=r"\[mail\] ca"):
            mail.send(mail.target(context(f"smtp://localhost:{port}", ca="/nowhere/ca.pem")), letter())
    assert len(post.mails) == 1


def test_smtps_is_encrypted_from_the_first_byte(certificates):
    with listening(certificate=certificates["server"], tls=True) as (post, port):
        mail.send(mail.target(context(f"smtps://localhost:{port}", ca=certificates["ca"])), letter())
        assert post.mails[0].encrypted


def test_an_account_does_not_leave_the_machine_unencrypted():
    with listening("127.0.0.2") as (post, port):  # not this machine, as far as its name says
        post.offers.append("AUTH PLAIN")
        with pytest.raises(Problem, match="不加密") as raised:
            mail.send(mail.target(context(f"smtp://127.0.0.2:{port}", **account())), letter())
        assert SECRET not in str(raised.value)
        assert (post.logins, post.mails) == ([], [])
        mail.send(mail.target(context(f"smtp://127.0.0.2:{port}")), letter())  # without an account there is nothing to protect
    with listening() as (post, port):
        post.offers.append("AUTH PLAIN")
        mail.send(mail.target(context(f"smtp://127.0.0.1:{port}", **account())), letter())
        assert post.logins == [(USER, SECRET, False)]


def test_an_account_that_is_not_let_in_is_said_without_its_password():
    with listening() as (post, port):
        post.offers.append("AUTH PLAIN")
        post.answers["AUTH"] = "535 who are you"
        with pytest.raises(Problem, match="535 who are you") as raised:
            mail.send(mail.target(context(f"smtp://127.0.0.1:{port}", **account())), letter())
    assert SECRET not in str(raised.value)


def test_of_several_receivers_some_may_be_refused():
    with listening() as (post, port):
        to = mail.target(context(f"smtp://127.0.0.1:{port}"))
        post.refused = {"gone@b.example"}
        assert mail.send(to, letter("a@b.example", "gone@b.example")) == {"gone@b.example": "550 no such box …"}
        assert post.mails[0].receivers == ["a@b.example"]
        with pytest.raises(mail.Refused, match="550 no such box …"):
            mail.send(to, letter("gone@b.example"))


@pytest.mark.parametrize(("command", "answer"), [("MAIL", "451 later"), ("DATA", "552 full"), ("END", "554 no")])
def test_a_mail_that_is_not_taken_is_no_fault_of_the_next(command, answer):
    with listening() as (post, port):
        to = mail.target(context(f"smtp://127.0.0.1:{port}"))
        post.answers[command] = answer
        with pytest.raises(mail.Refused, match=answer):
            mail.send(to, letter())
        post.answers.clear()
        mail.send(to, letter())
    assert len(post.mails) == 1


def test_a_connection_that_is_cut_before_the_mail_is_taken_and_after():
    with listening() as (post, port):
        to = mail.target(context(f"smtp://127.0.0.1:{port}"))
        for command in ("MAIL", "DATA", "END"):
            post.drops = {command}
            with pytest.raises(mail.Refused, match="连接中断"):
                mail.send(to, letter())
        assert post.mails == []
        for command in ("AFTER", "QUIT"):  # it has said that it took it: that it then goes is its own business
            post.drops = {command}
            assert mail.send(to, letter()) == {}
        assert len(post.mails) == 2
        post.drops = {"EHLO", "HELO"}
        with pytest.raises(Problem, match="不能把邮件交给"):
            mail.send(to, letter())


def test_a_server_that_is_away_or_silent_costs_one_wait():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(Problem, match="不能把邮件交给"):
            mail.send(mail.target(context(f"smtp://127.0.0.1:{port}")), letter())
        free.listen()
        with pytest.raises(Problem, match="不能把邮件交给"):
            mail.send(mail.target(context(f"smtp://127.0.0.1:{port}")), letter(), seconds=0.2)
