"""Superset: dashboards for leaders, SQL Lab for analysts."""

from __future__ import annotations

import subprocess

from infra import accounts
from infra.services.base import Command, Context, Service, base_environment
from infra.services.postgres import url
from infra.services.superset.client import Client, address
from infra.settings import HOST, REPO

__all__ = ["SERVICE", "Client", "address", "environment"]

HERE = REPO / "infra" / "services" / "superset"


def environment(context: Context) -> dict[str, str]:
    secrets = context.secrets
    return {
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"),
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
        context, "superset", [{"name": "deployer", "title": "数据湖", "roles": ["Admin"], "active": True, "password": context.secrets["deployer"]}]
    )
    marker.write_text(version)


def _command(context: Context) -> Command:
    argv = [
        context.settings.program("superset", "gunicorn"), "--bind", f"{HOST}:{context.settings.port('superset')}", "--workers", "2", "--worker-class", "gthread", "--threads", "8",
        "--timeout", "120", "--graceful-timeout", "10", "--keep-alive", "75", "--preload", "--no-control-socket", "--config", str(HERE / "gunicorn_config.py"), "--access-logfile", "-", "--limit-request-line", "8190", "superset.app:create_app()",
    ]  # fmt: skip
    return Command(argv, environment(context))


def _health(context: Context) -> str:
    answer = Client(context, timeout=10).call("GET", "/api/v1/dashboard/?q=(page_size:1)")
    answer.raise_for_status()
    return f"login and a list of {answer.json()['count']} dashboards"


SERVICE = Service("superset", "Superset 6.1", ("postgres",), "superset", _command, _health, prepare=_prepare)
