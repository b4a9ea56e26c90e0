"""What reading a source ourselves has in common, whatever the source: a reading becomes a file, and the file a delivery, exactly once.

A reading is written into the spool, made durable, noted in the ledger with its digest, and moved into the feed's inbox. Killed at any point, it is
made again (not noted) or handed over (noted). How far a feed has been read follows from the readings whose deliveries were taken.
"""

from __future__ import annotations

import json
from pathlib import Path

from catalog.contract import Contract
from infra import durable
from infra.ledger import Ledger, Pull, delivery_id
from infra.settings import Settings
from spark_jobs.ingest.land import MANIFEST, inbox

UNFINISHED = ".part"  # of a reading that goes on where it was cut


class Unreadable(Exception):
    """A source can't be read, or is not what was agreed; the text says what, and what to do, for the operator and the supplying department."""


def spool(settings: Settings, feed: Contract) -> Path:
    """Where a reading's file is written. What lies there and is noted belongs into the inbox."""
    return settings.folder(f"landing/pulled/{feed.name}")


def taken(settings: Settings, ledger: Ledger, feed: Contract, simulated: bool) -> list[Pull] | None:
    """The former readings whose rows the lake has; None while the last one waits to be taken.

    First hands over what a killed program had noted. A reading that was refused, or whose file is lost, counts as not made.
    """
    hand_over(settings, ledger, feed, simulated)
    readings = [p for p in ledger.pulls(feed.name) if p.problem is None]
    states = {d.delivery_id: d.state for d in ledger.deliveries(feed.name)}
    waiting = {path.name for path in inbox(settings, feed.name).iterdir()}
    became = {
        p.pull_id: states.get(delivery_id(feed.name, p.sha256), "arrived" if p.file_name in waiting else "lost") if p.sha256 else "loaded"
        for p in readings
    }
    if {"arrived", "landed"} & set(became.values()):
        return None
    return [p for p in readings if became[p.pull_id] not in ("refused", "lost")]


def deliver(
    settings: Settings,
    ledger: Ledger,
    feed: Contract,
    kind: str,
    upper_bound: str,
    path: Path,
    rows: int,
    withdrawn: int,
    number: int,
    simulated: bool,
) -> None:
    """Note a reading whose file is written, and put the file into the inbox; one without rows leaves no file."""
    digest = durable.digest_of(path)
    if not rows:
        path.unlink()
    ledger.note_pull(feed.name, kind, upper_bound, rows, withdrawn, path.name if rows else None, digest if rows else None, number=number)
    hand_over(settings, ledger, feed, simulated)


def hand_over(settings: Settings, ledger: Ledger, feed: Contract, simulated: bool) -> None:
    """Put the file of the last reading into the inbox, if it isn't there; remove what was never noted."""
    folder, noted = inbox(settings, feed.name), {p.file_name for p in ledger.pulls(feed.name)[-1:]}
    for path in sorted(spool(settings, feed).iterdir()):
        if path.name in noted:
            (folder / f"{path.name}{MANIFEST}").write_text(json.dumps({"simulated": simulated}), encoding="utf-8")
            path.rename(folder / path.name)
        elif not path.name.endswith(UNFINISHED):
            path.unlink()


def line(record: dict[str, object]) -> str:
    """A record as a line of JSON. A character that the source has lost stays with its record: written out, it would make the whole file suspect."""
    return json.dumps(record, ensure_ascii=False).replace("\ufffd", "\\ufffd") + "\n"
