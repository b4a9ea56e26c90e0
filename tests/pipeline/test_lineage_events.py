"""What the stack has told of itself: each version of a release, by the run that wrote it, as a part of Airflow's task and DAG run."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from catalog.contract import load_contracts
from catalog.derive import all_tables, table_name
from catalog.lineage_events import dataset_name
from catalog.site import lineage

CONTRACTS = all_tables(load_contracts())
STEPS = ("ingest", "silver", "gold", "publish")


@pytest.fixture(scope="module")
def told(published: Any) -> list[dict[str, Any]]:
    """All events, those of steps in the order in which they were written."""
    files = sorted((published.state / "logs" / "lineage").glob("*.ndjson"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def released(published: Any) -> tuple[str, dict[str, int]]:
    """The first release, which Airflow's run of the demonstration has made, and the versions that it names: later ones other tests have meddled with."""
    with psycopg.connect(**published.database("ledger")) as connection:
        ((release,),) = connection.execute("SELECT min(release_id) FROM release").fetchall()
        versions = connection.execute("SELECT table_name, version FROM release_table WHERE release_id = %s", (release,)).fetchall()
    return str(release), dict(versions)


def done(told, namespace):
    return [e for e in told if e["job"]["namespace"] == namespace and e["eventType"] == "COMPLETE"]


def test_each_version_of_the_release_is_told_of(published, told, released):
    named = {table_name(c): dataset_name(c) for c in CONTRACTS.values()}
    written = {(o["name"], int(o["facets"]["version"]["datasetVersion"])) for e in done(told, f"lake-{published.name}") for o in e["outputs"]}
    assert {(named[table], version) for table, version in released[1].items()} <= written
    assert {o["namespace"] for e in done(told, f"lake-{published.name}") for o in e["outputs"]} == {f"trino://127.0.0.1:{published.ports['trino']}"}


def test_the_release_is_told_of(published, told, released):
    tags = [
        t["value"]
        for e in done(told, f"lake-{published.name}")
        if e["job"]["name"] == "publish"
        for t in e["run"]["facets"].get("tags", {}).get("tags", ())
    ]
    assert released[0] in tags


def test_inputs_are_declared_and_arrived_data_come_from_landing(told, published):
    up = {dataset_name(c): {dataset_name(CONTRACTS[i]) for i in lineage.inputs(CONTRACTS)[c.id]} for c in CONTRACTS.values()}
    for event in done(told, f"lake-{published.name}"):
        for made in event["outputs"]:
            found = {i["name"] for i in event["inputs"]}
            if made["name"].startswith("lake.bronze."):
                assert found == {f"{published.name}/landing/kept/{made['name'].removeprefix('lake.bronze.')}"}
            else:
                assert found == up[made["name"]]


def test_columns_of_records_and_of_gold_are_followed(told, published):
    followed = {o["name"] for e in done(told, f"lake-{published.name}") for o in e["outputs"] if "columnLineage" in o["facets"]}
    assert "lake.gold.archive_subject" in followed
    assert any(name.startswith("lake.silver.") for name in followed)


def test_the_chain_leads_from_each_table_to_the_dag_run(told, published):
    """Of the runs that Airflow started: DAG run, task, step, table."""
    jobs, airflow = f"lake-{published.name}", f"lake-{published.name}-airflow"
    runs = {(e["job"]["namespace"], e["job"]["name"], e["run"]["runId"]): e for e in told if e["eventType"] == "START"}
    by_airflow = set()
    for event in done(told, jobs):
        parent = event["run"]["facets"].get("parent")
        assert (jobs, event["job"]["name"], event["run"]["runId"]) in runs
        if parent is None:
            assert event["job"]["name"] in STEPS  # somebody started it by hand
            continue
        above = (parent["job"]["namespace"], parent["job"]["name"], parent["run"]["runId"])
        assert above in runs
        root = parent["root"]
        if root["job"]["namespace"] == airflow:
            assert (airflow, root["job"]["name"], root["run"]["runId"]) in runs
            if event["job"]["name"] in STEPS:
                assert above[0] == airflow
                by_airflow.add(event["job"]["name"])
    assert by_airflow == set(STEPS)
    ended = {e["run"]["runId"] for e in done(told, airflow)}
    published_by = [e["run"]["facets"]["parent"]["run"]["runId"] for e in done(told, jobs) if {"tags", "parent"} <= e["run"]["facets"].keys()]
    assert set(published_by) <= ended


def test_what_the_gates_found_is_told(told, published):
    judged = {e["job"]["name"]: e for e in done(told, f"lake-{published.name}") if e["job"]["name"].endswith(".gate")}
    assert judged.keys() == {"silver.gate", "gold.gate"}
    for event in judged.values():
        assert all(a["success"] for i in event["inputs"] for a in i["inputFacets"]["dataQualityAssertions"]["assertions"])


def test_no_secret_no_subject_and_no_place_stands_in_what_the_jobs_tell(told, published):
    everything = json.dumps(told, ensure_ascii=False)
    assert [name for name, value in published.context.secrets.items() if value in everything] == []
    assert "广州市演示一号" not in everything
    mine = json.dumps([e for e in told if e["job"]["namespace"] == f"lake-{published.name}"], ensure_ascii=False)
    assert str(published.state) not in mine
