"""The recipes for other catalogs: readable, of names that exist here, with variables that the page explains and no secret."""

import re
import tomllib

import pytest
import yaml
from typer.main import get_command

from catalog.derive import READ_CATALOG, VIEW_SCHEMAS
from infra import accounts, lineage_target
from infra.cli import app
from infra.settings import HOST, REPO

HOW_TO = REPO / "docs" / "how-to"
PAGE = (HOW_TO / "lineage.zh.md").read_text(encoding="utf-8")
RECIPES = sorted((HOW_TO / "recipes").glob("*.yaml"))
SETTINGS = tomllib.loads((REPO / "infra" / "settings.toml").read_text(encoding="utf-8"))


def read(name):
    return yaml.safe_load((HOW_TO / "recipes" / name).read_text(encoding="utf-8"))


def texts(value):
    if isinstance(value, dict):
        return [t for v in value.values() for t in texts(v)]
    return [t for v in value for t in texts(v)] if isinstance(value, list) else [value]


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_a_recipe_is_readable_and_explained(path):
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(recipe, dict)
    assert path.name in PAGE
    variables = {v for text in texts(recipe) if isinstance(text, str) for v in re.findall(r"\$\{(\w+)\}", text)}
    assert [v for v in variables if f"`{v}`" not in PAGE] == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_accounts_tokens_and_addresses_are_variables(path):
    def walk(value, key=""):
        if isinstance(value, dict):
            for k, v in value.items():
                walk(v, k)
        elif key in ("username", "password", "token", "jwtToken", "hostPort", "host_port", "server", "connect_uri", "verify"):
            assert re.fullmatch(r"\$\{\w+\}", value)

    walk(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_catalog_and_schemas_are_those_of_readers():
    openmetadata, datahub = read("openmetadata_trino.yaml")["source"], read("datahub_trino.yaml")["source"]["config"]
    assert openmetadata["serviceConnection"]["config"]["catalog"] == datahub["database"] == READ_CATALOG
    patterns = openmetadata["sourceConfig"]["config"]["schemaFilterPattern"]["includes"]
    (allowed,) = datahub["schema_pattern"]["allow"]
    for schema in (*VIEW_SCHEMAS, "bronze", "gold_tables", "work"):
        reads = schema in VIEW_SCHEMAS
        assert any(re.match(p, schema) for p in patterns) == reads
        assert all(bool(re.match(rf".*{allowed}", name)) == reads for name in (schema, f"{READ_CATALOG}.{schema}"))


def test_services_and_namespaces_fit_together():
    settings = read("openmetadata_openlineage.yaml")
    service = read("openmetadata_trino.yaml")["source"]["serviceName"]
    assert settings["namespaceToServiceMapping"] == {f"trino://{HOST}:{SETTINGS['ports']['trino']}": service}
    assert read("openmetadata_dbt.yaml")["source"]["serviceName"] == service
    assert read("datahub_dbt.yaml")["source"]["config"]["target_platform"] == "trino"


def test_the_page_names_what_exists():
    for name in ("target", "ca", "trino"):
        assert name in SETTINGS["lineage"]
        assert f"{name} = " in PAGE
    assert f"`{lineage_target.TOKEN}`" in PAGE
    assert f"{HOST}:{SETTINGS['ports']['trino']}" in PAGE
    assert f"http://{HOST}:{SETTINGS['ports']['superset']}" in PAGE
    roles = re.findall(r"--role (\w+)", PAGE)
    assert roles == ["analyst"]
    assert set(roles) <= accounts.ROLES.keys()
    commands = get_command(app).commands
    for command, sub in re.findall(r"\./lake (lineage|user) (\w+)", PAGE):
        assert sub in commands[command].commands
