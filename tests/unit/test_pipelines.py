"""Following a chain of runs: each is found by when the task before it ended."""

import datetime as dt

import pytest

from infra.pipelines import Airflow

ENDED = "2026-11-25T10:45:20.500000Z"


class Answering(Airflow):
    """Airflow's answers as recorded: a run is queued after its cause's task ended, and before the cause's run is closed."""

    def __init__(self, *queued):
        self.runs = [{"dag_run_id": f"run {n}", "queued_at": q, "run_after": "2026-11-25T10:45:20.400000Z"} for n, q in enumerate(queued)]

    def _get(self, path, **params):
        if path.endswith("/taskInstances"):
            return {"task_instances": [{"end_date": ENDED, "state": "success"}]}
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
