"""Keep the store small: compact bronze, remove files that no kept release needs (docs/decisions/0012).

    python -m spark_jobs.maintain [HOURS]

Silver and gold are compacted by the runs that write them; a commit outside a run would be undone by the next.
"""

from __future__ import annotations

import datetime as dt
import math
import sys

from catalog.contract import load_contracts
from catalog.derive import all_tables
from infra import store
from infra.ledger import Ledger
from infra.problems import Problem
from infra.services.base import Context
from spark_jobs import delta, session
from spark_jobs.pipeline import Lake
from spark_jobs.writing import Writer, writing

# What every table has from creation as `delta.deletedFileRetentionDuration`, by which alone this Delta cleans; RETAIN is ignored by it.
LEAST_HOURS = 36 * 24
SPARE_HOURS = 24
LOG_DAYS = 400  # `delta.logRetentionDuration` from creation
SMALL_FILES, SMALL_BYTES = 50, 32 * 2**20


def needed_hours(ledger: Ledger, now: dt.datetime) -> tuple[int, str | None]:
    """For how many hours files must stay, and the oldest kept release, for whose sake."""
    every = {r[0]: r for r in ledger.releases()}

    def since(release: str) -> dt.datetime:
        """When the versions of a release were first published: files of a restored one may have been put away soon after that."""
        _, kind, parent, published_at, *_ = every[release]
        return since(parent) if kind == "restore" and parent in every else published_at

    kept = {r: since(r) for r in ledger.kept_releases(store.HOLD)}
    if not kept:
        return LEAST_HOURS, None
    oldest = min(kept, key=lambda r: kept[r])
    age = math.ceil((now - kept[oldest]).total_seconds() / 3600)
    return max(LEAST_HOURS, age + SPARE_HOURS), oldest


def maintain(context: Context, hours: int | None = None) -> None:
    """Compact and clean. ``hours``: keep removed files for so long; default: for as long as a kept release may need them.

    Raises:
        Problem: a kept release stands in the way of ``hours``.
    """
    lake = Lake(context, all_tables(load_contracts()))
    with writing(context, "maintain", ()) as writer:
        least, oldest = needed_hours(writer.ledger, dt.datetime.now(dt.UTC))
        if hours is not None and hours < least:
            raise Problem(
                f"不能只保留 {hours} 小时的旧文件",
                f"发布 {oldest} 可能还要恢复，它的文件至少要留 {least} 小时" if oldest else f"至少要留 {least} 小时",
                f"写 --hours {least} 或更大，或不写",
            )
        keep = hours or least
        for table in lake.names("bronze", "silver", "gold", "ops"):
            if not writer.spark.catalog.tableExists(table):
                continue
            if table.startswith("bronze.") and _small_files(writer, table) > SMALL_FILES:
                before = delta.newest_version(table)
                writer.spark.sql(f"OPTIMIZE {table}")
                delta.settle(table, before)
            if keep > LEAST_HOURS:
                days = math.ceil(keep / 24)
                # Right before cleaning: a run that sets a table back, or builds it anew, sets the property back too.
                writer.spark.sql(
                    f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval {days} days',"
                    f" 'delta.logRetentionDuration' = 'interval {max(days + 9, LOG_DAYS)} days')"
                )
            writer.spark.sql(f"VACUUM {table}").collect()
            print(f"{table}: 清理了 {keep} 小时以前就不再使用的文件", flush=True)


def _small_files(writer: Writer, table: str) -> int:
    """How many files a table has, if they are small on average."""
    files, size = writer.spark.sql(f"DESCRIBE DETAIL {table}").select("numFiles", "sizeInBytes").collect()[0]
    return int(files) if size < files * SMALL_BYTES else 0


def main() -> int:
    try:
        maintain(session.context(), int(sys.argv[1]) if len(sys.argv) > 1 else None)
    except Problem as problem:
        print(f"{problem.what}\n  why: {problem.why}\n  do:  {problem.do}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
