"""Attack 3: default names and passwords, and the file of first passwords."""

import json
import stat

import pytest

NOWHERE = {"superset": False, "airflow": False, "trino": False}
EVERYWHERE = {"superset": True, "airflow": True, "trino": True}
DEFAULTS = [
    ("admin", "admin"),
    ("admin", "password"),
    ("admin", "general"),
    ("superset", "superset"),
    ("airflow", "airflow"),
    ("deployer", "deployer"),
    ("health", "health"),
    ("operator", "operator"),
    ("analyst", "analyst"),
]
# The product without its rules for names and passwords.
CONTEXT = """
from infra import accounts, credentials, settings
from infra.services import Context
context = Context(settings.load(), credentials.load(settings.load()))
"""
ADD_ADMIN = f"""{CONTEXT}
accounts.RESERVED.clear()
accounts.check_password = lambda password, name: None
accounts.add(context, "admin", "operator", password="admin")
"""
REMOVE_ADMIN = f"""{CONTEXT}
if "admin" in accounts.users(context):
    everyone = accounts.users(context)
    everyone["admin"]["disabled"] = True
    accounts._apply(context, everyone, {{"admin": accounts.generate_password()}})
    accounts._save(context, {{k: v for k, v in everyone.items() if k != "admin"}})
"""


@pytest.mark.parametrize(("user", "password"), DEFAULTS)
def test_a_default_account_gets_in_nowhere(stack, user, password):
    assert stack.lets_in(user, password) == NOWHERE


def test_where_such_an_account_was_made_the_same_attack_gets_in_everywhere(stack, eventually):
    try:
        stack.python(ADD_ADMIN)
        eventually(lambda: stack.lets_in("admin", "admin") == EVERYWHERE, 20, "admin/admin where it was made")
    finally:
        stack.python(REMOVE_ADMIN)
    eventually(lambda: stack.lets_in("admin", "admin") == NOWHERE, 20, "admin/admin where it was removed")


def test_first_passwords_are_random_and_private(stack):
    secrets = stack.state / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE(stack.state.stat().st_mode) == 0o700
    for path in secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert path.owner() == stack.state.owner(), path
    assert len(set(stack.passwords.values())) == len(stack.passwords) == 4
    assert all(len(p) >= 20 for p in stack.passwords.values())


def test_a_changed_password_is_the_only_one_and_leaves_the_file(stack, eventually):
    first, file = stack.password("steward"), stack.state / "secrets" / "initial-passwords.json"
    assert stack.lets_in("steward", first) == EVERYWHERE
    new = stack.set_password("steward")
    eventually(lambda: stack.lets_in("steward", new) == EVERYWHERE, 20, "the new password")
    eventually(lambda: stack.lets_in("steward", first) == NOWHERE, 20, "the refusal of the old password")
    assert "steward" not in json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    listed = dict(line.split("\t", 1) for line in stack.lake("user", "list").stdout.splitlines())
    assert "first password" not in listed["steward"]
