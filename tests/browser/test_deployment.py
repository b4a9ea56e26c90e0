"""Deployment is repeatable and exact, and Superset passes on who is logged in and opens nothing else. Needs no browser."""

from __future__ import annotations

import concurrent.futures
import secrets
import shutil
import subprocess
import uuid
from typing import Any

import pytest
import requests
import yaml

from infra import dashboards
from infra.services import superset
from infra.services.base import base_environment
from infra.services.superset import Client, assets

# What pyparsing says of a grammar that it has put in order, which it does while it parses for the first time.
PARSER = """
from superset.app import create_app
create_app()
from superset.utils.date_parser import datetime_parser
print(datetime_parser.cache_info().currsize, datetime_parser().streamlined)
"""
MART = "gold.mart_registrations_monthly"
RESOURCES = {"dashboard": "dashboard_title", "chart": "slice_name", "dataset": "table_name"}


@pytest.fixture(scope="module")
def deployer(place: Any) -> Client:
    return Client(place.context)


@pytest.fixture(scope="module")
def dataset(deployer: Client) -> int:
    found = deployer.find("/api/v1/dataset/", "table_name", "mart_registrations_monthly")
    assert found
    return int(found["id"])


@pytest.fixture(scope="module")
def database(deployer: Client) -> int:
    found = deployer.find("/api/v1/database/", "database_name", "数据湖")
    assert found
    return int(found["id"])


def state(client: Client) -> dict[str, list[Any]]:
    """When everything was last changed."""
    found = {r: [tuple(e.items()) for e in client.entries(f"/api/v1/{r}/", ("id", "uuid", "changed_on_utc"), name)] for r, name in RESOURCES.items()}
    role = client.find("/api/v1/security/roles/", "name", "lake_reader")
    assert role
    permissions = client.ok("GET", f"/api/v1/security/roles/{role['id']}/permissions/").json()["result"]
    return {**found, "permissions": sorted(p["id"] for p in permissions)}


def ask_chart(client: Client, dataset: int, column: str = "district_name", force: bool = False) -> requests.Response:
    """What a chart asks; ``column`` is an SQL expression, as people may write one in a chart of their own."""
    query = {"columns": [{"label": "what", "expressionType": "SQL", "sqlExpression": column}], "metrics": ["subjects_total"], "row_limit": 100}
    body = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "force": force, "result_format": "json", "result_type": "full"}
    return client.call("POST", "/api/v1/chart/data", json=body)


def run_sql(client: Client, database: int, sql: str) -> requests.Response:
    return client.call(
        "POST", "/api/v1/sqllab/execute/", json={"database_id": database, "sql": sql, "schema": "gold", "catalog": "lake", "runAsync": False}
    )


def test_what_ten_people_ask_at_once_from_one_address_is_not_refused(place):
    """Superset's own limit was 50 requests in a second, which a quick machine reached by deploying."""
    reader = place.client("leader")
    with concurrent.futures.ThreadPoolExecutor(10) as people:
        answers = list(people.map(lambda _: reader.call("GET", "/api/v1/me/").status_code, range(150)))
    assert set(answers) == {200}


def test_a_second_deployment_changes_nothing(place, deployer):
    before = state(deployer)
    again = dashboards.deploy(place.context)
    assert again.changed == ()
    assert again.removed == ()
    assert state(deployer) == before


@pytest.fixture
def altered(place, tmp_path, monkeypatch):
    """A copy of ``superset/`` to alter and deploy; afterwards git's own is deployed again."""
    folder = tmp_path / "superset"
    shutil.copytree(dashboards.FOLDER, folder)
    monkeypatch.setattr(dashboards, "FOLDER", folder)
    yield folder
    monkeypatch.undo()
    dashboards.deploy(place.context)


def test_what_git_no_longer_has_is_removed(place, deployer, altered, monkeypatch):
    chart = yaml.safe_load((altered / "charts" / "subjects_total.yaml").read_text())
    chart |= {"uuid": str(uuid.uuid4()), "slice_name": "多余的图表"}
    (altered / "charts" / "extra.yaml").write_text(yaml.safe_dump(chart, allow_unicode=True))
    board = yaml.safe_load((altered / "dashboards" / "registrations.yaml").read_text())
    board["position"]["CHART-extra"] = {
        "id": "CHART-extra",
        "type": "CHART",
        "parents": ["ROOT_ID", "GRID_ID", "ROW-notice"],
        "children": [],
        "meta": {"chartId": 99, "uuid": chart["uuid"], "sliceName": chart["slice_name"], "width": 3, "height": 20},
    }
    board["position"]["ROW-notice"]["children"].append("CHART-extra")
    (altered / "dashboards" / "registrations.yaml").write_text(yaml.safe_dump(board, allow_unicode=True))

    def charts_of_the_dashboard():
        return {c["slice_name"] for c in deployer.ok("GET", "/api/v1/dashboard/registrations/charts").json()["result"]}

    dashboards.deploy(place.context)
    assert "多余的图表" in charts_of_the_dashboard()
    monkeypatch.undo()
    done = dashboards.deploy(place.context)
    assert len(done.removed) == 1
    assert deployer.find("/api/v1/chart/", "slice_name", "多余的图表") is None
    shown = assets.load(dashboards.FOLDER)["dashboards/registrations.yaml"]["position"].values()
    assert charts_of_the_dashboard() == {n["meta"]["sliceName"] for n in shown if isinstance(n, dict) and n["type"] == "CHART"}


def test_what_was_changed_by_hand_is_put_back_and_what_people_made_stays(place, deployer, dataset):
    chart = deployer.find("/api/v1/chart/", "slice_name", "各区户数（按住所地址）")
    deployer.ok("PUT", f"/api/v1/chart/{chart['id']}", json={"slice_name": "改过的名字"})
    steward = place.client("steward")
    own = {"slice_name": "管理员自己的图表", "viz_type": "table", "datasource_id": dataset, "datasource_type": "table", "params": "{}"}
    mine = steward.ok("POST", "/api/v1/chart/", json=own).json()["id"]
    try:
        done = dashboards.deploy(place.context)
        assert done.changed == ("charts/subjects_by_district.yaml: slice_name is '改过的名字', wanted '各区户数（按住所地址）'",)
        assert deployer.call("GET", f"/api/v1/chart/{mine}").status_code == 200
    finally:
        steward.call("DELETE", f"/api/v1/chart/{mine}")


def test_trino_is_asked_as_the_person_who_is_logged_in(place, dataset, database):
    for user in ("analyst", "leader"):
        answer = ask_chart(place.client(user), dataset, "current_user", force=True)
        assert answer.status_code == 200, answer.text
        assert [row["what"] for row in answer.json()["result"][0]["data"]] == [user]
    answer = run_sql(place.client("analyst"), database, "SELECT current_user AS who")
    assert answer.json()["data"] == [{"who": "analyst"}]


def test_nobody_is_given_what_was_cached_for_another_and_a_release_empties_the_cache(place, dataset):
    leader, analyst = place.client("leader"), place.client("analyst")
    column = f"concat(current_user, '{secrets.token_hex(4)}')"

    def cached(client):
        return bool(ask_chart(client, dataset, column).json()["result"][0]["is_cached"])

    assert [cached(leader), cached(leader)] == [False, True]
    assert cached(analyst) is False
    dashboards.forget_cached(place.context, [MART])
    assert [cached(leader), cached(analyst), cached(leader)] == [False, False, True]


def test_many_readers_at_once_get_their_own_answers(place, dataset):
    """The workers are forked from one process; if they shared a connection they would read each other's answers."""
    clients = {user: place.client(user) for user in ("leader", "analyst", "steward")}
    jobs = [(user, i) for i in range(8) for user in clients]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda job: ask_chart(clients[job[0]], dataset, f"concat(current_user, '{job[1]}')", force=True), jobs))
    assert [a.status_code for a in answers] == [200] * len(jobs)
    assert [a.json()["result"][0]["data"][0]["what"] for a in answers] == [f"{user}{i}" for user, i in jobs]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO lake.gold.mart_registrations_monthly SELECT * FROM lake.gold.mart_registrations_monthly",
        "DELETE FROM lake.gold.mart_registrations_monthly",
        "DROP VIEW lake.gold.mart_registrations_monthly",
        "CREATE TABLE lake.gold.copy AS SELECT 1 AS one",
        "/* SELECT */ -- \n DROP TABLE lake.gold_tables.mart_registrations_monthly",
        "SELECT 1; DROP VIEW lake.gold.mart_registrations_monthly",
        "CALL lake.system.vacuum('gold_tables', 'mart_registrations_monthly', '7d')",
        "SELECT * FROM lake.gold_tables.mart_registrations_monthly",
        "SELECT * FROM lake.bronze.registration_subjects",
        "SELECT * FROM system.runtime.queries",
    ],
)
def test_sql_lab_refuses_what_is_no_reading_of_the_released_views(place, database, sql):
    answer = run_sql(place.client("analyst"), database, sql)
    assert answer.status_code >= 400, answer.text
    assert place.ask("analyst", f"SELECT count(*) > 0 FROM lake.{MART}") == [[True]]


def test_a_refusal_says_why_in_chinese(place, database):
    answer = run_sql(place.client("analyst"), database, "DELETE FROM lake.gold.mart_registrations_monthly")
    assert "只能查询" in answer.json()["errors"][0]["message"]


def test_sql_lab_reads_the_released_views(place, database):
    answer = run_sql(place.client("analyst"), database, "SELECT sum(subjects) AS n FROM lake.gold.mart_registrations_monthly")
    assert answer.status_code == 200, answer.text
    assert [answer.json()["data"][0]["n"]] == place.ask("analyst", f"SELECT sum(subjects) FROM lake.{MART}")[0]


def test_leaders_have_no_sql_lab(place, database):
    assert run_sql(place.client("leader"), database, "SELECT 1").status_code == 403


def test_a_sub_query_or_a_template_in_a_chart_reaches_nothing(place, dataset):
    leader = place.client("leader")
    for column in (
        "(SELECT max(subject_name) FROM lake.bronze.registration_subjects)",
        "(SELECT count(*) FROM lake.gold_tables.mart_registrations_monthly)",
    ):
        assert ask_chart(leader, dataset, column).status_code >= 400
    template = ask_chart(leader, dataset, "'{{ cycler.__init__.__globals__ }}'")
    assert template.status_code >= 400 or template.json()["result"][0]["data"][0]["what"] == "{{ cycler.__init__.__globals__ }}"


@pytest.fixture
def another_database(place, deployer):
    """A second database with a dataset, which nobody was given: it points to the same Trino."""
    target = dashboards.wanted(place.context)
    source = next(a for p, a in target.items() if assets.kind(p) == "datasets")
    base = {**target[assets.DATABASE], "uuid": str(uuid.uuid4()), "database_name": f"another {secrets.token_hex(3)}"}
    other = {**source, "uuid": str(uuid.uuid4()), "database_uuid": base["uuid"]}
    files = {"databases/another.yaml": base, "datasets/gold/another.yaml": other}
    archive = {"bundle": ("a.zip", assets.bundle(files), "application/zip")}
    passwords = f'{{"databases/another.yaml": "{place.context.secrets["trino_superset"]}"}}'
    deployer.ok("POST", "/api/v1/assets/import/", files=archive, data={"passwords": passwords})
    ids = {
        r: {e["uuid"]: e["id"] for e in deployer.entries(f"/api/v1/{r}/", ("id", "uuid"), n)}
        for r, n in (("database", "database_name"), ("dataset", "table_name"))
    }
    made = ids["database"][base["uuid"]], ids["dataset"][other["uuid"]]
    yield made
    deployer.ok("DELETE", f"/api/v1/dataset/{made[1]}")
    deployer.ok("DELETE", f"/api/v1/database/{made[0]}")


def test_readers_reach_no_other_database(place, another_database):
    database, dataset = another_database
    for user in ("leader", "analyst"):
        client = place.client(user)
        assert ask_chart(client, dataset).status_code == 403
        assert client.call("GET", f"/api/v1/dataset/{dataset}").status_code in (403, 404)
        assert client.call("GET", f"/api/v1/database/{database}").status_code in (403, 404)
    assert run_sql(place.client("analyst"), database, "SELECT * FROM lake.gold.mart_registrations_monthly").status_code >= 400


@pytest.fixture
def outsider(place, deployer):
    """An account that may use Superset but has not the role of the lake's readers."""
    gamma = deployer.find("/api/v1/security/roles/", "name", "Gamma")
    password = secrets.token_urlsafe(16)
    name = f"outsider-{secrets.token_hex(3)}"
    account = {"username": name, "first_name": "外", "last_name": "人", "email": f"{name}@lake.invalid", "active": True, "password": password}
    made = deployer.ok("POST", "/api/v1/security/users/", json={**account, "roles": [gamma["id"]]}).json()["id"]
    yield Client(place.context, name, password)
    deployer.ok("DELETE", f"/api/v1/security/users/{made}")


def test_the_dashboard_is_seen_by_readers_of_the_lake_only(place, outsider, dataset):
    def seen(client):
        return [d["slug"] for d in client.ok("GET", "/api/v1/dashboard/").json()["result"]]

    assert "registrations" in seen(place.client("leader"))
    assert "registrations" in seen(place.client("analyst"))
    assert seen(outsider) == []
    assert outsider.call("GET", "/api/v1/dashboard/registrations").status_code in (403, 404)
    assert ask_chart(outsider, dataset).status_code == 403


def test_readers_change_nothing(place, deployer, dataset):
    leader = place.client("leader")
    board = deployer.ok("GET", "/api/v1/dashboard/registrations").json()["result"]["id"]
    assert leader.call("PUT", f"/api/v1/dashboard/{board}", json={"dashboard_title": "改"}).status_code == 403
    assert leader.call("DELETE", f"/api/v1/dataset/{dataset}").status_code == 403
    assert leader.call("POST", "/api/v1/assets/import/", files={"bundle": ("x.zip", b"")}).status_code == 403


def test_pages_carry_the_headers_that_keep_others_out(place):
    answer = requests.get(f"{place.base}/login/", timeout=30)
    policy = {line.split()[0]: line.split()[1:] for line in answer.headers["Content-Security-Policy"].split(";")}
    assert policy["default-src"] == ["'self'"]
    assert policy["object-src"] == ["'none'"]
    assert not any(source.startswith("http") or "." in source for sources in policy.values() for source in sources)
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "'unsafe-eval'" not in policy["script-src"]
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]


def test_time_ranges_are_parsed_before_there_are_threads(place, tmp_path):
    """Else the first charts with a time filter that ask together break the parser for the life of the process."""
    context = place.context
    # Caches of its own: what another user puts into those of the service, the service can't open.
    own = {"SUPERSET_HOME": str(tmp_path), "LAKE_SUPERSET_STATE": str(tmp_path)}
    done = subprocess.run(
        [context.settings.program("superset", "python"), "-P", "-c", PARSER],
        env={**base_environment(context.settings), **superset.environment(context), **own}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[-2:] == ["1", "True"]
