"""Accounts: which names, roles and passwords are taken, and what Trino's files say of them."""

import json
import re
import stat

import bcrypt
import pytest

from infra import accounts, credentials, settings
from infra.accounts import ROLES
from infra.problems import Problem
from infra.services.base import Context

GOOD = "long-Enough-4711"


@pytest.fixture
def told(monkeypatch):
    """What the other services were told, instead of telling them."""
    calls = []
    monkeypatch.setattr(accounts, "run_account_script", lambda context, service, wanted: calls.extend((service, w) for w in wanted))
    monkeypatch.setattr(accounts, "BCRYPT_COST", 4)
    return calls


@pytest.fixture
def context(tmp_path, monkeypatch, told):
    monkeypatch.setattr(settings, "REPO", tmp_path)
    instance = settings.Settings("unit", {})
    made = Context(instance, credentials.ensure(instance))
    accounts.ensure_first_users(made)
    return made


def trino(context, name):
    return (context.conf("trino") / name).read_text()


def test_the_first_users_have_the_main_roles_and_random_passwords(context):
    everyone = accounts.users(context)
    assert {name: entry["role"] for name, entry in everyone.items()} == accounts.FIRST_USERS
    passwords = accounts.initial_passwords(context)
    assert set(passwords) == set(everyone)
    assert len(set(passwords.values())) == len(passwords)
    for name, password in passwords.items():
        accounts.check_password(password, name)
        assert bcrypt.checkpw(password.encode(), everyone[name]["hash"].encode())
    for path in (context.settings.state / "users.yaml", accounts.initial_passwords_file(context)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    accounts.ensure_first_users(context)
    assert accounts.initial_passwords(context) == passwords


@pytest.mark.parametrize(
    "name", ["", "a", "Wang", "1wang", "wang li", "wang:li", "wang,li", "wang\nroot", "../wang", "王科长", "w" * 33, *sorted(accounts.RESERVED)]
)
def test_a_name_is_refused(context, told, name):
    with pytest.raises(Problem, match="is refused"):
        accounts.add(context, name, "analyst", password=GOOD)
    assert told == []
    assert set(accounts.users(context)) == set(accounts.FIRST_USERS)


@pytest.mark.parametrize("name", ["wang", "wang.li", "wang_li-2"])
def test_a_name_is_taken_once(context, name):
    assert accounts.add(context, name, "analyst", password=GOOD) == GOOD
    with pytest.raises(Problem, match="exists already"):
        accounts.add(context, name, "leader", password=GOOD)


def test_a_disabled_account_s_name_is_never_given_away(context):
    accounts.disable(context, "analyst")
    with pytest.raises(Problem, match="exists already"):
        accounts.add(context, "analyst", "analyst", password=GOOD)


@pytest.mark.parametrize("role", ["", "admin", "publisher", "Analyst"])
def test_a_role_that_does_not_exist_is_refused(context, role):
    with pytest.raises(Problem, match="no role"):
        accounts.add(context, "wang", role, password=GOOD)


@pytest.mark.parametrize(
    ("role", "district"), [("district", None), ("analyst", "440106"), ("district", "110101"), ("district", "4401"), ("district", "440106 OR 1=1")]
)
def test_a_district_belongs_to_its_role_alone(context, role, district):
    with pytest.raises(Problem, match="district is refused"):
        accounts.add(context, "wang", role, district=district, password=GOOD)


@pytest.mark.parametrize("password", ["", "short-1", "aaaaaaaaaaaaaaa", "abababababab", "wang-Abc-4711-x", "WANG-Abc-4711-x"])
def test_a_weak_password_is_refused(context, told, password):
    with pytest.raises(Problem, match="password is refused") as refused:
        accounts.check_password(password, "wang")
    assert not password or password not in str(refused.value)
    assert told == []


def test_a_refused_password_changes_nothing(context, told):
    before = accounts.users(context)
    for change in (lambda: accounts.add(context, "wang", "analyst", password="short"), lambda: accounts.set_password(context, "analyst", "short")):
        with pytest.raises(Problem):
            change()
    assert accounts.users(context) == before
    assert told == []


def test_each_role_is_told_to_the_services_that_know_it(context, told):
    for role in ROLES:
        accounts.add(context, f"{role}-2", role, district="440106" if role == "district" else None)
    told_of = {(service, wanted["name"].removesuffix("-2")): wanted["roles"] for service, wanted in told}
    assert {role for service, role in told_of if service == "superset"} == set(ROLES)
    assert {role: roles for (service, role), roles in told_of.items() if service == "airflow"} == {"steward": ["Viewer"], "operator": ["Admin"]}
    assert [role for (service, role), roles in told_of.items() if "Admin" in roles and role != "operator"] == []


def test_a_changed_password_leaves_the_file_of_first_passwords(context, told):
    old = accounts.initial_passwords(context)["analyst"]
    assert accounts.set_password(context, "analyst", GOOD) == GOOD
    assert set(accounts.initial_passwords(context)) == set(accounts.FIRST_USERS) - {"analyst"}
    lines = dict(line.split(":", 1) for line in trino(context, "password.db").splitlines())
    assert bcrypt.checkpw(GOOD.encode(), lines["analyst"].encode())
    assert not bcrypt.checkpw(old.encode(), lines["analyst"].encode())
    assert [(service, wanted["password"]) for service, wanted in told] == [("superset", GOOD)]


def test_disabling_takes_away_every_right_and_undoing_gives_it_back(context, told):
    accounts.disable(context, "steward")
    assert [(service, wanted["active"], wanted["password"]) for service, wanted in told] == [("superset", False, None), ("airflow", False, None)]
    assert not re.search(r"^steward:", trino(context, "password.db"), re.MULTILINE)
    assert not re.search(r"[:,]steward\b", trino(context, "groups.txt"))
    users_in_rules = {rule.get("new_user", "") for rule in json.loads(trino(context, "rules.json"))["impersonation"]}
    assert not any(re.fullmatch(pattern, "steward") for pattern in users_in_rules if pattern != ".*")
    accounts.disable(context, "steward", disabled=False)
    assert re.search(r"^steward:", trino(context, "password.db"), re.MULTILINE)


@pytest.mark.parametrize("act", [lambda c: accounts.set_password(c, "nobody-known"), lambda c: accounts.disable(c, "nobody-known")])
def test_an_unknown_account_is_named(context, act):
    with pytest.raises(Problem, match="no account nobody-known"):
        act(context)


def test_nothing_is_noted_when_a_service_cannot_be_told(context, monkeypatch):
    def fail(context, service, wanted):
        raise Problem("superset could not be told of the accounts", "it is down", "start it")

    monkeypatch.setattr(accounts, "run_account_script", fail)
    before = accounts.users(context)
    with pytest.raises(Problem, match="could not be told"):
        accounts.add(context, "wang", "analyst", password=GOOD)
    assert accounts.users(context) == before


def test_trino_s_files_hold_people_and_services_with_hashes_alone(context):
    accounts.write_trino_files(context)
    lines = dict(line.split(":", 1) for line in trino(context, "password.db").splitlines())
    assert set(lines) == {*accounts.FIRST_USERS, "publisher", "superset", "health"}
    assert all(re.fullmatch(r"\$2y\$\d\d\$[./A-Za-z0-9]{53}", value) for value in lines.values())
    for name in ("publisher", "superset", "health"):
        assert bcrypt.checkpw(context.secrets[f"trino_{name}"].encode(), lines[name].encode())
    for file in ("password.db", "groups.txt", "rules.json"):
        assert stat.S_IMODE((context.conf("trino") / file).stat().st_mode) == 0o600
        assert not [n for n, secret in context.secrets.items() if secret in trino(context, file)]


def test_bcrypt_is_costly_enough_for_trino():
    """Trino refuses a cost below 8."""
    assert accounts.BCRYPT_COST >= 10


def test_rules_are_closed_where_they_say_nothing(context):
    accounts.write_trino_files(context)
    rules = json.loads(trino(context, "rules.json"))
    assert rules["catalogs"][-1] == {"catalog": ".*", "allow": "none"}
    assert rules["impersonation"][-1] == {"original_user": ".*", "new_user": ".*", "allow": False}
    allowed = [rule for rule in rules["impersonation"] if rule["allow"]]
    assert [rule["original_user"] for rule in allowed] == ["superset"]
    for name in (*accounts.RESERVED, "publisher", "health"):
        assert not re.fullmatch(allowed[0]["new_user"], name)
    # A missing section is an open one.
    assert {"catalogs", "schemas", "tables", "impersonation", "queries", "system_information", "functions", "procedures"} <= set(rules)
    writers = [r for r in rules["tables"] if set(r["privileges"]) - {"SELECT"}]
    assert writers
    assert {r.get("user", r.get("group")) for r in writers} == {"publisher"}
