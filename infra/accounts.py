"""Accounts of people and services: one file says who there is and in which role.

``users.yaml`` (mode 0600, in the instance's state) maps each name to ``role``, ``title`` (shown
name), ``district`` (six digits, for role ``district``), ``disabled`` and ``hash`` (bcrypt). Trino's
password and group files are derived from it; Superset and Airflow keep hashes of their own and are
told of each change.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import yaml

from catalog.derive import district_group
from infra.credentials import write_private
from infra.problems import Problem
from infra.services.base import Context, base_environment
from infra.settings import REPO

BCRYPT_COST = 10
SHORTEST_PASSWORD = 10
NAME = re.compile(r"[a-z][a-z0-9_.-]{1,31}")
# Names that mean something else to one of the services.
RESERVED = {"publisher", "superset", "health", "deployer", "admin", "root", "public", "presto", "trino", "airflow", "postgres"}


@dataclass(frozen=True)
class Role:
    """A role: its Chinese title and what it is called in each service (None: no access)."""

    title: str
    superset: tuple[str, ...]
    airflow: str | None


ROLES = {
    "analyst": Role("分析员", ("Gamma", "sql_lab", "lake_reader"), None),
    "leader": Role("领导", ("Gamma", "lake_reader"), None),
    "steward": Role("数据管理员", ("Alpha", "sql_lab", "lake_reader"), "Viewer"),
    "supervisor": Role("监管业务人员", ("Gamma", "lake_reader"), None),
    "district": Role("区局人员", ("Gamma", "lake_reader"), None),
    "operator": Role("运维", ("Admin",), "Admin"),
}
FIRST_USERS = {"analyst": "analyst", "leader": "leader", "steward": "steward", "operator": "operator"}


def _file(context: Context) -> Path:
    return context.settings.state / "users.yaml"


def initial_passwords_file(context: Context) -> Path:
    return context.settings.folder("secrets") / "initial-passwords.json"


def initial_passwords(context: Context) -> dict[str, str]:
    """Passwords that were generated here and not changed since, by user."""
    path = initial_passwords_file(context)
    return dict(json.loads(path.read_text())) if path.exists() else {}


def users(context: Context) -> dict[str, dict[str, Any]]:
    path = _file(context)
    return dict(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _save(context: Context, everyone: dict[str, dict[str, Any]]) -> None:
    write_private(_file(context), yaml.safe_dump(everyone, allow_unicode=True, sort_keys=True))


def _hash(password: str) -> str:
    # Trino recognises bcrypt by the prefix 2y; 2b is the same algorithm.
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_COST)).decode().replace("$2b$", "$2y$", 1)


def generate_password() -> str:
    return secrets.token_urlsafe(15)


def ensure_first_users(context: Context) -> None:
    """Make one account for each of the main roles at the first start, with generated passwords."""
    everyone = users(context)
    if everyone:
        return
    passwords = {name: generate_password() for name in FIRST_USERS}
    write_private(initial_passwords_file(context), json.dumps(passwords, indent=1))
    _save(
        context,
        {name: {"role": role, "title": ROLES[role].title, "disabled": False, "hash": _hash(passwords[name])} for name, role in FIRST_USERS.items()},
    )


def check_password(password: str, name: str) -> None:
    if len(password) < SHORTEST_PASSWORD or name in password.lower() or len(set(password)) < 5:
        raise Problem(
            "the password is refused",
            f"it needs {SHORTEST_PASSWORD} characters or more, varied ones, without the account's name",
            "choose another one, or leave it out to have one generated",
        )


def add(context: Context, name: str, role: str, title: str = "", district: str | None = None, password: str | None = None) -> str:
    """Add an account and tell every service. Returns the password (generated when None)."""
    everyone = users(context)
    if not NAME.fullmatch(name) or name in RESERVED:
        raise Problem(f"the name {name!r} is refused", "it is reserved, or has other characters than a-z, 0-9, '_', '.', '-'", "choose another name")
    if role not in ROLES:
        raise Problem(f"there is no role {role!r}", f"roles are {', '.join(ROLES)}", "choose one of them")
    if (role == "district") != bool(district) or (district and not re.fullmatch(r"4401\d\d", district)):
        raise Problem(
            "the district is refused",
            "an account of role district has a six-digit district code (4401..), others have none",
            "name it with --district 440106",
        )
    if name in everyone:
        raise Problem(
            f"{name} exists already", f"its role is {everyone[name]['role']}", "use ./lake user passwd or ./lake user disable, or choose another name"
        )
    new = password or generate_password()
    check_password(new, name)
    everyone[name] = {"role": role, "title": title or ROLES[role].title, "disabled": False, "hash": _hash(new)} | (
        {"district": district} if district else {}
    )
    _apply(context, everyone, {name: new})
    return new


def set_password(context: Context, name: str, password: str | None = None) -> str:
    """Change a password everywhere. Returns it (generated when None)."""
    everyone = users(context)
    _existing(everyone, name)
    new = password or generate_password()
    check_password(new, name)
    everyone[name]["hash"] = _hash(new)
    _apply(context, everyone, {name: new})
    remaining = {k: v for k, v in initial_passwords(context).items() if k != name}
    write_private(initial_passwords_file(context), json.dumps(remaining, indent=1))
    return new


def disable(context: Context, name: str, disabled: bool = True) -> None:
    """Lock an account out of every service (or let it in again)."""
    everyone = users(context)
    _existing(everyone, name)
    everyone[name]["disabled"] = disabled
    _apply(context, everyone, {name: None})


def _existing(everyone: dict[str, dict[str, Any]], name: str) -> None:
    if name not in everyone:
        raise Problem(
            f"there is no account {name}",
            f"accounts are {', '.join(sorted(everyone)) or 'none yet'}",
            "check the name, or add it with ./lake user add",
        )


def _apply(context: Context, everyone: dict[str, dict[str, Any]], changed: dict[str, str | None]) -> None:
    # The other services first: if one can't be told, nothing is half done that the file calls done.
    for service in ("superset", "airflow"):
        tell(context, service, everyone, changed)
    _save(context, everyone)
    write_trino_files(context)


def tell(context: Context, service: str, everyone: dict[str, dict[str, Any]], changed: dict[str, str | None]) -> None:
    """Make ``service`` ("superset" or "airflow") know the accounts named in ``changed``."""
    wanted = []
    for name, password in changed.items():
        entry = everyone[name]
        role = ROLES[entry["role"]]
        roles = list(role.superset) if service == "superset" else [role.airflow] if role.airflow else []
        if roles:
            wanted.append({"name": name, "title": entry["title"], "roles": roles, "active": not entry["disabled"], "password": password})
    if wanted:
        run_account_script(context, service, wanted)


def run_account_script(context: Context, service: str, wanted: list[dict[str, Any]]) -> None:
    """Run ``services/<service>/accounts_script.py`` in that service's own environment; passwords go through stdin."""
    from infra.services import environment_of  # the services' settings, without a cycle at import

    script = REPO / "infra" / "services" / service / "accounts_script.py"
    environment = {**base_environment(context.settings), **environment_of(service, context)}
    done = subprocess.run(
        [context.settings.program(service, "python"), "-P", str(script)],
        input=json.dumps(wanted),
        text=True,
        capture_output=True,
        env=environment,
        cwd=context.data(service),
    )
    if done.returncode != 0:
        raise Problem(
            f"{service} could not be told of the accounts",
            (done.stderr.strip().splitlines() or ["no message"])[-1],
            "check ./lake status: its database must be up; then run the command again",
        )


def write_trino_files(context: Context) -> None:
    """Derive Trino's password file, group file and access rules."""
    from infra.services.trino import rules

    conf = context.conf("trino")
    everyone = {name: entry for name, entry in users(context).items() if not entry["disabled"]}
    services = {name: context.secrets[f"trino_{name}"] for name in ("publisher", "superset", "health")}
    lines = [f"{name}:{entry['hash']}" for name, entry in sorted(everyone.items())]
    lines += [f"{name}:{_service_hash(context, name, secret)}" for name, secret in services.items()]
    write_private(conf / "password.db", "\n".join(lines) + "\n")
    members: dict[str, list[str]] = {role: [] for role in ROLES}
    for name, entry in sorted(everyone.items()):
        members[entry["role"]].append(name)
        if "district" in entry:
            members.setdefault(district_group(entry["district"]), []).append(name)
    write_private(
        conf / "groups.txt",
        "".join(f"{role}:{','.join(names)}\n" for role, names in members.items() if names) + "publisher:publisher\n",
    )
    write_private(conf / "rules.json", json.dumps(rules.build(everyone, ROLES), ensure_ascii=False, indent=1))


def _service_hash(context: Context, name: str, secret: str) -> str:
    """The hash of a service's password, made once: bcrypt is slow on purpose and salts each time."""
    path = context.settings.folder("secrets") / "service-hashes.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if not (name in known and bcrypt.checkpw(secret.encode(), known[name].encode())):
        known[name] = _hash(secret)
        write_private(path, json.dumps(known, indent=1))
    return known[name]
