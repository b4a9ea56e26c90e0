"""Run dbt in this process, as a client of the Spark Connect server."""

from __future__ import annotations

import os
from typing import Any

from infra import settings
from infra.credentials import write_private
from infra.problems import Problem
from infra.services.base import Context
from infra.services.spark import remote
from spark_jobs.writing import Writer

PROFILE = "lake:\n  target: lake\n  outputs:\n    lake: {type: spark, method: session, host: localhost, schema: gold_tables, threads: 1}\n"


# Months in which a changed subject is or was counted: all registration dates that any of its records states, or stated before it was withdrawn.
_CHANGED_MONTHS = """
    SELECT DISTINCT cast(trunc(registration_date, 'MM') AS date) AS registration_month FROM (
        SELECT registration_date FROM silver_tables.subject_registration WHERE subject_id IN (SELECT subject_id FROM work.changed_subject)
        UNION ALL SELECT registration_date FROM work.changed_subject)
    WHERE registration_date IS NOT NULL"""


def build(context: Context, writer: Writer, number: int, anew: bool) -> None:
    """Build gold in the writer's own Spark session, so that its stamp is on every commit. ``number``: of the run. ``anew``: not from what is there.

    Raises:
        Problem: a model or a data test failed.
    """
    writer.spark.createDataFrame([(number,)], "write_number BIGINT").createOrReplaceTempView("this_run")
    if not anew:
        writer.stage(writer.spark.sql(_CHANGED_MONTHS), "changed_month")
    result = invoke(context, writer.session_id, "build", "--exclude", "test_type:unit", *(["--full-refresh"] if anew else []))
    if not result.success:
        failed = [r.node.name for r in getattr(result.result, "results", []) if r.status not in ("success", "pass")]
        raise Problem(
            "dbt could not build gold", f"failed: {', '.join(failed) or result.exception}", "readers stay on the current release; see this log"
        )


def invoke(context: Context, identity: str, *arguments: str) -> Any:
    """Run ``dbt <arguments>`` in the Spark session ``identity``; return dbt's own result (``success``, ``result``, ``exception``)."""
    from dbt.cli.main import dbtRunner  # slow to import, so only here

    os.environ.update(remote(context))
    os.environ["SPARK_REMOTE"] += f"/;user_id=lake;session_id={identity}"
    os.environ.update({"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"})
    folder = context.settings.folder("conf/dbt")
    write_private(folder / "profiles.yml", PROFILE)
    places = {
        "--project-dir": settings.REPO / "dbt",
        "--profiles-dir": folder,
        "--target-path": context.settings.folder("data/dbt"),
        "--log-path": context.settings.folder("logs/dbt"),
    }
    return dbtRunner().invoke([*arguments, *(str(part) for place in places.items() for part in place), "--no-use-colors", "--no-version-check"])
