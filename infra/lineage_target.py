"""Where OpenLineage events go, by the settings; without the libraries that make them, which most commands don't need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.problems import Problem
from infra.services.base import Context
from infra.settings import HOST, Settings

FILE = "file"
TOKEN = "lineage_token"  # noqa: S105 - its name in the instance's secrets
SECONDS = 3.0  # that a server may take for one event
AIRFLOW = "airflow.ndjson"  # Airflow's provider writes one file; `infra.lineage` puts it aside by day


@dataclass(frozen=True)
class Target:
    """A server that takes events. ``base`` ends with ``/``, ``endpoint`` begins without one; ``shown`` is what people are told."""

    base: str
    endpoint: str
    shown: str


def target(context: Context) -> Target | None:
    """The server that the settings name; None: files only.

    Raises:
        Problem: the setting is neither ``file`` nor an address, or a token would go unencrypted to another machine.
    """
    says = str(context.settings.values["lineage"]["target"]).strip()
    if says == FILE:
        return None
    parts = urlsplit(says)
    do = '写 target = "file"，或写接收事件的完整地址，如 "https://catalog.example/api/v1/lineage"；令牌写进 secrets/secrets.json'
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(f"不能使用设置 [lineage] target = “{says}”", "它既不是 file，也不是 http:// 或 https:// 的地址", do)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Problem("不能使用设置 [lineage] target", "地址里不能带账号、口令或参数", do)
    if parts.scheme == "http" and context.secrets.get(TOKEN) and parts.hostname not in (HOST, "localhost", "::1"):
        raise Problem(
            "不能使用设置 [lineage] target", f"令牌 {TOKEN} 会不加密地送到 {parts.netloc}", "改用 https:// 的地址，或从 secrets.json 去掉令牌"
        )
    return Target(f"{parts.scheme}://{parts.netloc}/", parts.path.strip("/") or "api/v1/lineage", f"{parts.scheme}://{parts.netloc}")


def folder(settings: Settings) -> Path:
    return settings.folder("logs/lineage")


def airflow_namespace(settings: Settings) -> str:
    """Of DAGs and tasks. Steps have another one (`catalog.lineage_events.Names`): a DAG and the step that it runs are called alike."""
    return f"lake-{settings.instance}-airflow"


def http(context: Context, to: Target) -> dict[str, Any]:
    """The library's configuration for a server: one try, and not for long."""
    ca, token = str(context.settings.values["lineage"]["ca"]), context.secrets.get(TOKEN)
    return {
        "type": "http", "url": to.base, "endpoint": to.endpoint, "timeout": SECONDS, "retry": {"total": 0},
        **({"auth": {"type": "api_key", "apiKey": token}} if token else {}),
        **({"sslContext": {"caCertPath": ca}} if ca else {}),
    }  # fmt: skip


def airflow_transport(context: Context) -> dict[str, Any]:
    """The same for Airflow's provider, which brings the same library: a file, and the server where there is one.

    Raises:
        Problem: as `target`.
    """
    file = {"type": "file", "log_file_path": str(folder(context.settings) / AIRFLOW), "append": True}
    to = target(context)
    return file if to is None else {"type": "composite", "continue_on_failure": True, "transports": {"file": file, "server": http(context, to)}}
