"""DAG files are thin: what runs after what, by one operator, with nothing of a run's free text in a command."""

import ast
import re

import pytest

from infra.settings import REPO

DAGS = sorted((REPO / "dags").glob("*.py"))
ALLOWED = {"pendulum", "airflow.sdk", "airflow.providers.standard.operators.empty", "infra.orchestration.operator"}
TEMPLATE = re.compile(r"\{\{\s*params\.[a-z_]+\s*\}\}")


def test_there_are_dags():
    assert DAGS


@pytest.mark.parametrize("path", DAGS, ids=lambda p: p.name)
def test_a_dag_imports_nothing_but_airflow_and_the_operator(path):
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    assert modules <= ALLOWED


@pytest.mark.parametrize("path", DAGS, ids=lambda p: p.name)
def test_only_checked_params_reach_an_argument_list(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {id(k.value) for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "map_index_template"}  # shown, never run
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in names]
    assert [t for t in texts if "{{" in t and not TEMPLATE.fullmatch(t)] == []


def test_assets_tie_the_steps_together():
    """Each step waits for what the step before gives out; the first waits for the clock."""
    given, awaited = {}, {}
    for path in DAGS:
        for call in (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)):
            for keyword in call.keywords:
                if keyword.arg in ("outlets", "schedule"):
                    names = {n.value for n in ast.walk(keyword.value) if isinstance(n, ast.Constant) and str(n.value).startswith("lake://")}
                    (given if keyword.arg == "outlets" else awaited)[path.stem] = names
    assert given == {"ingest": {"lake://bronze"}, "silver": {"lake://silver"}, "gold": {"lake://gold"}, "publish": {"lake://release"}}
    assert awaited == {
        "maintenance": set(), "ingest": set(), "silver": {"lake://bronze"}, "gold": {"lake://silver"}, "publish": {"lake://gold"}, "notify": {"lake://release"},
    }  # fmt: skip
