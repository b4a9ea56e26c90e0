"""Deploy ``superset/`` to Superset: what git says is there afterwards, what git no longer has is gone.

Safe to run again: what already agrees is left alone. Accounts of people are not touched here, only what their role
``lake_reader`` may open. Trino decides in the end: Superset passes on who is logged in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from catalog import effects
from catalog.contract import load_contracts
from catalog.derive import READ_CATALOG, VIEW_SCHEMAS
from infra.problems import Problem
from infra.services.base import Context
from infra.services.superset import assets
from infra.services.superset import client as superset
from infra.services.superset.assets import Asset, Assets
from infra.services.trino import tls
from infra.settings import HOST, REPO

FOLDER = REPO / "superset"
READER_ROLE = "lake_reader"
TRINO_USER = "superset"
MASK = "XXXXXXXXXX"  # where this stands for the password, Superset keeps or takes the one that is given beside it
# Resource of the API and its name column for each kind, in the order in which things may be deleted.
RESOURCES = {
    "dashboards": ("dashboard", "dashboard_title"),
    "charts": ("chart", "slice_name"),
    "datasets": ("dataset", "table_name"),
    "databases": ("database", "database_name"),
}


@dataclass(frozen=True)
class Deployment:
    """What a deployment did: lines about what differed before, names of what was removed."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    seconds: float
    addresses: tuple[str, ...]


class Found:
    """What Superset has: ids by uuid for everything, the contents of what is wanted, and what only earlier deployments wanted."""

    def __init__(self, client: superset.Client, wanted: set[str]) -> None:
        self.ids: dict[str, dict[str, int]] = {}
        self.assets: list[Asset] = []
        self.obsolete: dict[str, list[int]] = {}
        owner = client.ok("GET", "/api/v1/me/").json()["result"]["id"]
        for kind, (resource, name) in RESOURCES.items():
            path = f"/api/v1/{resource}/"
            self.ids[kind] = {str(e["uuid"]): int(e["id"]) for e in client.entries(path, ("id", "uuid"), name)}
            ids = [identity for uuid, identity in self.ids[kind].items() if uuid in wanted]
            self.assets += [a for a in assets.unbundle(client.export(resource, ids), kind) if a["uuid"] in wanted] if ids else []
            if kind != "databases":
                # Ours is what the account that deploys owns; what people make belongs to them.
                own = client.entries(path, ("id", "uuid"), name, f"(col:owners,opr:rel_m_m,value:{owner})")
                self.obsolete[kind] = [int(e["id"]) for e in own if str(e["uuid"]) not in wanted]


def wanted(context: Context) -> Assets:
    """Everything that is to be deployed, without the password."""
    address = f"trino://{TRINO_USER}:{MASK}@{HOST}:{context.settings.port('trino')}/{READ_CATALOG}"
    connect = {"http_scheme": "https", "verify": str(tls.ensure(context)["ca"]), "timezone": "Asia/Shanghai"}
    return assets.complete(assets.load(FOLDER), load_contracts(), address, connect)


def deploy(context: Context) -> Deployment:
    """Make Superset have what git has.

    Raises:
        Problem: Superset refuses something, can't reach Trino, or shows something else afterwards.
    """
    begin = time.monotonic()
    declared, target = _declared(), wanted(context)
    try:
        client = superset.Client(context, timeout=120)
        uuids = {asset["uuid"] for asset in target.values()}
        found = Found(client, uuids)
        changed = assets.differences(target, found.assets)
        if not changed and not _reaches_trino(client, found.ids["databases"][target[assets.DATABASE]["uuid"]]):
            changed = [f"{assets.DATABASE}: the stored password is refused"]
        if changed:
            _import(context, client, target)
        removed = _remove_obsolete(client, found)
        if changed or removed:
            found = Found(client, uuids)
        changed += _grant(client, target, found)
        _check(client, target, found)
    except requests.RequestException as error:
        answer = error.response
        why = str(error) if answer is None else f"{answer.request.method} {answer.request.path_url[:80]}: {answer.status_code} {answer.text[:300]}"
        raise Problem("Superset refused the dashboards", why, "see ./lake logs superset, then deploy again") from error
    _deployed(context).write_text(declared)
    base = superset.address(context)
    pages = tuple(f"{base}/superset/dashboard/{asset['slug']}/" for path, asset in target.items() if assets.kind(path) == "dashboards")
    return Deployment(tuple(changed), tuple(removed), time.monotonic() - begin, pages)


def follow(context: Context) -> bool:
    """Deploy again where contracts or ``superset/`` have changed since the last deployment; whether it was done. Before the first one nothing is.

    Raises:
        Problem: as `deploy`.
    """
    known = _deployed(context)
    if not known.exists() or known.read_text() == _declared():
        return False
    deploy(context)
    return True


def _deployed(context: Context) -> Path:
    """The file with the digest of what was deployed last."""
    return context.data("superset") / "deployed"


def _declared() -> str:
    """A digest of all that dashboards are made of: their files, the contracts, the field dictionary."""
    return effects.digest(effects.files("superset", "catalog/contracts", "catalog/fields.yaml"))


def forget_cached(context: Context, tables: Iterable[str]) -> None:
    """Make dashboards ask Trino again for ``tables`` (such as ``gold.mart_registrations_monthly``): a new release is published."""
    name = assets.load(FOLDER)[assets.DATABASE]["database_name"]
    datasources = [
        {"database_name": name, "catalog": READ_CATALOG, "schema": schema, "datasource_name": table, "datasource_type": "table"}
        for schema, _, table in (t.partition(".") for t in tables)
    ]
    superset.Client(context).ok("POST", "/api/v1/cachekey/invalidate", json={"datasources": datasources})


def _import(context: Context, client: superset.Client, target: Assets) -> None:
    archive = {"bundle": ("lake.zip", assets.bundle(target), "application/zip")}
    passwords = {assets.DATABASE: context.secrets[f"trino_{TRINO_USER}"]}
    client.ok("POST", "/api/v1/assets/import/", files=archive, data={"passwords": json.dumps(passwords)})


def _remove_obsolete(client: superset.Client, found: Found) -> list[str]:
    removed = []
    for kind, ids in found.obsolete.items():
        for identity in ids:
            client.ok("DELETE", f"/api/v1/{RESOURCES[kind][0]}/{identity}")
            removed.append(f"{kind} {identity}")
    return removed


def _grant(client: superset.Client, target: Assets, found: Found) -> list[str]:
    """Let ``lake_reader`` open our datasets, the readers' schemas and our dashboards, and nothing else."""
    changed = []
    role = client.find("/api/v1/security/roles/", "name", READER_ROLE)
    if role is None:
        role = {"id": client.ok("POST", "/api/v1/security/roles/", json={"name": READER_ROLE}).json()["id"]}
    database = target[assets.DATABASE]["database_name"]
    names = {("schema_access", f"[{database}].[{READ_CATALOG}].[{schema}]") for schema in VIEW_SCHEMAS}
    for path, asset in target.items():
        if assets.kind(path) == "datasets":
            names.add(("datasource_access", f"[{database}].[{asset['table_name']}](id:{found.ids['datasets'][asset['uuid']]})"))
    present = client.ok("GET", f"/api/v1/security/roles/{role['id']}/permissions/").json()["result"]
    if {(p["permission_name"], p["view_menu_name"]) for p in present} != names:
        ids = [client.permission(*name) for name in sorted(names)]
        client.ok("POST", f"/api/v1/security/roles/{role['id']}/permissions", json={"permission_view_menu_ids": ids})
        changed.append(f"role {READER_ROLE}: may open {len(names)} things")
    for path, asset in target.items():
        if assets.kind(path) == "dashboards":
            identity = found.ids["dashboards"][asset["uuid"]]
            roles = client.ok("GET", f"/api/v1/dashboard/{identity}").json()["result"]["roles"]
            if [r["id"] for r in roles] != [role["id"]]:
                client.ok("PUT", f"/api/v1/dashboard/{identity}", json={"roles": [role["id"]]})
                changed.append(f"{path}: shown to {READER_ROLE}")
    return changed


def _check(client: superset.Client, target: Assets, found: Found) -> None:
    """Read back what Superset has now, and let it ask Trino."""
    left = assets.differences(target, found.assets)
    if left:
        raise Problem("Superset shows something else than was deployed", "; ".join(left[:5]), "see ./lake logs superset, then deploy again")
    for path, asset in target.items():
        if assets.kind(path) == "dashboards":
            shown = {c["uuid"] for c in _charts(client, found.ids["dashboards"][asset["uuid"]], found)}
            meant = {node["meta"]["uuid"] for node in asset["position"].values() if isinstance(node, dict) and node["type"] == "CHART"}
            if shown != meant:
                raise Problem(f"{path} has other charts than were deployed", f"too many or missing: {sorted(shown ^ meant)}", "deploy again")
    if not _reaches_trino(client, found.ids["databases"][target[assets.DATABASE]["uuid"]]):
        raise Problem("Superset does not reach Trino", "its account was refused", "see ./lake status and ./lake logs superset")


def _charts(client: superset.Client, dashboard: int, found: Found) -> list[dict[str, Any]]:
    uuids = {identity: uuid for uuid, identity in found.ids["charts"].items()}
    result = client.ok("GET", f"/api/v1/dashboard/{dashboard}/charts").json()["result"]
    return [{"id": c["id"], "uuid": uuids[c["id"]]} for c in result]


def _reaches_trino(client: superset.Client, database: int) -> bool:
    """Whether a statement gets through with the stored address, certificate and password, as Superset's own account."""
    answer = client.call("POST", "/api/v1/sqllab/execute/", json={"database_id": database, "sql": "SELECT current_user AS name", "runAsync": False})
    return answer.ok and answer.json()["data"] == [{"name": TRINO_USER}]
