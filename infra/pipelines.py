"""Start the pipeline in Airflow and follow it from step to step, as far as it goes."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

import requests
from rich.console import Console

from infra.ledger import Ledger
from infra.problems import Problem
from infra.services import airflow
from infra.services.base import Context
from infra.settings import HOST

# What runs after what, each started by what the one before gives out (dags/).
STEPS = {"ingest": "接收入湖", "silver": "标准加工", "gold": "主题加工", "publish": "发布"}
STEP_SECONDS = 7200  # a first load of all feeds at full scale
START_SECONDS = 300  # from the end of one step to the scheduler's noticing
QUIET_SECONDS = 8
TRIES = 5
MOST_TASKS = 100  # of a run that Airflow tells of at once


@dataclass(frozen=True)
class Step:
    """A run of one DAG, its last task, and what is known of tasks before that one, of which there is one for each feed.

    ``ended``: neither waits nor runs any more. ``failed``: which of them did.
    """

    run_id: str
    state: str
    task: str
    parts: int = 0
    done: int = 0
    failed: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        return self.state in ("success", "failed")


class Airflow:
    """What is asked of Airflow's REST API."""

    def __init__(self, context: Context) -> None:
        self._base = f"http://{HOST}:{context.settings.port('airflow')}/api/v2"
        self._headers = {"Authorization": f"Bearer {airflow.token(context)}"}

    def start(self, dag: str) -> str:
        answer = requests.post(f"{self._base}/dags/{dag}/dagRuns", json={"logical_date": None}, headers=self._headers, timeout=30)
        if answer.status_code not in (200, 201):
            raise Problem("Airflow did not start the run", f"{answer.status_code}: {answer.text[:200]}", "see ./lake logs airflow-api")
        return str(answer.json()["dag_run_id"])

    def step(self, dag: str, run_id: str) -> Step:
        run = self._get(f"dags/{dag}/dagRuns/{run_id}")
        tasks = self._get(f"dags/{dag}/dagRuns/{run_id}/taskInstances", limit=MOST_TASKS)["task_instances"]
        last = next((t["state"] for t in tasks if t["task_id"] == dag), None)
        parts = [t for t in tasks if t["task_id"] not in (dag, "all_taken") and t["state"] != "skipped"]
        begun = any(t["state"] not in (None, "scheduled", "queued") for t in parts)
        failed = tuple(str(t.get("rendered_map_index") or t["task_id"]) for t in parts if t["state"] == "failed")
        done = sum(t["state"] in ("success", "failed") for t in parts)
        return Step(run_id, str(run["state"]), str(last or ("running" if begun else "waiting")), len(parts), done, failed)

    def started_after(self, dag: str, moment: dt.datetime) -> str | None:
        """The first run of ``dag`` that began, or waits since, ``moment`` or later: one that waited for another cause takes along what came meanwhile."""
        runs = self._get(f"dags/{dag}/dagRuns", order_by="-run_after", limit=10)["dag_runs"]
        later = [r for r in runs if dt.datetime.fromisoformat(r.get("start_date") or r["queued_at"] or r["run_after"]) >= moment]
        return str(later[-1]["dag_run_id"]) if later else None

    def task_ended_at(self, dag: str, run_id: str) -> dt.datetime:
        """When the run's last task ended. Its asset tells the next step at once; the run itself is closed a little later, often too late."""
        return dt.datetime.fromisoformat(self._get(f"dags/{dag}/dagRuns/{run_id}/taskInstances/{dag}")["end_date"])

    def last_lines(self, dag: str, run_id: str) -> list[str]:
        """What the program printed last in the newest try, for a message."""
        tries = self._get(f"dags/{dag}/dagRuns/{run_id}/taskInstances/{dag}").get("try_number", 1)
        content = self._get(f"dags/{dag}/dagRuns/{run_id}/taskInstances/{dag}/logs/{max(tries, 1)}", full_content="true").get("content", [])
        return [str(e.get("event", "")) for e in content if isinstance(e, dict) and e.get("event")][-8:]

    def _get(self, path: str, **params: Any) -> Any:
        """Ask; on a busy machine an answer may be late or missing once, and the run that is followed goes on meanwhile."""
        for attempt in range(TRIES):
            try:
                answer = requests.get(f"{self._base}/{path}", headers=self._headers, params=params, timeout=30)
                answer.raise_for_status()
                return answer.json()
            except (requests.ConnectionError, requests.Timeout, requests.HTTPError) as error:
                if attempt == TRIES - 1 or (error.response is not None and error.response.status_code in (401, 403)):
                    raise Problem(
                        "Airflow does not answer", str(error)[:200], "the run goes on without this view of it; see ./lake status"
                    ) from error
                time.sleep(2)


def run(context: Context, out: Console) -> None:
    """Start ``ingest`` and follow what it sets off: to the publication, or to the step that found nothing to do.

    Raises:
        Problem: a step failed, a gate refused, or a step takes too long; or, at the end, a feed could not be taken in.
    """
    api = Airflow(context)
    begin = time.monotonic()
    since = dt.datetime.now(dt.UTC)
    run_id = api.start("ingest")
    moment = since
    failed: list[str] = []
    for dag, title in STEPS.items():
        found = run_id if dag == "ingest" else None
        shown, said, step_begin = "", time.monotonic(), time.monotonic()
        while True:
            found = found or api.started_after(dag, moment)
            step = api.step(dag, found) if found else Step("", "waiting", "waiting")
            if step.task != shown and step.task in ("running", "success", "failed", "skipped", "up_for_retry"):
                out.print(f"  {_sign(step.task)} {title}  {_WORDS[step.task]}  {time.monotonic() - begin:4.0f} s")
                shown, said = step.task, time.monotonic()
            if step.ended:
                failed += [f"{title} {name}" for name in step.failed]
                break
            if time.monotonic() - step_begin > STEP_SECONDS:
                raise Problem(f"{title} did not end within {STEP_SECONDS} s", f"it is {step.state}", f"look at {airflow.address(context)}")
            if not found and time.monotonic() - step_begin > START_SECONDS:
                raise Problem(f"{title} was not started within {START_SECONDS} s", "the scheduler does not answer to what the step before it has said", "see ./lake status and ./lake logs airflow-scheduler, then ./lake run")  # fmt: skip
            if time.monotonic() - said > QUIET_SECONDS:
                part = f"（{step.done} / {step.parts}）" if step.parts > 1 else ""
                out.print(f"  … {title}{part if found else '等待调度'} {time.monotonic() - begin:.0f} s", style="dim")
                said = time.monotonic()
            time.sleep(1)
        if step.state == "failed" and step.task != "success":
            _explain(context, api, dag, step.run_id, since)
        if step.task == "skipped":
            break
        moment = api.task_ended_at(dag, step.run_id)
    if failed:
        # The others have gone on without it.
        nothing = any(name.endswith(" waiting") for name in failed)
        raise Problem(
            "、".join(f"{name} 失败" for name in failed),
            "没有查到有哪些数据源待接收，什么也没有接收" if nothing else "其余数据源已照常处理",
            f"look at {airflow.address(context)}",
        )


_WORDS = {"running": "开始", "success": "完成", "failed": "失败", "skipped": "没有要做的", "up_for_retry": "出错，稍后重试"}


def _sign(task: str) -> str:
    return {"success": "✓", "failed": "✗", "skipped": "–"}.get(task, "•")


def _explain(context: Context, api: Airflow, dag: str, run_id: str, since: dt.datetime) -> None:
    with Ledger(context) as ledger:
        refused = [reason for _, reason in ledger.abandoned_since(since) if not reason.startswith("left behind")]
    if refused:
        raise Problem(
            "发布被质量关口拦下，读者仍看到上一次发布",
            "\n       ".join(refused[-1].split("；")),
            "按规则查看候选版本和 ops.quality_results，改正数据或规则后再运行 ./lake run",
        )
    raise Problem(
        f"{STEPS[dag]}失败", "\n       ".join(api.last_lines(dag, run_id)), f"look at {airflow.address(context)}; readers stay on the last release"
    )
