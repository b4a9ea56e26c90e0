"""What a run of a step has made, told as OpenLineage events when it begins and when it has ended.

What was written is read from the tables' logs: only one program writes at a time, the ledger knows from when to when, and each of its commits
carries its stamp. So no step has to say it. The run's id is that of its Spark session, which stands in that stamp.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping

from openlineage.client.event_v2 import RunState

from catalog.contract import Contract
from catalog.derive import table_name
from catalog.lineage_events import Check, Parent, StepRun, Written, of_gate, of_step, of_tables
from infra import lineage, lineage_target, model_columns, store
from infra.delta_log import DeltaLog, LogDamaged
from infra.ledger import Ledger
from infra.services.base import Context
from infra.settings import Settings

REFUSED, NOTHING = 3, 4
SESSION = "LAKE_SPARK_SESSION"
# As OpenLineage's own integrations have them: `namespace/job/run id` of whom this run belongs to (infra/orchestration/operator.py).
PARENT, ROOT = "OPENLINEAGE_PARENT_ID", "OPENLINEAGE_ROOT_PARENT_ID"
LASTING = ("bronze", "ops")  # layers of which a step that fails leaves what it wrote; the others are set back
_FAILURES = {REFUSED: "质量关口没有通过，没有发布"}


def told(context: Context, contracts: Mapping[str, Contract], step: str, run: Callable[[], int]) -> int:
    """Do a step, and tell of it; return its exit code. Telling neither stops it nor changes what comes of it.

    Raises:
        Problem: the settings name a target that is none.
        Whatever ``run`` raises.
    """
    lineage_target.target(context)
    given = os.environ.get(SESSION)
    session = os.environ.setdefault(SESSION, str(uuid.uuid4()))
    begun = threading.Thread(target=_begin, args=(context, step, session), daemon=True)
    begun.start()  # the step need not wait for a server
    code: int | None = None
    failure: str | None = None
    try:
        code = run()
        return code
    except BaseException as error:
        failure = type(error).__name__  # its text may name places and values
        raise
    finally:
        if given is None:
            os.environ.pop(SESSION, None)
        begun.join(lineage_target.SECONDS)
        if code is not None and code not in (0, NOTHING):
            failure = _FAILURES.get(code, f"以 {code} 结束")
        _end(context, contracts, step, session, code == 0, failure)


def _run(step: str, session: str) -> StepRun:
    return StepRun(step, session, Parent.read(os.environ.get(PARENT, "")), Parent.read(os.environ.get(ROOT, "")))


def _begin(context: Context, step: str, session: str) -> None:
    try:
        lineage.give(context, [of_step(lineage.names(context.settings), _run(step, session), RunState.START, dt.datetime.now(dt.UTC))])
    except Exception as error:
        print(f"血缘事件没有写出：{type(error).__name__} {error}", flush=True)


def _end(context: Context, contracts: Mapping[str, Contract], step: str, session: str, did: bool, failure: str | None) -> None:
    """``did``: it has done what it is for; neither that nor a ``failure``: there was nothing to do."""
    now = dt.datetime.now(dt.UTC)
    try:
        names, run = lineage.names(context.settings), _run(step, session)
        with Ledger(context) as ledger:
            between = ledger.wrote_between(session)
            judged = ledger.judged_between(*between) if between and step in ("silver", "gold") else []
            release = ledger.current_release() if did and step == "publish" else None
        tables = {table_name(c): c for c in contracts.values()}
        lasting = [c for c in contracts.values() if failure is None or c.layer in LASTING]
        written = list(_written(context.settings, lasting, f"{step}/{session}", *between)) if between else []
        columns = model_columns.columns(context.settings, contracts) if any(w.table.startswith(("silver.", "gold.")) for w in written) else {}
        checks = [Check(tables[table].id, rule, says, passed) for table, rule, says, passed in judged if table in tables]
        events = [
            *of_tables(names, run, written, contracts, columns),
            *of_gate(names, run, checks, now, contracts),
            of_step(names, run, RunState.FAIL if failure else RunState.COMPLETE, now, release, failure),
        ]
        lineage.give(context, events)
    except Exception as error:
        print(f"血缘事件没有写出：{type(error).__name__} {error}", flush=True)


def _written(settings: Settings, contracts: list[Contract], stamp: str, opened: dt.datetime, closed: dt.datetime) -> Iterator[Written]:
    """The tables to which the program that wrote from ``opened`` to ``closed`` has committed something."""
    first, last = (int(moment.timestamp() * 1000) for moment in (opened, closed))
    for contract in contracts:
        try:
            commits = DeltaLog(store.folder_of(settings, table_name(contract))).commits_since(first)
        except (FileNotFoundError, LogDamaged):
            continue  # whoever reads it will say so
        # Commits to projections carry a note of their own; a statement that a dead program left running has another stamp.
        mine = [c for c in commits if c.at <= last and (c.text == stamp or contract.layer == "ops")]
        # In bronze that a table was made, or fenced off against a dead program, is nothing that has arrived.
        if not mine or (contract.layer == "bronze" and not any(c.files for c in mine)):
            continue
        rows = [c.rows for c in mine]
        yield Written(
            contract.id, mine[-1].version, _moment(mine[0].at), _moment(mine[-1].at), None if None in rows else sum(r or 0 for r in rows),
            sum(c.bytes for c in mine), sum(c.files for c in mine),
        )  # fmt: skip


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
