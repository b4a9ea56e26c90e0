"""What a service is, and what all of them share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from catalog import places
from infra.credentials import write_private
from infra.settings import HOST, REPO, Settings


@dataclass(frozen=True)
class Context:
    """The settings and secrets that a service is rendered from and started with."""

    settings: Settings
    secrets: Mapping[str, str]

    def conf(self, service: str) -> Path:
        return self.settings.folder(f"conf/{service}")

    def data(self, service: str) -> Path:
        return self.settings.folder(f"data/{service}")

    def log(self, service: str) -> Path:
        return self.settings.folder("logs") / f"{service}.log"


@dataclass(frozen=True)
class Command:
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """One process that the supervisor keeps running.

    ``render`` writes its configuration (at every start), ``prepare`` makes what must exist before it
    (a database cluster, a schema; must be repeatable), ``command`` is what runs, ``health`` does real
    work and returns a few words, or raises.
    """

    name: str
    what: str
    needs: tuple[str, ...]
    port: str | None
    command: Callable[[Context], Command]
    health: Callable[[Context], str]
    render: Callable[[Context], None] = lambda context: None
    prepare: Callable[[Context], None] = lambda context: None


def render(context: Context, service: str, template: str, **more: object) -> Path:
    """Render ``services/<service>/<template>.j2`` into the instance's configuration (mode 0600)."""
    folder = REPO / "infra" / "services" / service
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    text = environment.get_template(f"{template}.j2").render(s=context.settings, secret=context.secrets, host=HOST, repo=REPO, **more)
    target = context.conf(service) / template
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(target, text)
    return target


def base_environment(settings: Settings) -> dict[str, str]:
    """The environment that services start with: nothing of the caller's but what is named here."""
    keep = {k: os.environ[k] for k in ("LAKE_INSTANCE", "LAKE_REPO") if k in os.environ}
    return {
        **keep,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(settings.folder("home")),
        places.VARIABLE: str(settings.declarations),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "JAVA_HOME": str(settings.java_home),
    }


def java_openings() -> list[str]:
    """The packages that Hive and Spark reach into by reflection."""
    packages = (
        "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util", "java.util.concurrent",
        "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar",
    )  # fmt: skip
    return [f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in packages]
