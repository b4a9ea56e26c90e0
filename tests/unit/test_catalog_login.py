"""The door of the catalog: nobody passes without an account, and nobody is let guess."""

from __future__ import annotations

import re
from types import SimpleNamespace

import bcrypt
import pytest

from infra.services.catalog import server, signing_in

WORD = "Right-horse-7"


def hashed(password):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$", 1)


@pytest.fixture
def people():
    return {"steward": {"role": "steward", "title": "数据管理员", "disabled": False, "hash": hashed(WORD)}}


@pytest.fixture
def client(people, tmp_path, monkeypatch):
    (tmp_path / "site" / "current" / "tables").mkdir(parents=True)
    (tmp_path / "site" / "current" / "index.html").write_text("<h1>首页</h1>", encoding="utf-8")
    (tmp_path / "site" / "current" / "tables" / "index.html").write_text("<h1>数据表</h1>", encoding="utf-8")
    (tmp_path / "site" / "status.json").write_text("{}")
    settings = SimpleNamespace(values={"web": {"catalog_url": ""}}, folder=lambda name: tmp_path / name)
    monkeypatch.setattr(server.accounts, "users", lambda context: people)
    app = server.make(SimpleNamespace(settings=settings, secrets={"catalog_session": "k" * 40}))
    return app.test_client()


def sign_in(client, name="steward", password=WORD, target="/login"):
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/login").text)[1]
    return client.post(target, data={"name": name, "password": password, "csrf_token": token})


@pytest.mark.parametrize("path", ["/", "/tables/", "/search-index.js", "/no/such/page"])
def test_nothing_is_shown_before_the_login(client, path):
    answer = client.get(path)
    assert answer.status_code == 302
    assert "/login" in answer.headers["Location"]


def test_the_pages_are_shown_after_it_and_a_folder_ends_in_a_slash(client):
    assert sign_in(client).headers["Location"] == "/"
    assert "首页" in client.get("/").text
    assert "数据表" in client.get("/tables/").text
    assert client.get("/../status.json").status_code == 404
    assert client.get("/tables/%2e%2e/%2e%2e/status.json").status_code == 404


def test_pages_of_the_gates_come_without_anything_from_outside(client, people, tmp_path):
    folder = tmp_path / "data" / "quality" / "silver"
    (folder / "validations").mkdir(parents=True)
    page = """<html><head><link rel="stylesheet" href="https://cdn.example/a.css"><script src="//cdn.example/b.js"></script><style>p { color: red }</style></head>
        <body><img class="x"
            src="https://count.example/logo.png?d=1"><p onclick="go()">期望 12 条</p><script>go()</script><a href="validations/one.html">明细</a></body></html>"""
    for name in ("index.html", "validations/one.html"):
        (folder / name).write_text(page, encoding="utf-8")
    assert client.get("/gates/silver/").status_code == 302, "after the login"
    sign_in(client)
    for path in ("/gates/silver/", "/gates/silver/validations/one.html"):
        answer = client.get(path)
        for outside in ("cdn.example", "count.example", "<script", "onclick"):
            assert outside not in answer.text
        assert "期望 12 条" in answer.text
        assert 'href="validations/one.html"' in answer.text
        assert "script-src" not in answer.headers["Content-Security-Policy"]
    for path in ("/gates/silver/no.html", "/gates/silver/../../secret.html", "/gates/bronze/", "/gates/silver/%2e%2e/%2e%2e/status.json"):
        assert client.get(path).status_code == 404
    people["steward"]["role"] = "district"
    assert client.get("/gates/silver/").status_code == 403


def test_monthly_reports_are_not_for_everybody(client, people, tmp_path):
    (tmp_path / "site" / "current" / "reports").mkdir()
    (tmp_path / "site" / "current" / "reports" / "index.html").write_text("某月月报", encoding="utf-8")
    (tmp_path / "site" / "current" / "reports" / "report.pdf").write_text("某月月报", encoding="utf-8")
    sign_in(client)
    assert "某月月报" in client.get("/reports/").text
    assert client.get("/reports/report.pdf").mimetype == "application/pdf"
    people["analyst"] = {**people["steward"], "role": "analyst"}
    client.delete_cookie("lake_catalog")
    sign_in(client, "analyst")
    assert client.get("/tables/").status_code == 200
    for path in ("/reports/", "/reports/index.html", "//reports/", "/./reports/", "/tables/../reports/", "/reports/report.pdf"):
        answer = client.get(path)
        assert answer.status_code in (302, 308, 403, 404), path
        assert "某月月报" not in answer.text


@pytest.mark.parametrize(("name", "password"), [("steward", "wrong-horse-7"), ("nobody", WORD), ("steward", ""), ("", WORD)])
def test_a_wrong_password_or_name_says_the_same(client, name, password):
    sign_in(client, name, password)
    assert client.get("/").status_code == 302


def test_a_disabled_account_a_changed_password_end_the_session(client, people):
    sign_in(client)
    assert client.get("/").status_code == 200
    people["steward"]["disabled"] = True
    assert client.get("/").status_code == 302
    people["steward"]["disabled"] = False
    assert client.get("/").status_code == 200
    people["steward"]["hash"] = hashed("Another-horse-8")
    assert client.get("/").status_code == 302


def test_five_wrong_passwords_lock_the_name_and_not_the_others(client, people):
    people["analyst"] = {**people["steward"], "role": "analyst"}
    for _ in range(signing_in.FAILURES):
        assert "不对" in sign_in(client, password="wrong").text
    assert "锁定" in sign_in(client).text
    assert client.get("/").status_code == 302
    assert sign_in(client, "analyst").status_code == 302


def test_a_lock_ends_and_old_failures_are_forgotten():
    now = [0.0]
    doors = signing_in.Doors(lambda: now[0])
    for _ in range(signing_in.FAILURES):
        doors.failed("a")
        now[0] += 1
    assert doors.locked("a")
    now[0] += signing_in.LOCKED
    assert not doors.locked("a")
    for _ in range(signing_in.FAILURES):
        doors.failed("b")
        now[0] += signing_in.WITHIN / 2
    assert not doors.locked("b")
    doors.passed("b")
    assert not doors.locked("b")


@pytest.mark.parametrize("target", ["//evil.example/x", "https://evil.example", "/\\evil.example", ""])
def test_the_login_leads_nowhere_else(client, target):
    assert sign_in(client, target=f"/login?next={target}").headers["Location"] == "/"


def test_the_login_leads_back_to_where_one_was_going(client):
    assert sign_in(client, target="/login?next=/tables/").headers["Location"] == "/tables/"


def test_a_login_without_its_form_is_refused(client):
    assert client.post("/login", data={"name": "steward", "password": WORD}).status_code == 400
    assert client.post("/logout").status_code in (400, 401)


def test_pages_may_load_nothing_from_elsewhere_and_run_no_script_of_their_own(client):
    policy = client.get("/login").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/login").headers["X-Content-Type-Options"] == "nosniff"
    cookie = sign_in(client).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "Expires=" in cookie, "a session ends by itself"
    assert "SameSite=Lax" in cookie


def test_health_needs_no_account(client):
    assert client.get("/healthz").json == {"says": "up"}
