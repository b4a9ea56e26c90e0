"""All feeds of small sandbox cities, drawn afresh: no order, batching or repetition of deliveries changes what they say."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.contract import load_contracts
from catalog.properties import Kind
from infra.bench.peers.common import COLUMNS, applied
from infra.services.trino import as_publisher
from infra.settings import REPO
from spark_jobs.ingest.land import MANIFEST

FEEDS = [c for c in load_contracts().values() if c.kind is Kind.FEED]
BATCHES, AGAIN = 3, 0.15  # goes in which the city's files are sent; share of them that is sent once more


@pytest.fixture
def city(tmp_path: Path) -> tuple[int, list[tuple[str, Path]]]:
    """A seed, and the files of its city by feed."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    make = [sys.executable, "-P", "-m", "samples.city", str(tmp_path / "city"), "--subjects", "300", "--years", "1", "--cadence", "monthly"]
    subprocess.run([*make, "--seed", str(seed), "--draw", str(seed)], check=True, cwd=REPO, capture_output=True)
    return seed, [(p.parent.name, p) for p in sorted((tmp_path / "city" / "deliveries").glob("*/*")) if not p.name.endswith(MANIFEST)]


@pytest.fixture
def instance(published: Any) -> Iterator[Any]:
    """An instance of its own, running, with nothing in it."""
    made = type(published._stack)("test-city", 5000, memory_available_gib=3)
    made.remove()
    made.write_settings()
    made.lake("up", timeout=600)
    yield made
    made.lake("down", check=False)
    made.remove()


def send(instance: Any, feed: str, path: Path, name: str) -> None:
    """Put a file with its manifest into the inbox of its feed, as a department would."""
    inbox = instance.state / "landing" / "inbox" / feed
    for source, shown in ((path.with_name(path.name + MANIFEST), name + MANIFEST), (path, name)):
        temporary = inbox / f".{shown}.new"
        temporary.write_bytes(source.read_bytes())
        temporary.chmod(0o644)
        temporary.replace(inbox / shown)


INBOXES = """
import sys
from infra.settings import load
from spark_jobs.ingest.land import inbox
for name in sys.argv[1:]:
    inbox(load(), name)
"""


def inboxes(instance: Any) -> None:
    """Make the inboxes, as the service user's own."""
    instance.python(INBOXES, *[f.name for f in FEEDS])


def outcome(instance: Any) -> dict[str, tuple[int, str]]:
    """Rows and digest of the business columns of everything that the feeds say, whatever they came in."""
    cursor = as_publisher(instance.context).cursor()
    queries = {"archive": f"SELECT {', '.join(COLUMNS)} FROM lake.gold.archive_subject ORDER BY subject_id"}
    for feed in FEEDS:
        if feed.record_key:
            queries[feed.name] = applied(f"lake.silver.{feed.name}")
        own = ", ".join(c.name for c in feed.columns if not c.reserved)
        queries[f"{feed.name}, set aside"] = f"SELECT DISTINCT {own}, array_join(reasons, ' ') FROM lake.silver.{feed.name}_quarantine ORDER BY {own}"
    found = {}
    for name, query in queries.items():
        rows = cursor.execute(query).fetchall()
        found[name] = (len(rows), hashlib.sha256(repr(rows).encode()).hexdigest())
    return found


@pytest.mark.long
@pytest.mark.timeout(3 * 3600)
def test_no_order_or_batching_of_any_feed_changes_what_it_says(published, city, instance):
    seed, files = city
    order = random.Random(seed)
    inboxes(instance)
    for feed, path in files:
        send(instance, feed, path, path.name)
    instance.lake("run", timeout=3600)
    at_once = outcome(instance)
    assert {name for name, (rows, _) in at_once.items() if rows} >= {"archive", "penalties", "complaints", "trademark_applications", "tax_flags"}

    instance.lake("down")
    instance.remove()
    instance.write_settings()
    instance.lake("up", timeout=600)
    inboxes(instance)
    batches: list[list[tuple[str, Path, str]]] = [[] for _ in range(BATCHES)]
    for feed, path in files:
        first = order.randrange(BATCHES)
        batches[first].append((feed, path, path.name))
        if order.random() < AGAIN:
            batches[order.randrange(first, BATCHES)].append((feed, path, f"再报_{path.name}"))
    for batch in batches:
        # Files are taken in the order of their names.
        for number, (feed, path, name) in enumerate(order.sample(batch, len(batch))):
            send(instance, feed, path, f"{number:04}_{name}")
        instance.lake("run", timeout=3600)
    assert outcome(instance) == at_once, f"seed {seed}"
