"""Superset: dashboards for leaders, SQL Lab for analysts."""

from __future__ import annotations

import subprocess

import requests

from infra import accounts
from infra.services.base import Command, Context, Service, base_environment
from infra.services.postgres import url
from infra.settings import HOST, REPO


def address(context: Context) -> str:
    return str(context.settings.values["web"]["superset_url"]) or f"http://localhost:{context.settings.port('superset')}"


def environment(context: Context) -> dict[str, str]:
    secrets = context.secrets
    return {
        "SUPERSET_CONFIG_PATH": str(REPO / "infra" / "services" / "superset" / "superset_config.py"),
        "SUPERSET_HOME": str(context.data("superset")),
        "SUPERSET_ENV": "production",
        "FLASK_APP": "superset.app:create_app()",
        "LAKE_SUPERSET_STATE": str(context.data("superset")),
        "LAKE_SUPERSET_URL": str(context.settings.values["web"]["superset_url"]),
        "LAKE_SUPERSET_DATABASE": url(context, "superset", "psycopg2"),
        "LAKE_SUPERSET_SECRET_KEY": secrets["superset_secret_key"],
        "LAKE_SUPERSET_GUEST_TOKEN": secrets["superset_guest_token"],
        "LAKE_SUPERSET_ASYNC_JWT": secrets["superset_async_jwt"],
    }


def _prepare(context: Context) -> None:
    """Migrate the metadata database, make roles and the first accounts; once for each version."""
    marker = context.data("superset") / "migrated"
    version = (REPO / "infra" / "requirements" / "superset.in").read_text()
    if marker.exists() and marker.read_text() == version:
        return
    superset = context.settings.program("superset", "superset")
    for step in (["db", "upgrade"], ["init"]):
        subprocess.run(
            [superset, *step], check=True, env={**base_environment(context.settings), **environment(context)}, cwd=context.data("superset")
        )
    everyone = accounts.users(context)
    accounts.tell(context, "superset", everyone, {n: p for n, p in accounts.initial_passwords(context).items() if n in everyone})
    accounts.run_account_script(
        context, "superset", [{"name": "deployer", "title": "deployer", "roles": ["Admin"], "active": True, "password": context.secrets["deployer"]}]
    )
    marker.write_text(version)


def _command(context: Context) -> Command:
    argv = [
        context.settings.program("superset", "gunicorn"), "--bind", f"{HOST}:{context.settings.port('superset')}", "--workers", "2", "--worker-class", "gthread", "--threads", "8",
        "--timeout", "120", "--graceful-timeout", "10", "--preload", "--access-logfile", "-", "--limit-request-line", "8190", "superset.app:create_app()",
    ]  # fmt: skip
    return Command(argv, environment(context))


class Client:
    """A signed-in client of Superset's REST API."""

    def __init__(self, context: Context, user: str = "deployer", password: str | None = None, timeout: float = 30) -> None:
        self.base = f"http://{HOST}:{context.settings.port('superset')}"
        self.http = requests.Session()
        self.timeout = timeout
        login = {"username": user, "password": password or context.secrets["deployer"], "provider": "db", "refresh": False}
        answer = self.http.post(f"{self.base}/api/v1/security/login", json=login, timeout=timeout)
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, **more: object) -> requests.Response:
        if method != "GET" and "X-CSRFToken" not in self.http.headers:
            token = self.http.get(f"{self.base}/api/v1/security/csrf_token/", timeout=self.timeout)
            token.raise_for_status()
            self.http.headers["X-CSRFToken"] = token.json()["result"]
            self.http.headers["Referer"] = self.base
        return self.http.request(method, f"{self.base}{path}", timeout=self.timeout, **more)  # type: ignore[arg-type]


def _health(context: Context) -> str:
    answer = Client(context, timeout=10).call("GET", "/api/v1/dashboard/?q=(page_size:1)")
    answer.raise_for_status()
    return f"login and a list of {answer.json()['count']} dashboards"


SERVICE = Service("superset", "Superset 6.1", ("postgres",), "superset", _command, _health, prepare=_prepare)
