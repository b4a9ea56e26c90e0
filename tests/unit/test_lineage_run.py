"""What a run of a step tells of itself: the tables that carry its stamp, in the time in which it was the writer. Telling never changes what comes of it."""

import datetime as dt
import json
import os
import uuid
from types import SimpleNamespace

import pytest
from lineage_server import listening

from catalog.contract import load_contracts
from catalog.derive import all_tables, table_name
from infra import lineage_target
from infra import settings as settings_
from infra.problems import Problem
from spark_jobs import lineage

CONTRACTS = all_tables(load_contracts())
OPENED = dt.datetime(2026, 12, 1, 0, 0, tzinfo=dt.UTC)
CLOSED = OPENED + dt.timedelta(minutes=1)
SESSION = "3e98381c-379c-4276-a31c-a78aa50102e4"
TASK, DAG = f"lake-unit-airflow/gold.gold/{uuid.uuid4()}", f"lake-unit-airflow/gold/{uuid.uuid4()}"
ARCHIVE, FACTS, FEED, SCORES = "gold.archive_subject", "silver.subject_registration", "bronze.registration_subjects", "ops.quality_scores"


class Ledger:
    """What the ledger knows of one writer. ``judged``: table, rule, description, passed."""

    judged: tuple = ()

    def __init__(self, context):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def wrote_between(self, session):
        return (OPENED, CLOSED) if session == SESSION else None

    def judged_between(self, first, last):
        return list(self.judged)

    def current_release(self):
        return "R00000007"


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """An instance with logs of tables written by hand; ``run`` does a step and returns its events."""
    monkeypatch.setattr(settings_.Settings, "state", property(lambda _: tmp_path))
    monkeypatch.setattr(lineage, "Ledger", Ledger)
    monkeypatch.setattr(Ledger, "judged", ())
    monkeypatch.setenv("LAKE_SPARK_SESSION", SESSION)
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", TASK)
    monkeypatch.setenv("OPENLINEAGE_ROOT_PARENT_ID", DAG)
    values = {"lineage": {"target": "file", "ca": "", "trino": ""}, "ports": {"trino": 18443}}
    context = SimpleNamespace(settings=settings_.Settings("unit", values), secrets={})

    def commit(table, version, stamp=f"gold/{SESSION}", second=1.0, rows=3, operation="WRITE"):
        schema, name = table_name(CONTRACTS[table]).split(".")
        log = tmp_path / "warehouse" / f"{schema}.db" / name / "_delta_log"
        log.mkdir(parents=True, exist_ok=True)
        at = int((OPENED.timestamp() + second) * 1000)
        added = [{"add": {"path": f"f{version}", "size": 100, "dataChange": True, "stats": json.dumps({"numRecords": rows})}}] if rows else []
        info = {"commitInfo": {"operation": operation, "timestamp": at, "userMetadata": stamp}}
        (log / f"{version:020}.json").write_text("".join(json.dumps(a) + "\n" for a in (info, *added)))

    def events():
        return [json.loads(line) for f in sorted(lineage_target.folder(context.settings).iterdir()) for line in f.read_text("utf-8").splitlines()]

    def run(step, does=lambda: 0):
        code = lineage.told(context, CONTRACTS, step, does)
        return code, events()

    return SimpleNamespace(context=context, commit=commit, run=run, events=events)


def versions(events):
    return {o["name"]: o["facets"]["version"]["datasetVersion"] for e in events for o in e["outputs"]}


def test_a_step_is_begun_and_done_and_its_tables_belong_to_it(lake):
    lake.commit(ARCHIVE, 4, stamp="gold/another", second=-60)

    def writes():
        lake.commit(ARCHIVE, 5)
        lake.commit(ARCHIVE, 6, second=2)
        return 0

    code, events = lake.run("gold", writes)
    assert code == 0
    assert [(e["job"]["name"], e["eventType"]) for e in events] == [
        ("gold", "START"),
        ("gold.archive_subject", "START"),
        ("gold.archive_subject", "COMPLETE"),
        ("gold", "COMPLETE"),
    ]
    assert versions(events) == {"lake.gold.archive_subject": "6"}
    assert {e["run"]["runId"] for e in events if e["job"]["name"] == "gold"} == {SESSION}
    done = events[2]
    assert done["eventTime"] == "2026-12-01T00:00:02.000+00:00"
    assert done["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 6
    assert done["run"]["facets"]["parent"]["run"]["runId"] == SESSION
    assert done["run"]["facets"]["parent"]["root"]["run"]["runId"] == DAG.rsplit("/", 1)[1]
    parent = events[3]["run"]["facets"]["parent"]
    assert "/".join((parent["job"]["namespace"], parent["job"]["name"], parent["run"]["runId"])) == TASK


def test_what_others_wrote_is_not_told_of(lake):
    lake.commit(ARCHIVE, 0, stamp="gold/a-program-that-is-gone")
    lake.commit(FACTS, 0, second=61)  # after this one
    lake.commit(FACTS, 1, second=61)
    assert versions(lake.run("gold")[1]) == {}


def test_projections_have_notes_of_their_own_and_are_known_by_the_time(lake):
    lake.commit(SCORES, 0, stamp="a digest of what it holds")
    assert versions(lake.run("publish")[1]) == {"lake.ops.quality_scores": "0"}


def test_a_table_of_bronze_that_was_only_made_or_fenced_off_has_got_nothing(lake):
    lake.commit(FEED, 0, stamp=f"ingest/{SESSION}", rows=0)
    assert versions(lake.run("ingest")[1]) == {}
    lake.commit(FEED, 1, stamp=f"ingest/{SESSION}")
    events = lake.run("ingest")[1]
    assert versions(events) == {"lake.bronze.registration_subjects": "1"}
    assert next(e for e in events if e["outputs"])["inputs"][0]["name"] == "unit/landing/kept/registration_subjects"


def test_a_table_that_was_only_set_back_has_another_version_and_no_new_row(lake):
    lake.commit(ARCHIVE, 3, operation="RESTORE")
    made = next(o for e in lake.run("gold")[1] for o in e["outputs"])
    assert made["facets"]["version"]["datasetVersion"] == "3"
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 0


def test_publishing_says_which_release(lake):
    last = lake.run("publish")[1][-1]
    assert last["run"]["facets"]["tags"]["tags"][0]["value"] == "R00000007"
    assert "tags" not in lake.run("publish", lambda: 4)[1][-1]["run"]["facets"]


def test_a_refused_step_says_which_rules_and_of_no_table_that_will_be_set_back(lake, monkeypatch):
    monkeypatch.setattr(Ledger, "judged", [("gold_tables.archive_subject", "volume", "行数相近", False), ("gold_tables.unknown", "x", "y", True)])
    lake.commit(ARCHIVE, 1)
    lake.commit(SCORES, 0, stamp="digest")
    code, events = lake.run("gold", lambda: 3)
    assert code == 3
    assert versions(events) == {"lake.ops.quality_scores": "0"}
    assert [(e["job"]["name"], e["eventType"]) for e in events][-2:] == [("gold.gate", "FAIL"), ("gold", "FAIL")]
    assert "tags" not in events[-1]["run"]["facets"]


def test_a_step_that_breaks_fails_as_it_did_and_its_text_does_not_leave_the_house(lake):
    def breaks():
        raise OSError("广州市某某有限公司 in /some/place")

    with pytest.raises(OSError, match="some/place"):
        lake.run("silver", breaks)
    last = lake.events()[-1]
    assert (last["eventType"], last["run"]["facets"]["errorMessage"]["message"]) == ("FAIL", "OSError")


def test_a_step_that_had_nothing_to_do_is_done(lake):
    code, events = lake.run("silver", lambda: 4)
    assert (code, events[-1]["eventType"]) == (4, "COMPLETE")


def test_by_hand_the_run_gets_an_id_that_the_session_takes_and_leaves_none_behind(lake, monkeypatch):
    for name in ("LAKE_SPARK_SESSION", "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"):
        monkeypatch.delenv(name)
    seen = []
    _, events = lake.run("silver", lambda: seen.append(os.environ["LAKE_SPARK_SESSION"]) or 0)
    assert {e["run"]["runId"] for e in events} == set(seen)
    assert "parent" not in events[0]["run"]["facets"]
    assert "LAKE_SPARK_SESSION" not in os.environ


def test_a_ledger_that_does_not_answer_changes_nothing(lake, monkeypatch, capsys):
    def broken(context):
        raise ConnectionError("away")

    monkeypatch.setattr(lineage, "Ledger", broken)
    assert lake.run("gold")[0] == 0
    assert "没有写出" in capsys.readouterr().out


def test_a_damaged_table_hides_no_other_one(lake):
    lake.commit(ARCHIVE, 1)
    lake.commit(FACTS, 1, stamp=f"gold/{SESSION}")
    log = lake.context.settings.warehouse / "silver_tables.db" / "subject_registration" / "_delta_log" / f"{1:020}.json"
    log.write_text("torn")
    assert versions(lake.run("gold")[1]) == {"lake.gold.archive_subject": "1"}


def test_a_slow_server_is_not_waited_for_by_the_step(lake, monkeypatch, capsys):
    monkeypatch.setattr(lineage_target, "SECONDS", 0.3)
    with listening() as (catalog, address):
        lake.context.settings.values["lineage"]["target"] = address
        catalog.wait = 5
        begin, seen = dt.datetime.now(dt.UTC), []
        assert lake.run("silver", lambda: seen.append(dt.datetime.now(dt.UTC)) or 0)[0] == 0
        assert (seen[0] - begin).total_seconds() < 0.3
        assert (dt.datetime.now(dt.UTC) - begin).total_seconds() < 3
    assert "没有送到" in capsys.readouterr().out


def test_a_wrong_setting_stops_the_step_before_it_does_anything(lake):
    lake.context.settings.values["lineage"]["target"] = "fil"
    done = []
    with pytest.raises(Problem):
        lake.run("silver", lambda: done.append(1) or 0)
    assert done == []
