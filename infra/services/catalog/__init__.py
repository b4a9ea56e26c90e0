"""The catalog site behind a login, following what readers see."""

from __future__ import annotations

import requests

from infra.services.base import Command, Context, Service
from infra.settings import HOST

__all__ = ["SERVICE", "address"]


def address(context: Context) -> str:
    """Where people find it."""
    public = str(context.settings.values["web"]["catalog_url"]).rstrip("/")
    return public or f"http://{HOST}:{context.settings.port('catalog')}"


def _command(context: Context) -> Command:
    return Command([context.settings.program("lake", "python"), "-P", "-m", "infra.services.catalog.server"])


def _health(context: Context) -> str:
    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"http://{HOST}:{context.settings.port('catalog')}/healthz", timeout=10)
    answer.raise_for_status()
    return str(answer.json()["says"])


SERVICE = Service("catalog", "Catalog site", ("postgres", "trino"), "catalog", _command, _health)
