"""``./lake demo``: the sample register, and a sandbox city with all feeds, from files to the dashboard, by the real scheduler, with visible progress."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from infra import accounts, arrivals, deliveries, pipelines
from infra.ledger import Ledger
from infra.services import airflow, catalog, superset
from infra.services.base import Context
from infra.services.trino import as_publisher
from infra.settings import REPO
from spark_jobs.ingest.land import MANIFEST

FEED = "registration_subjects"
SAMPLES = REPO / "samples"
CITY = ("--subjects", "20000", "--years", "3", "--cadence", "monthly")


def first_files() -> list[Path]:
    """The real register, one file for each year."""
    return sorted((SAMPLES / "registrations").glob("*.csv"))


def later_files() -> list[Path]:
    """What comes later: repeats, changes, corrections and faults, in the order in which they are sent."""
    return _data(SAMPLES / "later")


def other_files() -> dict[str, list[Path]]:
    """What other departments send, by feed."""
    return {f.name: _data(f) for f in sorted((SAMPLES / "others").iterdir()) if f.is_dir()}


def _data(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.endswith(MANIFEST))


def city_files(context: Context, out: Console) -> dict[str, list[Path]]:
    """What the departments of a sandbox city of 20,000 subjects send in three years, by feed; made where it isn't there yet."""
    folder = context.settings.folder("data") / "demo-city"
    if not (folder / "city.json").exists():
        out.print("Making a sandbox city: 20,000 market subjects, three years, 37 feeds")
        # A program of its own: neither the pipeline nor the simulator knows the other.
        begun = folder.with_name(f"{folder.name}.new")
        for left in (begun, folder):
            shutil.rmtree(left, ignore_errors=True)
        subprocess.run([sys.executable, "-P", "-m", "samples.city", str(begun), *CITY], check=True, cwd=REPO, stdout=subprocess.DEVNULL)
        begun.rename(folder)
    return {f.name: _data(f) for f in sorted((folder / "deliveries").iterdir())}


def deliver(context: Context, out: Console, city: bool) -> list[str]:
    """Send the samples, and with them a whole ``city``, and run the pipeline once. Return the deliveries.

    What the lake holds already is sent once more all the same: it must change nothing.
    """
    files = _together({FEED: first_files()}, {FEED: later_files(), **other_files()})
    what = "the register of past years and later deliveries"
    if city:
        files, what = _together(files, city_files(context, out)), "the samples and three years of a sandbox city"
    out.print(f"Delivering {sum(map(len, files.values()))} files ({what}) and running the pipeline in Airflow")
    sent: list[str] = []
    for feed, paths in files.items():
        sent += deliveries.hand_over(context, deliveries.feed(feed), paths, {})
    pipelines.run(context, out)
    return sent


def _together(*parts: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """Files by feed, those of the first part first."""
    return {feed: [path for part in parts for path in part.get(feed, ())] for feed in dict.fromkeys(feed for part in parts for feed in part)}


def loaded(context: Context) -> set[str]:
    """The ids of what the lake holds already, and of what it has refused."""
    with Ledger(context) as ledger:
        return {d.delivery_id for d in ledger.deliveries() if d.state in ("loaded", "refused")}


def summary(context: Context, before: set[str], out: Console) -> None:
    """Say what came out and where to look."""
    with Ledger(context) as ledger:
        release = ledger.current_release()
        held = ledger.deliveries(state="loaded")
        new = [d for d in held if d.delivery_id not in before]
        refused = ledger.deliveries(state="refused")
        total = ledger.accounts(release).values()
    out.print(f"\nLoaded now: {sum(d.row_count or 0 for d in new)} rows of {len(new)} deliveries; refused: {len(refused)} in all.")
    out.print(
        f"In the lake: arrived {sum(a.arrived for a in total)} = applied {sum(a.applied for a in total)} + superseded {sum(a.superseded for a in total)}"
        f" + duplicate {sum(a.duplicate for a in total)} + quarantined {sum(a.quarantined for a in total)} rows of {len(total)} deliveries."
    )
    cursor = as_publisher(context).cursor()
    cursor.execute("SELECT count(*), count_if(value_kind = 'simulated'), max(as_of), max(release_id) FROM lake.gold.archive_subject")
    subjects, simulated, as_of, shown = cursor.fetchall()[0]
    out.print(
        f"Release {release}, seen in Trino: {shown}. {subjects} market subjects ({simulated} of them made up for the demonstration), as of {as_of}."
    )
    out.print("A partial sample: its counts are no economic truth.")
    arrivals.account(context, out)
    arrivals.show(context, out)
    out.print(f"\n  dashboards  {superset.address(context)}   sign in as leader")
    out.print(f"  catalog     {catalog.address(context)}   sign in as steward; it follows the release a minute or two later")
    out.print(f"  pipelines   {airflow.address(context)}   sign in as operator")
    out.print('  SQL         ./lake query "SELECT * FROM gold.mart_registrations_monthly LIMIT 5"')
    out.print("  archive     ./lake archive 广州市演示一号")
    if accounts.initial_passwords(context):
        out.print(
            f"  passwords   generated at the first start, in {accounts.initial_passwords_file(context)}; change them with ./lake user passwd NAME",
            soft_wrap=True,
        )
