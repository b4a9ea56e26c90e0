"""Which feeds have something to take in: files that wait, readings that a killed run has left, replays that were asked for, sources to be read.

    python -m spark_jobs.waiting

The last line that it prints is a list, as JSON, of the arguments with which `spark_jobs.pipeline` takes each of them in.
"""

from __future__ import annotations

import json
import sys

from catalog.contract import Contract, load_contracts
from catalog.properties import Kind
from infra.ledger import Ledger
from infra.services.base import Context
from infra.services.postgres import connect
from spark_jobs import session
from spark_jobs.ingest.land import MANIFEST, inbox


def waiting(context: Context, ledger: Ledger) -> list[str]:
    """The feeds, by name, of which something waits or whose source is to be read. A manifest alone is nothing."""
    feeds = [c for c in load_contracts().values() if c.kind is Kind.FEED]
    begun = {d.feed for state in ("arrived", "landed") for d in ledger.deliveries(state=state)} | _to_read(context, feeds)
    return [f.name for f in feeds if f.name in begun or _delivered(context, f) or ledger.to_replay(f.name)]


def _to_read(context: Context, feeds: list[Contract]) -> set[str]:
    """The feeds that are read at their source, as far as this instance is connected with it."""
    values = context.settings.values
    found = {f.name for f in feeds if f.pages and values["pages"]["base"]}
    tables = {f.name: f.exchange.table for f in feeds if f.exchange}
    if values["exchange"]["url"]:
        return found | tables.keys()
    # The instance's own, for trying out: what is not there is not read.
    with connect(context, "exchange") as database:
        return found | {name for name, table in tables.items() if database.execute("SELECT to_regclass(%s)", (table,)).fetchone() != (None,)}


def _delivered(context: Context, feed: Contract) -> bool:
    return any(not p.name.startswith(".") and not p.name.endswith(MANIFEST) for p in inbox(context.settings, feed.name).iterdir())


def main() -> int:
    context = session.context()
    with Ledger(context) as ledger:
        found = waiting(context, ledger)
    titles = {c.name: c.title for c in load_contracts().values()}
    print(f"有待接收的数据源 {len(found)} 个{'：' if found else ''}{'、'.join(titles[name] for name in found)}", flush=True)
    print(json.dumps([["ingest", name] for name in found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
