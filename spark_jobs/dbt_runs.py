"""Run dbt in this process, as a client of the Spark Connect server."""

from __future__ import annotations

import os
from typing import Any

from infra import settings
from infra.credentials import write_private
from infra.services.base import Context
from infra.services.spark import remote

PROFILE = "lake:\n  target: lake\n  outputs:\n    lake: {type: spark, method: session, host: localhost, schema: gold_tables, threads: 1}\n"


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
