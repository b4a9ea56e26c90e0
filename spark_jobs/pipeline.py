"""The four programs of a run: load, build, gate, publish. Each may be killed at any point and started again.

    python -m spark_jobs.pipeline load --run-id RUN

Exit codes: 0 done, 1 failed (try again), 3 refused (a gate failed: trying again changes nothing).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from catalog.contract import Contract, load_contracts
from catalog.derive import table_name
from catalog.properties import Kind
from infra import dashboards
from infra.ledger import Ledger, TableVersion
from infra.problems import Problem
from infra.services.base import Context
from spark_jobs import dbt_runs, delta, publish, session
from spark_jobs.ingest import land, load

REFUSED = 3
REFERENCES = {"silver.ref_area": "gbt2260_areas.csv"}


def released_tables(contracts: dict[str, Contract]) -> list[Contract]:
    """The tables that a release pins: all of silver and gold."""
    return [c for c in contracts.values() if c.layer in ("silver", "gold")]


def load_step(context: Context, ledger: Ledger, contracts: dict[str, Contract], run_id: str) -> None:
    """Open the run, set tables back to the current release, then land and load what waits."""
    parent = ledger.open_run(run_id)
    spark = session.connect(context)
    restore(spark, contracts, ledger.release_tables(parent) if parent else [])
    for identity, file in REFERENCES.items():
        print(f"{identity}: {load.load_reference(spark, ledger, contracts[identity], file, run_id)} rows", flush=True)
    for contract in (c for c in contracts.values() if c.kind is Kind.FEED):
        landings = land.land_waiting(context.settings, ledger, contract)
        for landing in landings:
            d = landing.delivery
            note = "" if landing.new else "（内容曾经到达，不再入湖）" if d.state == "loaded" else ""
            print(f"{d.delivery_id} {d.file_name}: {d.state}{note} {d.reason or ''}", flush=True)
        counts = load.load_waiting(spark, ledger, contract, run_id)
        print(f"{contract.id}: {sum(counts.values())} rows of {len(counts)} deliveries loaded", flush=True)


def restore(spark: SparkSession, contracts: dict[str, Contract], released: list[TableVersion]) -> None:
    """Set silver and gold back to the release; empty what no release knows. What a dead run left does not leak into this one."""
    versions = {t.table_name: t.version for t in released}
    for contract in released_tables(contracts):
        table = table_name(contract)
        if not spark.catalog.tableExists(table):
            continue
        newest = delta.current_version(spark, table).version
        if table in versions and newest != versions[table]:
            spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF {int(versions[table])}")
            print(f"{table}: set back from version {newest} to {versions[table]}", flush=True)
        elif table not in versions:
            spark.sql(f"DELETE FROM {table}")  # noqa: S608 - names come from contracts


def build_step(context: Context, ledger: Ledger, contracts: dict[str, Contract], run_id: str) -> None:
    """Build gold with dbt and note the candidate versions."""
    _expect(ledger, run_id, "open", "built")
    identity = os.environ.get("LAKE_SPARK_SESSION") or session.session_id(run_id, "build")
    result = dbt_runs.invoke(context, identity, "build", "--exclude", "test_type:unit")
    if not result.success:
        failed = [r.node.name for r in getattr(result.result, "results", []) if r.status not in ("success", "pass")]
        raise Problem(
            "dbt could not build gold", f"failed: {', '.join(failed) or result.exception}", "readers stay on the current release; see this log"
        )
    spark = session.connect(context, session.session_id(identity, "versions"))
    candidates = [delta.current_version(spark, table_name(c)) for c in released_tables(contracts)]
    ledger.built(run_id, candidates)
    for candidate in candidates:
        print(f"candidate {candidate.table_name} version {candidate.version}: {candidate.row_count} rows", flush=True)


def gate_step(context: Context, ledger: Ledger, contracts: dict[str, Contract], run_id: str) -> None:
    """Let Great Expectations judge the candidates; a failed rule abandons the run."""
    from expectations import gate  # slow to import, so only here

    _expect(ledger, run_id, "built", "gated")
    spark = session.connect(context)
    current = ledger.current_release()
    verdicts = gate.judge(spark, contracts, ledger.candidates(run_id), ledger.release_tables(current) if current else [])
    ledger.judged(run_id, [(v.table_name, v.version, v.rule, v.description, v.dimension, v.passed, v.observed) for v in verdicts])
    failed = [v for v in verdicts if not v.passed]
    if failed:
        lines = "；".join(f"{v.table_name} 版本 {v.version} 不满足“{v.description}”（实际：{v.observed}）" for v in failed)
        ledger.abandon(run_id, lines)
        print(f"发布被质量关口拦下：{lines}。读者仍看到上一次发布。", flush=True)
        sys.exit(REFUSED)
    ledger.gated(run_id)
    print(f"{len(verdicts)} expectations hold on {len({v.table_name for v in verdicts})} tables", flush=True)


def publish_step(context: Context, ledger: Ledger, contracts: dict[str, Contract], run_id: str) -> None:
    """Publish by one commit in the ledger, then make it visible."""
    _expect(ledger, run_id, "gated", "released")
    release = ledger.publish(run_id)
    make_visible(context, ledger, contracts)
    print(f"{release} is published", flush=True)


def make_visible(context: Context, ledger: Ledger, contracts: dict[str, Contract]) -> None:
    """Project the ledger and replay the views of the current release. Safe at any time."""
    spark = session.connect(context)
    for schema in publish.VIEW_SCHEMAS:
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    publish.project_ledger(spark, ledger, contracts)
    release = ledger.current_release()
    tables = ledger.release_tables(release) if release else []
    publish.replay_views(context, contracts, release, tables)
    # Dashboards keep answers for a day; those of an older release must go.
    dashboards.forget_cached(context, [t.table_name.replace("_tables.", ".") for t in tables])


def _expect(ledger: Ledger, run_id: str, *states: str) -> None:
    state = ledger.run_state(run_id)
    if state not in states:
        raise Problem(
            f"run {run_id} can't take this step", f"it is {state or 'unknown'}, not {' or '.join(states)}", "start the run again from its load step"
        )


STEPS: dict[str, Callable[[Context, Ledger, dict[str, Contract], str], None]] = {
    "load": load_step,
    "build": build_step,
    "gate": gate_step,
    "publish": publish_step,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--run-id", required=True)
    arguments = parser.parse_args()
    context = session.context()
    try:
        with Ledger(context) as ledger:
            STEPS[arguments.step](context, ledger, load_contracts(), arguments.run_id)
    except Problem as problem:
        print(f"{problem.what}\n  why: {problem.why}\n  do:  {problem.do}", file=sys.stderr, flush=True)
        return 1
    except PySparkException as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        print(f"Spark refused a statement: {lines[0]}\n  do:  see ./lake logs spark; the same step may be started again", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
