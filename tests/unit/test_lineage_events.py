"""What events say: tables by Trino's names, only declared inputs, who belongs to whom; nothing that must not leave the house."""

import datetime as dt
import re
import uuid

import pytest
from openlineage.client.event_v2 import RunState
from openlineage.client.serde import Serde

from catalog.contract import load_contracts
from catalog.derive import all_tables
from catalog.lineage_events import (
    STEPS,
    WRITES,
    Check,
    Names,
    Parent,
    StepRun,
    Written,
    as_runs,
    dataset_name,
    of_gate,
    of_step,
    of_tables,
    static,
)
from catalog.properties import Kind
from catalog.site import lineage
from catalog.site.lineage import Source

CONTRACTS = all_tables(load_contracts())
NAMES = Names("unit", "trino.example:18443")
NOW = dt.datetime(2026, 12, 1, 8, 30, tzinfo=dt.timezone(dt.timedelta(hours=8)))
TASK = Parent("lake-unit-airflow", "gold.gold", str(uuid.uuid4()))
DAG = Parent("lake-unit-airflow", "gold", str(uuid.uuid4()))
RUN = StepRun("gold", str(uuid.uuid4()), TASK, DAG)
ARCHIVE = "gold.archive_subject"


def written(table=ARCHIVE, version=7):
    return Written(table, version, NOW, NOW + dt.timedelta(seconds=2), 5, 600, 2)


def told(events):
    return [Serde.to_dict(e) for e in events]


def facets_of(event):
    """All facets of an event, wherever they stand."""
    holders = [event.get("run", {}), event.get("job", {}), event.get("dataset", {}), *event.get("inputs", ()), *event.get("outputs", ())]
    return [f for h in holders for kind in ("facets", "inputFacets", "outputFacets") for f in h.get(kind, {}).values()]


def require_valid(event):
    """What the specification (2-0-2) requires of every event."""
    dt.datetime.fromisoformat(event["eventTime"])
    assert "T" in event["eventTime"]
    assert event["producer"]
    assert event["schemaURL"].startswith("https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/")
    assert {"run", "job"} <= event.keys() or "job" in event or "dataset" in event
    for run in [event["run"]] if "run" in event else []:
        uuid.UUID(run["runId"])
    for named in [*event.get("inputs", ()), *event.get("outputs", ()), *([event["job"]] if "job" in event else []), *([event["dataset"]] if "dataset" in event else [])]:  # fmt: skip
        assert named["namespace"]
        assert named["name"]
    for facet in facets_of(event):
        assert facet["_producer"] == "urn:lake:jobs"
        assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")


def test_a_step_says_who_it_belongs_to_and_what_it_has_published():
    step = told([of_step(NAMES, StepRun("publish", RUN.run_id, TASK, DAG), RunState.COMPLETE, NOW, release="R00000001")])[0]
    require_valid(step)
    assert (step["job"]["namespace"], step["job"]["name"], step["eventType"]) == ("lake-unit", "publish", "COMPLETE")
    assert step["eventTime"] == "2026-12-01T00:30:00.000+00:00"
    parent = step["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["job"]["name"], parent["job"]["namespace"]) == (TASK.run_id, "gold.gold", "lake-unit-airflow")
    assert (parent["root"]["run"]["runId"], parent["root"]["job"]["name"]) == (DAG.run_id, "gold")
    assert [(t["key"], t["value"]) for t in step["run"]["facets"]["tags"]["tags"]] == [("release", "R00000001")]


def test_a_step_that_somebody_started_by_hand_belongs_to_nobody_and_says_why_it_failed():
    step = told([of_step(NAMES, StepRun("silver", RUN.run_id), RunState.FAIL, NOW, failure="质量关口没有通过，没有发布")])[0]
    assert "parent" not in step["run"]["facets"]
    assert step["run"]["facets"]["errorMessage"]["message"] == "质量关口没有通过，没有发布"


def test_a_table_is_begun_and_done_by_a_job_of_its_own():
    columns = {(ARCHIVE, "subject_name"): (Source("silver.subject_registration", "subject_name", "模型"),), ("gold.other", "x"): ()}
    begun, done = told(of_tables(NAMES, RUN, [written()], CONTRACTS, columns))
    for event in (begun, done):
        require_valid(event)
    assert (begun["eventType"], done["eventType"]) == ("START", "COMPLETE")
    assert begun["run"]["runId"] == done["run"]["runId"] != RUN.run_id
    assert done["job"]["name"] == "gold.archive_subject"
    parent = done["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"], parent["run"]["runId"]) == ("lake-unit", "gold", RUN.run_id)
    assert parent["root"]["run"]["runId"] == DAG.run_id
    (made,) = done["outputs"]
    assert (made["namespace"], made["name"]) == ("trino://trino.example:18443", "lake.gold.archive_subject")
    assert made["facets"]["version"]["datasetVersion"] == "7"
    statistics = made["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (5, 600, 2)
    name = made["facets"]["schema"]["fields"][1]
    assert (name["name"], name["type"]) == ("subject_name", "varchar")
    assert name["description"].startswith("企业名称：")
    assert made["facets"]["schema"]["fields"][-1]["name"] == "release_id"  # what readers see in Trino, not only what is stored
    assert made["facets"]["ownership"]["owners"] == [{"name": f"team:{CONTRACTS[ARCHIVE].owner}", "type": "OWNER"}]
    assert made["facets"]["documentation"]["description"].startswith("主体档案：")
    field = made["facets"]["columnLineage"]["fields"]
    assert list(field) == ["subject_name"]
    source = field["subject_name"]["inputFields"][0]
    assert (source["name"], source["field"]) == ("lake.silver.subject_registration", "subject_name")


def test_the_same_run_tells_of_a_table_under_the_same_id_and_another_run_under_another():
    once, again = (told(of_tables(NAMES, RUN, [written()], CONTRACTS, {}))[0]["run"]["runId"] for _ in range(2))
    other = told(of_tables(NAMES, StepRun("gold", str(uuid.uuid4())), [written()], CONTRACTS, {}))[0]["run"]["runId"]
    assert once == again != other


def test_what_other_catalogs_take_for_the_name_of_a_table_comes_first_and_is_not_called_a_table():
    """OpenMetadata reads the first identifier, DataHub takes each of type TABLE for one of Hive."""
    made = told(of_tables(NAMES, RUN, [written()], CONTRACTS, {}))[1]["outputs"][0]
    first, folder = made["facets"]["symlinks"]["identifiers"]
    assert (first["namespace"], first["name"]) == (made["namespace"], made["name"])
    assert (folder["namespace"], folder["name"]) == ("file", "unit/warehouse/gold_tables.db/archive_subject")
    assert {first["type"], folder["type"]}.isdisjoint({"TABLE"})


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda c: c.id)
def test_inputs_are_those_that_the_site_shows_and_the_landing_of_a_feed(contract):
    done = told(of_tables(NAMES, StepRun(WRITES[contract.layer], RUN.run_id), [written(contract.id)], CONTRACTS, {}))[1]
    require_valid(done)
    found = [(i["namespace"], i["name"]) for i in done["inputs"]]
    if contract.kind is Kind.FEED:
        assert found == [("file", f"unit/landing/kept/{contract.name}")]
    else:
        assert found == [(NAMES.tables, dataset_name(CONTRACTS[i])) for i in lineage.inputs(CONTRACTS)[contract.id]]


def test_the_gate_tells_of_each_table_which_rules_it_met():
    rule = next(r for r in CONTRACTS[ARCHIVE].rules if len(r.columns) == 1)
    checks = [Check(ARCHIVE, rule.id, rule.description, True), Check(ARCHIVE, "volume", "行数与上一发布相近", False)]
    begun, judged = told(of_gate(NAMES, RUN, checks, NOW, CONTRACTS))
    for event in (begun, judged):
        require_valid(event)
    assert (judged["eventType"], judged["job"]["name"]) == ("FAIL", "gold.gate")
    (table,) = judged["inputs"]
    met, failed = table["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (met["assertion"], met["success"], met["column"]) == (rule.id, True, rule.columns[0])
    assert (failed["success"], "column" in failed, "actual" in failed) == (False, False, False)  # what was observed may be a value
    assert of_gate(NAMES, RUN, [], NOW, CONTRACTS) == []


@pytest.mark.parametrize("build", [static, as_runs])
def test_an_export_tells_of_every_table(build):
    events = told(build(NAMES, CONTRACTS, lineage.of_records(CONTRACTS), NOW))
    for event in events:
        require_valid(event)
    jobs = [e for e in events if "job" in e]
    assert {o["name"] for e in jobs for o in e["outputs"]} == {dataset_name(c) for c in CONTRACTS.values()}
    assert {e["job"]["name"].split(".")[0] for e in jobs} == set(STEPS)
    described = [e["dataset"] for e in events if "dataset" in e] or [o for e in jobs for o in e["outputs"]]
    assert {d["name"] for d in described} >= {dataset_name(c) for c in CONTRACTS.values()}
    assert all("documentation" in d["facets"] for d in described)
    assert sum("columnLineage" in o["facets"] for e in jobs for o in e["outputs"]) > 30  # typed records
    assert all(("run" in e) == (build is as_runs) for e in jobs)


def test_no_place_of_this_machine_stands_in_any_event():
    events = str(told([*static(NAMES, CONTRACTS, {}, NOW), *of_tables(NAMES, RUN, [written(c) for c in CONTRACTS], CONTRACTS, {})]))
    assert str(load_contracts()[ARCHIVE].path.parents[3]) not in events
    assert not re.search(r"['\"](?:file:/)?/[a-z]", events)


@pytest.mark.parametrize("text", ["", "lake", "a/b", "a/b/no-uuid", f"/b/{uuid.UUID(int=1)}", f"a//{uuid.UUID(int=1)}"])
def test_what_names_no_run_is_no_parent(text):
    assert Parent.read(text) is None


def test_a_parent_is_read_as_openlineage_writes_it():
    identity = str(uuid.uuid4())
    assert Parent.read(f"some/name space/gold.gold/{identity}") == Parent("some/name space", "gold.gold", identity)
