"""Following a chain of runs: each is found by when the task before it ended."""

import datetime as dt

import pytest

from infra.pipelines import Airflow, Step

ENDED = "2026-11-25T10:45:20.500000Z"


class Answering(Airflow):
    """Airflow's answers as recorded: a run is queued after its cause's task ended, and before the cause's run is closed."""

    def __init__(self, *queued):
        self.runs = [{"dag_run_id": f"run {n}", "queued_at": q, "run_after": "2026-11-25T10:45:20.400000Z"} for n, q in enumerate(queued)]

    def _get(self, path, **params):
        if path.endswith("/taskInstances/silver"):
            return {"end_date": ENDED, "state": "success"}
        return {"dag_runs": sorted(self.runs, key=lambda r: r["queued_at"] or r["run_after"], reverse=True)}


@pytest.mark.parametrize(
    ("queued", "found"),
    [
        (["2026-11-25T10:45:20.565444Z"], "run 0"),
        (["2026-11-25T10:45:21Z"], "run 0"),
        (["2026-11-25T10:45:20.565444+00:00", "2026-11-25T10:47:00Z"], "run 0"),
        (["2026-11-25T10:45:20.499999Z"], None),
        (["2026-11-25T10:40:00Z", "2026-11-25T18:45:30+08:00"], "run 1"),
        ([None], None),
        ([], None),
    ],
    ids=["in the same second", "without a fraction", "the first of two", "just before", "in another zone", "not queued yet", "none"],
)
def test_the_run_that_was_set_off_is_found(queued, found):
    api = Answering(*queued)
    assert api.started_after("gold", api.task_ended_at("silver", "any")) == found
    assert api.task_ended_at("silver", "any") == dt.datetime(2026, 11, 25, 10, 45, 20, 500000, dt.UTC)


class Told(Airflow):
    """The tasks of a run, as given."""

    def __init__(self, state, *tasks):
        self.state, self.tasks = state, tasks

    def _get(self, path, **params):
        if path.endswith("/taskInstances"):
            return {"task_instances": [{"task_id": t, "state": s, "rendered_map_index": m} for t, s, m in self.tasks]}
        return {"state": self.state}


def test_a_run_of_several_tasks_is_told_by_its_last_and_by_those_that_failed():
    begun = Told("running", ("waiting", "success", None), ("feed", "running", "penalties"), ("feed", None, "licences"), ("ingest", None, None))
    assert begun.step("ingest", "r") == Step("r", "running", "running", 3, 1, ())
    failed = Told(
        "success", ("waiting", "success", None), ("feed", "failed", "penalties"), ("feed", "success", "licences"), ("ingest", "success", None)
    )
    assert failed.step("ingest", "r") == Step("r", "success", "success", 3, 3, ("penalties",))
    idle = Told("success", ("waiting", "success", None), ("feed", "skipped", None), ("ingest", "success", None))
    assert idle.step("ingest", "r").failed == ()
    assert Told("running", ("silver", None, None)).step("silver", "r").task == "waiting"
