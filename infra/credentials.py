"""Generated secrets of an instance, kept in one file of mode 0600.

A service is never started with a secret that was shipped as an example by any of the engines, nor
with a short one: :func:`check` refuses it.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from pathlib import Path

from infra.problems import Problem
from infra.settings import Settings

# Example or default secrets in the engines' own files and documentation.
SHIPPED = {
    "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET",
    "\x02\x01thisismyscretkey\x01\x02\\e\\y\\y\\h",
    "thisISaSECRET_1234",
    "YOUR_OWN_RANDOM_GENERATED_SECRET_KEY",
    "TEST_NON_DEV_SECRET",
    "test-guest-secret-change-me",
    "test-secret-change-me",
    "superset",
    "airflow",
    "airflow_secret",
    "airflow_jwt_secret",
    "temporary_key",
    "{SECRET_KEY}",
    "{JWT_SECRET_KEY}",
    "{FERNET_KEY}",
    "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=",  # Airflow's Helm chart documentation
    "UKMzEm3yIuFYEq1y3-2FxPNWSVwRASpahmQ9kQfEr8E=",
    "Zm9vYmFyYmF6cXV1eA==",
    "<secret>",
    "trino",
    "internal-shared-secret",
    "postgres",
    "changeit",
    "password",
    "secret",
    "admin",
}
SHORTEST = 24


def _url_safe() -> str:
    return secrets.token_urlsafe(36)


def _fernet() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


GENERATORS = {
    "postgres_superuser": _url_safe,
    "postgres_ledger": _url_safe,
    "postgres_metastore": _url_safe,
    "postgres_airflow": _url_safe,
    "postgres_superset": _url_safe,
    "postgres_exchange": _url_safe,
    "spark_connect_token": _url_safe,
    "spark_authenticate": _url_safe,
    "trino_internal": _url_safe,
    "trino_publisher": _url_safe,
    "trino_superset": _url_safe,
    "trino_health": _url_safe,
    "airflow_fernet": _fernet,
    "airflow_jwt": _url_safe,
    "airflow_api": _url_safe,
    "superset_secret_key": _url_safe,
    "superset_guest_token": _url_safe,
    "superset_async_jwt": _url_safe,
    "catalog_session": _url_safe,
    "deployer": _url_safe,
}


def _file(settings: Settings) -> Path:
    return settings.folder("secrets") / "secrets.json"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    temporary.replace(path)


def check(values: dict[str, str], path: Path) -> None:
    """Refuse missing, short and shipped secrets and a file that others can read.

    Raises:
        Problem: naming the secret (never its value) and what to do.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Problem(
            f"{path} can be read by others",
            f"its mode is {mode:04o}",
            f"chmod 600 {path}, then replace the secrets if someone else may have read them",
        )
    for name in GENERATORS:
        value = values.get(name, "")
        why = None
        if value in SHIPPED or value.lower() in SHIPPED:
            why = "it is an example that ships with an engine and is known to everyone"
        elif len(value) < SHORTEST:
            why = f"it has fewer than {SHORTEST} characters"
        elif len(set(value)) < 8:
            why = "it repeats a few characters"
        if why:
            raise Problem(f"the secret {name} is refused", why, f"remove it from {path}; a new one is generated at the next ./lake up")


def ensure(settings: Settings) -> dict[str, str]:
    """Return the instance's secrets; generate those that are missing, refuse bad ones."""
    path = _file(settings)
    values: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in GENERATORS if name not in values]
    if missing:
        if path.exists():
            check({**{n: _url_safe() for n in missing}, **values}, path)
        values.update({name: GENERATORS[name]() for name in missing})
        write_private(path, json.dumps(values, indent=1))
    check(values, path)
    return values


def load(settings: Settings) -> dict[str, str]:
    """Return the secrets of an instance that was started before."""
    path = _file(settings)
    if not path.exists():
        raise Problem("this instance has never been started", f"{path} does not exist", "run ./lake up")
    values: dict[str, str] = json.loads(path.read_text())
    check(values, path)
    return values
