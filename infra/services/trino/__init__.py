"""Trino: SQL for analysts and dashboards, over TLS, with passwords, roles and access rules."""

from __future__ import annotations

import re
from typing import Any

import requests
import trino

from infra import accounts
from infra.services.base import Command, Context, Service, render
from infra.services.trino import tls
from infra.settings import HOST


def _render(context: Context) -> None:
    certificates = tls.ensure(context)
    conf = context.conf("trino")
    megabytes = _megabytes(context.settings.values["memory"]["trino"])
    accounts.write_trino_files(context)
    more: dict[str, Any] = {
        "tls": certificates, "data": context.data("trino"), "rules": conf / "rules.json", "groups": conf / "groups.txt", "passwords": conf / "password.db",
        "resource_groups": conf / "resource-groups.json", "memory_per_query": f"{int(megabytes * 0.45)}MB",
    }  # fmt: skip
    for template in (
        "node.properties",
        "config.properties",
        "jvm.config",
        "log.properties",
        "access-control.properties",
        "group-provider.properties",
        "password-authenticator.properties",
        "resource-groups.properties",
        "resource-groups.json",
    ):
        render(context, "trino", template, **more)
    for catalog in ("lake", "lake_publish"):
        (conf / "catalog").mkdir(exist_ok=True, mode=0o700)
        (render(context, "trino", f"{catalog}.properties")).replace(conf / "catalog" / f"{catalog}.properties")


def _megabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([mg])", text)
    if not match:
        raise ValueError(f"memory sizes are written like 900m or 3g, not {text!r}")
    return int(match[1]) * (1024 if match[2] == "g" else 1)


def _command(context: Context) -> Command:
    settings, conf = context.settings, context.conf("trino")
    logs = settings.folder("logs")
    argv = [
        str(settings.engines / "trino" / "bin" / "launcher"), "--etc-dir", str(conf), "--data-dir", str(context.data("trino")),
        "--launcher-log-file", str(logs / "trino-launcher.log"), "--server-log-file", str(logs / "trino-server.log"), "run",
    ]  # fmt: skip
    return Command(argv)


def connect(
    context: Context, user: str, password: str, *, catalog: str = "lake", source: str = "lake", timeout: float = 60
) -> trino.dbapi.Connection:
    """Connect over TLS, trusting only this instance's own certificate authority."""
    session = requests.Session()
    session.trust_env = False  # or REQUESTS_CA_BUNDLE would win over `verify`, and a proxy has no place on loopback
    session.verify = str(tls.ensure(context)["ca"])
    return trino.dbapi.connect(
        http_session=session,
        host=HOST, port=context.settings.port("trino"), user=user, auth=trino.auth.BasicAuthentication(user, password), http_scheme="https", catalog=catalog, source=source, request_timeout=timeout, timezone="Asia/Shanghai",
    )  # fmt: skip


def as_publisher(context: Context) -> trino.dbapi.Connection:
    return connect(context, "publisher", context.secrets["trino_publisher"], catalog="lake_publish", source="publish")


def _health(context: Context) -> str:
    connection = connect(context, "health", context.secrets["trino_health"], source="health", timeout=10)
    rows = connection.cursor().execute("SELECT count(*) FROM lake.information_schema.schemata").fetchall()
    return f"query answered, {rows[0][0]} schemas visible to it"


SERVICE = Service("trino", "Trino 476", ("metastore",), "trino", _command, _health, _render)
