"""Accounts, from ``./lake user`` to what the services let in."""

import pytest
import requests

NOWHERE = {"superset": False, "airflow": False, "trino": False}
EVERYWHERE = {"superset": True, "airflow": True, "trino": True}


def add(stack, name, password, *more):
    """Add an account, or give it this password where a kept stack has it already."""
    done = stack.lake("user", "add", name, *more, check=False, env={"LAKE_NEW_PASSWORD": password})
    if "exists already" in done.stderr:
        stack.lake("user", "disable", name, "--undo")
        done = stack.lake("user", "passwd", name, env={"LAKE_NEW_PASSWORD": password})
    assert done.returncode == 0, done
    assert password not in done.stdout + done.stderr


def listed(stack):
    return {line.split("\t")[0]: line.split("\t")[1:] for line in stack.lake("user", "list").stdout.splitlines()}


def superset_session(stack, name, password):
    login = {"username": name, "password": password, "provider": "db"}
    token = requests.post(stack.url("superset", "/api/v1/security/login"), json=login, timeout=30).json()["access_token"]
    return lambda: requests.get(stack.url("superset", "/api/v1/me/"), headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code


def airflow_session(stack, name, password):
    token = requests.post(stack.url("airflow", "/auth/token"), json={"username": name, "password": password}, timeout=30).json()["access_token"]
    return lambda: requests.get(stack.url("airflow", "/api/v2/dags"), headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code


def test_an_account_is_added_changed_disabled_and_let_in_again_everywhere(stack, eventually):
    name, first, second = "keeper", "first-Words-4711", "second-Words-0815"
    add(stack, name, first, "--role", "steward", "--title", "王科长")
    eventually(lambda: stack.lets_in(name, first) == EVERYWHERE, 20, "the new account")
    assert listed(stack)[name][:4] == ["steward", "王科长", "", "active"]
    sessions = {"superset": superset_session(stack, name, first), "airflow": airflow_session(stack, name, first)}
    assert {service: ask() for service, ask in sessions.items()} == {"superset": 200, "airflow": 200}

    stack.lake("user", "passwd", name, env={"LAKE_NEW_PASSWORD": second})
    eventually(lambda: stack.lets_in(name, second) == EVERYWHERE, 20, "the new password")
    eventually(lambda: stack.lets_in(name, first) == NOWHERE, 20, "the refusal of the old password")

    stack.lake("user", "disable", name)
    eventually(lambda: stack.lets_in(name, second) == NOWHERE, 20, "the refusal of a disabled account")
    assert listed(stack)[name][3] == "disabled"
    # Who is signed in is out as well.
    eventually(lambda: {ask() for ask in sessions.values()} <= {401, 403}, 30, "the end of open sessions")

    stack.lake("user", "disable", name, "--undo")
    eventually(lambda: stack.lets_in(name, second) == EVERYWHERE, 20, "the account that is let in again")


def test_an_analyst_has_no_account_in_airflow(stack):
    assert stack.lets_in("analyst", stack.password("analyst")) == EVERYWHERE | {"airflow": False}


def test_a_generated_password_is_shown_once(stack):
    said = stack.lake("user", "passwd", "leader").stdout
    assert said.startswith("leader: the password is ")
    stack.passwords["leader"] = said.split("the password is ")[1].split()[0]
    assert stack.passwords["leader"] not in (stack.state / "users.yaml").read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Wang", "--role", "analyst"),
        ("add", "publisher", "--role", "analyst"),
        ("add", "wang", "--role", "king"),
        ("add", "wang", "--role", "district"),
        ("add", "analyst", "--role", "analyst"),
        ("passwd", "nobody-known"),
        ("disable", "nobody-known"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(stack, arguments):
    before = (stack.state / "users.yaml").read_bytes()
    done = stack.lake("user", *arguments, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("lake: ")
    assert "Traceback" not in done.stderr
    assert (stack.state / "users.yaml").read_bytes() == before


def test_a_weak_password_is_refused(stack):
    done = stack.lake("user", "passwd", "analyst", check=False, env={"LAKE_NEW_PASSWORD": "analyst-2026"})
    assert done.returncode == 1
    assert "refused" in done.stderr
    assert "analyst-2026" not in done.stdout + done.stderr
    assert stack.lets_in("analyst", stack.password("analyst"))["trino"]
