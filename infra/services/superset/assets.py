"""Dashboards as code: the files of ``superset/``, completed from the contracts, in Superset's own export format (v1).

Pure functions of files and contracts; :mod:`infra.dashboards` talks to Superset.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from catalog.contract import Column, Contract
from catalog.derive import TRINO_TYPES, column_comment, label_sql, table_comment, view_columns

Asset = dict[str, Any]
Assets = dict[str, Asset]  # path below superset/ → content

DATABASE = "databases/lake.yaml"
VERSION = "1.0.0"


def load(folder: Path) -> Assets:
    """The files of ``superset/`` as they are written."""
    return {str(path.relative_to(folder)): yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*/**/*.yaml"))}


def kind(path: str) -> str:
    """``databases``, ``datasets``, ``charts`` or ``dashboards``."""
    return path.split("/")[0]


def complete(files: Assets, contracts: Mapping[str, Contract], address: str, connect: Mapping[str, Any]) -> Assets:
    """Add what the files leave out: that git has the say, the database's address, the datasets' columns from their contracts.

    Raises:
        KeyError: a dataset has no contract.
        ValueError: a dataset's file says what its contract says already.
    """
    whole: Assets = {}
    for path, content in files.items():
        asset = {**content, "is_managed_externally": True}
        if kind(path) == "databases":
            asset |= {"sqlalchemy_uri": address, "extra": {**content["extra"], "engine_params": {"connect_args": dict(connect)}}}
        if kind(path) == "datasets":
            repeated = {"columns", "description"} & set(content)
            if repeated:
                raise ValueError(f"superset/{path}: {', '.join(sorted(repeated))} come from the contract; remove them")
            contract = contracts[f"{content['schema']}.{content['table_name']}"]
            asset |= {"description": table_comment(contract), "columns": dataset_columns(contract)}
        whole[path] = asset
    return whole


def dataset_columns(contract: Contract) -> list[Asset]:
    """A dataset's columns: those of the readers' view, and for each that is a code, a yes or no, or a list a column with what a reader is shown."""
    columns: list[Asset] = []
    for column in view_columns(contract):
        shared = {"is_active": True, "groupby": True, "filterable": True}
        columns.append(
            {
                "column_name": column.name,
                "verbose_name": column.chinese,
                "description": column_comment(column),
                "type": TRINO_TYPES.get(column.type, column.type.lower()).upper(),
                "expression": None,
                # A filter on a timestamp with zone is a type error in Trino, so only dates are offered for it.
                "is_dttm": column.type == "DATE",
                **shared,
            }
        )
        if (said := _label(column)) is not None:
            columns.append(
                {
                    "column_name": f"{column.name}_label",
                    "verbose_name": column.chinese,
                    "description": column_comment(column),
                    "type": "VARCHAR",
                    "expression": said,
                    "is_dttm": False,
                    **shared,
                }
            )
    return columns


def _label(column: Column) -> str | None:
    """What a reader is shown in the place of a value that is a code, a yes or no, or a list; None where the value speaks for itself."""
    return f"array_join({column.name}, '、')" if column.type == "ARRAY<STRING>" else label_sql(column)


def bundle(assets: Assets) -> bytes:
    """The archive that Superset imports."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lake/metadata.yaml", yaml.safe_dump({"version": VERSION, "type": "assets", "timestamp": "2000-01-01T00:00:00+00:00"}))
        for path, asset in assets.items():
            archive.writestr(f"lake/{path}", yaml.safe_dump(asset, allow_unicode=True, sort_keys=False))
    return buffer.getvalue()


def unbundle(archive: bytes, of_kind: str) -> list[Asset]:
    """What Superset exported, of one kind."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [yaml.safe_load(opened.read(name)) for name in opened.namelist() if name.split("/")[1:2] == [of_kind]]


def differences(wanted: Assets, found: Iterable[Asset]) -> list[str]:
    """Where what Superset has differs from what git wants, a line each; empty when they agree.

    What an asset does not say is left to Superset, but lists are whole: a column, metric, filter or chart more is a difference.
    """
    by_uuid = {asset["uuid"]: asset for asset in found}
    result: list[str] = []
    for path, asset in wanted.items():
        there = by_uuid.get(asset["uuid"])
        if there is None:
            result.append(f"{path} is missing")
            continue
        result += [f"{path}: {where}" for where in _compare(_comparable(asset), _comparable(there), "")]
    return result


def _comparable(asset: Asset) -> Asset:
    """Without what differs by nature: numbers of charts, the masked password, orders that mean nothing."""
    plain = {key: value for key, value in asset.items() if key != "is_managed_externally"}  # Superset does not export it
    if "sqlalchemy_uri" in plain:
        plain["sqlalchemy_uri"] = _without_password(plain["sqlalchemy_uri"])
    for name, key in (("columns", "column_name"), ("metrics", "metric_name")):
        if name in plain:
            plain[name] = {entry[key]: entry for entry in plain[name]}
    if "position" in plain:
        plain["position"] = {
            key: {**node, "meta": {k: v for k, v in node.get("meta", {}).items() if k != "chartId"}} if isinstance(node, dict) else node
            for key, node in plain["position"].items()
        }
    return plain


def _without_password(address: str) -> str:
    login, at, rest = address.rpartition("@")
    scheme, slashes, user = login.partition("://")
    return f"{scheme}{slashes}{user.split(':')[0]}{at}{rest}"


def _compare(wanted: Any, found: Any, where: str) -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        result = [line for key, value in wanted.items() for line in _compare(value, found.get(key), f"{where}.{key}".lstrip("."))]
        if where in ("columns", "metrics", "position"):
            result += [f"{where}.{key} is not in git" for key in found if key not in wanted]
        return result
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for index, (w, f) in enumerate(zip(wanted, found, strict=True)) for line in _compare(w, f, f"{where}[{index}]")]
    if wanted == found or (not wanted and not found and not isinstance(wanted, bool | int)):
        return []
    return [f"{where} is {found!r}, wanted {wanted!r}"]
