"""The ledger: deliveries, runs, write epochs and releases, in PostgreSQL, with one state machine.

Everything else (Airflow's database, ``ops.*`` in the lake) may be lost or lag; this is the truth.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from infra.clock import china_day
from infra.services.base import Context
from infra.services.postgres import connect

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Delivery:
    """A content that was received once. ``state``: arrived, landed, refused, loaded, held or withdrawn. ``reading``: how often its bytes were read.

    ``budget_waived``: it counts however many of its rows are bad. ``landed_path``: its records, below the landing folder.
    """

    delivery_id: str
    feed: str
    file_name: str
    state: str
    landed_path: str | None
    row_count: int | None
    arrived_at: str
    reason: str | None
    business_date: dt.date | None
    source_revision: int
    simulated: bool
    reading: int = 1
    budget_waived: bool = False

    @property
    def arrived_on(self) -> dt.date:
        """The day of arrival in China."""
        return china_day(dt.datetime.fromisoformat(self.arrived_at))


@dataclass(frozen=True)
class Proposal:
    """What somebody wants changed in the declarations: ``edits`` of one target, each (attribute, old, new).

    ``decision``: approved, rejected, withdrawn or None (open).
    """

    proposal_id: int
    kind: str
    target: str
    edits: tuple[tuple[str, str, str], ...]
    reason: str
    who: str
    proposed_at: dt.datetime
    decision: str | None = None
    note: str | None = None
    decided_by: str | None = None
    decided_at: dt.datetime | None = None


@dataclass(frozen=True)
class Feedback:
    """What somebody answers to an alert: ``answer`` is confirmed, rejected or more (needed); the rest is what the alert said."""

    alert_id: str
    answer: str
    note: str | None
    right_name: str
    trademark_name: str
    mark_number: str
    nice_class: int
    verdict: str
    score: Decimal
    act_until: dt.date | None
    release_id: str


@dataclass(frozen=True)
class RectificationEvent:
    """What somebody did about an item of the rectification ledger: a kind of problem (``scope``, ``rule``) of a feed, of one department.

    ``kind``: assigned (to ``owner``, ``until`` a deadline), exported (``records`` of them in a workbook, ``place`` and ``sha256``), exempted (``until`` a
    last day, for the reason in ``note``), lifted (an exemption), disputed, upheld, dismissed (a ``record``, with the evidence in ``note``), noted.
    """

    feed: str
    department: str
    scope: str
    rule: str
    kind: str
    who: str
    happened_at: dt.datetime
    owner: str | None = None
    until: dt.date | None = None
    record: str | None = None
    note: str | None = None
    records: int | None = None
    place: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Statement:
    """What the sender states beside a file. ``business_date``: the day that the content describes (Asia/Shanghai).

    ``rows`` and ``sha256`` are compared with what came and not kept.
    """

    department: str
    business_date: dt.date | None = None
    source_revision: int = 0
    simulated: bool = False
    rows: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Pull:
    """A reading of the exchange database, or of a platform's pages. ``kind``: changes, comparison or pages. ``upper_bound``: changes up to this time, as the source writes it, are in it.

    ``sha256``: of the file that it became; None where there was nothing. ``problem``: why it could not be made.
    """

    pull_id: int
    feed: str
    kind: str
    upper_bound: str | None
    row_count: int
    withdrawn: int
    file_name: str | None
    sha256: str | None
    problem: str | None
    pulled_at: dt.datetime


@dataclass(frozen=True)
class Account:
    """What became of a delivery's rows; ``arrived`` is the sum of the next four. ``repeated``: rows that repeat another one of the same delivery."""

    delivery_id: str
    arrived: int
    applied: int
    superseded: int
    duplicate: int
    quarantined: int
    repeated: int = 0


@dataclass(frozen=True)
class Finding:
    """How many rows of a delivery failed a rule of its contract, and the first of them."""

    delivery_id: str
    rule: str
    severity: str
    description: str
    affected: int
    first_row: int


@dataclass(frozen=True)
class Run:
    """The attempt to make a release that is under way."""

    run_id: str
    state: str
    parent_release_id: str | None
    silver_build: str | None
    number: int  # rises from run to run; stands in the rows that the run writes


@dataclass(frozen=True)
class StoppedRun:
    """A run that made no release and will make none by itself. ``state``: how far it came; ``failed``: table, rule and description of what a gate refused."""

    run_id: str
    state: str
    stopped_at: dt.datetime
    failed: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Told:
    """Whether a group of people has been told of something: not yet, as long as ``sent_at`` is None. ``error``: what the server said last."""

    key: str
    recipient: str
    noticed_at: dt.datetime
    sent_at: dt.datetime | None
    tries: int
    error: str | None


@dataclass(frozen=True)
class TableVersion:
    """A Delta version of ``schema.table``, how many rows it has and the checksum of its content."""

    table_name: str
    version: int
    row_count: int
    checksum: str | None = None


_DELIVERY = (
    "delivery_id, feed, file_name, state, landed_path, row_count, to_char(arrived_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), reason, "
    "business_date, source_revision, simulated, reading, budget_waived"
)


def delivery_id(feed: str, sha256: str) -> str:
    """``D`` and 16 hex digits: the same bytes in the same feed have one id, for ever."""
    return "D" + hashlib.sha256(f"{feed}:{sha256}".encode()).hexdigest()[:16]


class Ledger:
    """A connection to the ledger. Each method is one transaction."""

    def __init__(self, context: Context) -> None:
        self._connection = connect(context, "ledger")
        self._migrate()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def _migrate(self) -> None:
        """Apply the numbered migrations that are missing; two programs at once wait for each other."""
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(4401)")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            done = {row[0] for row in self._connection.execute("SELECT name FROM migration")}
            for path in sorted(MIGRATIONS.glob("*.sql")):
                if path.name not in done:
                    self._connection.execute(path.read_text())
                    self._connection.execute("INSERT INTO migration (name) VALUES (%s)", (path.name,))

    # ---- deliveries ----

    def arrive(self, feed: str, sha256: str, size: int, file_name: str, says: Statement) -> tuple[Delivery, bool]:
        """Note that a content arrived. Returns the delivery and whether it is new.

        A content that was refused before is taken up anew, with what the sender states this time.
        """
        identity = delivery_id(feed, sha256)
        stated = (says.department, says.business_date, says.source_revision, says.simulated)
        with self._connection.transaction():
            new = self._connection.execute(
                "INSERT INTO delivery (delivery_id, feed, sha256, bytes, file_name, department, business_date, source_revision, simulated)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (feed, sha256) DO NOTHING",
                (identity, feed, sha256, size, file_name, *stated),
            ).rowcount
            self._connection.execute(
                "INSERT INTO sighting (delivery_id, file_name, outcome) VALUES (%s, %s, %s)", (identity, file_name, "first" if new else "duplicate")
            )
            self._connection.execute(
                "UPDATE delivery SET state = 'arrived', reason = NULL, file_name = %s, department = %s, business_date = %s, source_revision = %s, simulated = %s"
                " WHERE delivery_id = %s AND state = 'refused'",
                (file_name, *stated, identity),
            )
        return self.delivery(identity), bool(new)

    def namesake(self, feed: str, file_name: str, identity: str) -> Delivery | None:
        """Another delivery that was taken under the same file name, the newest one: other bytes, not refused."""
        row = self._connection.execute(
            f"SELECT {_DELIVERY} FROM delivery WHERE feed = %s AND file_name = %s AND delivery_id <> %s AND state IN ('landed', 'loaded')"  # noqa: S608
            " ORDER BY source_revision DESC, arrived_at DESC LIMIT 1",
            (feed, file_name, identity),
        ).fetchone()
        return Delivery(*row) if row else None

    def delivery(self, identity: str) -> Delivery:
        row = self._connection.execute(f"SELECT {_DELIVERY} FROM delivery WHERE delivery_id = %s", (identity,)).fetchone()  # noqa: S608 - a constant
        if row is None:
            raise KeyError(identity)
        return Delivery(*row)

    def deliveries(self, feed: str | None = None, state: str | None = None) -> list[Delivery]:
        """Deliveries in the order of arrival."""
        rows = self._connection.execute(
            f"SELECT {_DELIVERY} FROM delivery WHERE (%s::text IS NULL OR feed = %s) AND (%s::text IS NULL OR state = %s) ORDER BY arrived_at, delivery_id",  # noqa: S608
            (feed, feed, state, state),
        )
        return [Delivery(*row) for row in rows]

    def rows_arrived(self) -> int:
        """Rows of all deliveries that have landed."""
        return int(self._one("SELECT coalesce(sum(row_count), 0) FROM delivery"))

    def revised(self) -> list[tuple[str, dt.datetime, str]]:
        """Loaded deliveries that a later one replaces (of the same feed, department and business date, with a higher revision), when the first
        of these arrived, and its id."""
        return [
            (str(row[0]), row[1], str(row[2]))
            for row in self._connection.execute(
                """SELECT DISTINCT ON (o.delivery_id) o.delivery_id, n.arrived_at, n.delivery_id
                FROM delivery n JOIN delivery o USING (feed, department, business_date)
                WHERE n.state = 'loaded' AND o.state = 'loaded' AND n.source_revision > o.source_revision AND n.arrived_at > o.arrived_at
                ORDER BY o.delivery_id, n.arrived_at, n.delivery_id"""
            )
        ]

    def sha256(self, identity: str) -> str:
        row = self._connection.execute("SELECT sha256 FROM delivery WHERE delivery_id = %s", (identity,)).fetchone()
        if row is None:
            raise KeyError(identity)
        return str(row[0])

    def landed(self, identity: str, path: str, rows: int) -> None:
        self._connection.execute(
            "UPDATE delivery SET state = 'landed', landed_path = %s, row_count = %s WHERE delivery_id = %s", (path, rows, identity)
        )

    def refuse(self, identity: str, reason: str) -> None:
        self._connection.execute("UPDATE delivery SET state = 'refused', reason = %s WHERE delivery_id = %s", (reason, identity))

    def loaded(self, identities: list[str]) -> None:
        self._connection.execute(
            "UPDATE delivery SET state = 'loaded', loaded_at = clock_timestamp() WHERE delivery_id = ANY(%s) AND state = 'landed'", (identities,)
        )

    # ---- readings of sources ----

    def pulls(self, feed: str | None = None) -> list[Pull]:
        """Readings in the order in which they were made."""
        rows = self._connection.execute(
            "SELECT pull_id, feed, kind, upper_bound, row_count, withdrawn, file_name, sha256, problem, pulled_at FROM pull"
            " WHERE (%s::text IS NULL OR feed = %s) ORDER BY pull_id",
            (feed, feed),
        )
        return [Pull(*row) for row in rows]

    def next_pull(self) -> int:
        """A number that no reading has."""
        return int(self._one("SELECT nextval('pull_number')"))

    def note_pull(
        self,
        feed: str,
        kind: str,
        upper_bound: str | None = None,
        row_count: int = 0,
        withdrawn: int = 0,
        file_name: str | None = None,
        sha256: str | None = None,
        problem: str | None = None,
        number: int | None = None,
    ) -> None:
        """Note what a reading has found, or why it could not be made. A comparison that was asked for is no longer due."""
        with self._connection.transaction():
            self._connection.execute(
                "INSERT INTO pull (pull_id, feed, kind, upper_bound, row_count, withdrawn, file_name, sha256, problem)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (number or self.next_pull(), feed, kind, upper_bound, row_count, withdrawn, file_name, sha256, problem),
            )
            if kind == "comparison":
                self._connection.execute("DELETE FROM comparison_asked WHERE feed = %s", (feed,))

    def ask_comparison(self, feed: str, who: str) -> None:
        """Let the next run compare the whole table of a feed."""
        self._connection.execute("INSERT INTO comparison_asked (feed, asked_by) VALUES (%s, %s) ON CONFLICT DO NOTHING", (feed, who))

    def comparison_asked(self, feed: str) -> bool:
        return bool(self._one("SELECT EXISTS (SELECT FROM comparison_asked WHERE feed = %s)", feed))

    # ---- what people decide about deliveries (docs/decisions/0018) ----

    def withdraw(self, identity: str, reason: str, who: str) -> None:
        """Let a delivery not count any more; the next run takes its rows out.

        Raises:
            ValueError: it is neither landed, loaded nor held.
        """
        self._decide(
            identity,
            "withdrawn",
            reason,
            who,
            "SET state = 'withdrawn', reason = %s WHERE state IN ('landed', 'loaded', 'held')",
            f"已撤回：{reason}",
        )

    def reinstate(self, identity: str, reason: str, who: str) -> None:
        """Let a withdrawn delivery count again, from the next run on.

        Raises:
            ValueError: it is not withdrawn.
        """
        self._decide(identity, "reinstated", reason, who, "SET state = 'landed', reason = %s WHERE state = 'withdrawn'", None)

    def hold(self, identity: str, reason: str) -> None:
        """Keep a loaded delivery out until somebody decides: too many of its rows are bad."""
        self._decide(identity, "held", reason, "lake", "SET state = 'held', reason = %s WHERE state = 'loaded'", reason)

    def accept(self, identity: str, reason: str, who: str) -> None:
        """Let a held delivery count in spite of its bad rows.

        Raises:
            ValueError: it is not held.
        """
        self._decide(identity, "accepted", reason, who, "SET state = 'landed', budget_waived = true, reason = %s WHERE state = 'held'", None)

    def ask_replay(self, identity: str, reason: str, who: str) -> None:
        """Let the kept bytes of a loaded delivery be read again by the next run.

        Raises:
            ValueError: it is not loaded.
        """
        self._decide(identity, "replay_asked", reason, who, "SET reading_wanted = reading + 1, reason = %s WHERE state = 'loaded'", None)

    def _decide(self, identity: str, event: str, reason: str, who: str, change: LiteralString, note: str | None) -> None:
        with self._connection.transaction():
            done = self._connection.execute(
                psycopg.sql.SQL("UPDATE delivery ") + psycopg.sql.SQL(change) + psycopg.sql.SQL(" AND delivery_id = %s"), (note, identity)
            )
            if done.rowcount != 1:
                raise ValueError(f"{identity} is {self.delivery(identity).state}")
            self._note_event(identity, event, reason, who)

    def _note_event(self, identity: str, event: str, reason: str, who: str) -> None:
        self._connection.execute(
            "INSERT INTO delivery_event (delivery_id, event, reason, decided_by) VALUES (%s, %s, %s, %s)", (identity, event, reason, who)
        )

    def to_replay(self, feed: str) -> list[Delivery]:
        """Loaded deliveries whose kept bytes shall be read again."""
        rows = self._connection.execute(
            f"SELECT {_DELIVERY} FROM delivery WHERE feed = %s AND state = 'loaded' AND reading_wanted > reading ORDER BY arrived_at, delivery_id",  # noqa: S608
            (feed,),
        )
        return [Delivery(*row) for row in rows]

    def replayed(self, identity: str, path: str, rows: int) -> bool:
        """Note that the bytes were read again: the delivery is landed once more, and bronze is to take the new reading.

        Returns False, and notes nothing, where somebody has withdrawn it meanwhile.
        """
        with self._connection.transaction():
            done = self._connection.execute(
                "UPDATE delivery SET state = 'landed', reading = reading_wanted, landed_path = %s, row_count = %s"
                " WHERE delivery_id = %s AND state = 'loaded'",
                (path, rows, identity),
            )
            if done.rowcount == 1:
                self._note_event(identity, "replayed", f"{rows} records", "lake")
        return done.rowcount == 1

    def replay_refused(self, identity: str, reason: str) -> None:
        """Note that the bytes can't be read as things are now: the delivery stays as it was loaded."""
        with self._connection.transaction():
            self._connection.execute("UPDATE delivery SET reading_wanted = reading WHERE delivery_id = %s", (identity,))
            self._note_event(identity, "replay_refused", reason, "lake")

    def events(self, identity: str) -> list[tuple[str, str, str, dt.datetime]]:
        """What was decided about a delivery, oldest first: event, reason, by whom, when."""
        rows = self._connection.execute(
            "SELECT event, reason, decided_by, happened_at FROM delivery_event WHERE delivery_id = %s ORDER BY happened_at", (identity,)
        )
        return [tuple(row) for row in rows]

    # ---- writers ----

    def hold_writer(self, waiting: Callable[[], None]) -> None:
        """Become the one writing program; held until this connection ends, however it ends.

        ``waiting`` is called every few seconds as long as another program writes.
        """
        while not self._one("SELECT pg_try_advisory_lock(4403)"):
            waiting()
            time.sleep(5)

    def open_session(self, session_id: str, step: str) -> list[str]:
        """Note the Spark session of the program that now writes; return those that earlier programs left open."""
        with self._connection.transaction():
            left = [str(row[0]) for row in self._connection.execute("SELECT session_id FROM writer_session WHERE closed_at IS NULL")]
            self._connection.execute("INSERT INTO writer_session (session_id, step) VALUES (%s, %s) ON CONFLICT DO NOTHING", (session_id, step))
        return [s for s in left if s != session_id]

    def close_session(self, session_id: str) -> None:
        self._connection.execute("UPDATE writer_session SET closed_at = clock_timestamp() WHERE session_id = %s AND closed_at IS NULL", (session_id,))

    def wrote_between(self, session_id: str) -> tuple[dt.datetime, dt.datetime] | None:
        """From when to when a program was the one that writes; None where it never was, or still is."""
        row = self._connection.execute(
            "SELECT opened_at, closed_at FROM writer_session WHERE session_id = %s AND closed_at IS NOT NULL", (session_id,)
        ).fetchone()
        return (row[0], row[1]) if row else None

    # ---- runs ----

    def open_run(self, run_id: str, silver_build: str) -> Run:
        """Open a run on the current release. A run that is still under way is abandoned: whoever opens holds the writer."""
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(4402)")
            self._connection.execute(
                "UPDATE run SET state = 'abandoned', closed_at = clock_timestamp(), reason = %s WHERE state NOT IN ('released', 'abandoned')",
                (f"left behind; {run_id} took over",),
            )
            parent = self.base_release()
            row = self._connection.execute(
                "INSERT INTO run (run_id, parent_release_id, silver_build) VALUES (%s, %s, %s) RETURNING number", (run_id, parent, silver_build)
            ).fetchone()
            assert row
        return Run(run_id, "open", parent, silver_build, int(row[0]))

    def live_run(self) -> Run | None:
        """The run that is neither released nor abandoned; there is at most one."""
        row = self._connection.execute(
            "SELECT run_id, state, parent_release_id, silver_build, number FROM run WHERE state NOT IN ('released', 'abandoned')"
        ).fetchone()
        return Run(*row) if row else None

    def run_state(self, run_id: str) -> tuple[str, str | None] | None:
        """State and reason of a run."""
        row = self._connection.execute("SELECT state, reason FROM run WHERE run_id = %s", (run_id,)).fetchone()
        return (str(row[0]), row[1]) if row else None

    def abandoned_since(self, moment: dt.datetime) -> list[tuple[str, str]]:
        """Runs that were abandoned after ``moment``, with their reasons."""
        rows = self._connection.execute("SELECT run_id, reason FROM run WHERE state = 'abandoned' AND closed_at > %s ORDER BY closed_at", (moment,))
        return [(str(r[0]), str(r[1])) for r in rows]

    def stopped_runs(self, idle: dt.timedelta) -> list[StoppedRun]:
        """Runs after the last release that a gate has refused, and one that is under way at which nobody has worked for so long."""
        refused = self._connection.execute(
            """SELECT r.run_id, r.closed_at, array_agg(ARRAY[g.table_name, g.rule, g.description] ORDER BY g.table_name, g.rule)
            FROM run r JOIN gate_result g USING (run_id)
            WHERE r.state = 'abandoned' AND NOT g.passed AND r.closed_at > coalesce((SELECT max(published_at) FROM release), '-infinity')
            GROUP BY 1, 2 ORDER BY 2, 1"""
        )
        # Whoever writes holds the lease (`hold_writer`); when it was last held, sessions and epochs say.
        left = self._connection.execute(
            """SELECT run_id, state, worked_at FROM (
                SELECT run_id, state, greatest(
                    opened_at, (SELECT max(taken_at) FROM epoch), (SELECT max(greatest(s.opened_at, s.closed_at)) FROM writer_session s)) AS worked_at
                FROM run WHERE state NOT IN ('released', 'abandoned')) live
            WHERE worked_at < clock_timestamp() - %s AND NOT EXISTS (
                SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = 4403 AND objsubid = 1 AND granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))""",
            (idle,),
        )
        return [
            *(StoppedRun(run, "refused", at, tuple((str(t), str(rule), str(says)) for t, rule, says in failed)) for run, at, failed in refused),
            *(StoppedRun(*row) for row in left),
        ]

    def builds(self, release_id: str | None) -> tuple[str | None, str | None]:
        """With what silver and gold of a release were built: the newest run in its chain."""
        row = self._connection.execute(
            "SELECT silver_build, gold_build FROM run JOIN release_chain(%s) USING (run_id) ORDER BY depth LIMIT 1", (release_id,)
        ).fetchone()
        return (row[0], row[1]) if row else (None, None)

    def contained(self, release_id: str | None) -> dict[str, int]:
        """The deliveries that a release contains, each with the reading that went into it."""
        return {str(row[0]): int(row[1]) for row in self._connection.execute("SELECT delivery_id, reading FROM release_accounts(%s)", (release_id,))}

    def accounts(self, release_id: str | None) -> dict[str, Account]:
        """The accounts of the deliveries that a release contains, by delivery."""
        rows = self._connection.execute(
            "SELECT delivery_id, arrived, applied, superseded, duplicate, quarantined, repeated FROM release_accounts(%s)", (release_id,)
        )
        return {row[0]: Account(*row) for row in rows}

    def findings(self, release_id: str | None, identity: str) -> list[Finding]:
        """What the rules found in a delivery, the most frequent first."""
        rows = self._connection.execute(
            "SELECT delivery_id, rule, severity, description, affected, first_row FROM release_findings(%s) WHERE delivery_id = %s"
            " ORDER BY (severity = 'quarantine') DESC, affected DESC, rule",
            (release_id, identity),
        )
        return [Finding(*row) for row in rows]

    def refined(
        self, run_id: str, tables: list[TableVersion], taken: list[Delivery], accounts: list[Account], findings: list[Finding], withdrawn: list[str]
    ) -> None:
        """Note what silver holds: candidate versions, accounts of the deliveries touched, findings of those ``taken``, and which it has taken out."""
        reading = {d.delivery_id: d.reading for d in taken}
        contained = self.contained(self._one("SELECT parent_release_id FROM run WHERE run_id = %s", run_id))
        with self._connection.transaction():
            self._note_candidates(run_id, tables)
            for a in accounts:
                self._connection.execute(
                    "INSERT INTO run_delivery (run_id, delivery_id, arrived, applied, superseded, duplicate, quarantined, repeated, reading, refined)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (
                        run_id, a.delivery_id, a.arrived, a.applied, a.superseded, a.duplicate, a.quarantined, a.repeated,
                        reading.get(a.delivery_id) or contained[a.delivery_id], a.delivery_id in reading,
                    ),
                )  # fmt: skip
            for identity in withdrawn:
                self._connection.execute(
                    "INSERT INTO run_delivery (run_id, delivery_id, arrived, applied, superseded, duplicate, quarantined, withdrawn, refined)"
                    " VALUES (%s, %s, 0, 0, 0, 0, 0, true, false)",
                    (run_id, identity),
                )
            for f in findings:
                self._connection.execute(
                    "INSERT INTO run_finding VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    (run_id, f.delivery_id, f.rule, f.severity, f.description, f.affected, f.first_row),
                )
            self._step(run_id, "refined")

    def taken_out(self, run_id: str) -> list[str]:
        """The withdrawn deliveries whose rows a run has taken out."""
        return [str(row[0]) for row in self._connection.execute("SELECT delivery_id FROM run_delivery WHERE run_id = %s AND withdrawn", (run_id,))]

    def rows_left(self, run_id: str) -> list[str]:
        """The deliveries whose rows of before are gone: withdrawn, or read anew by a run that came after another one."""
        rows = self._connection.execute(
            """SELECT delivery_id FROM run_delivery AS mine WHERE run_id = %s AND (withdrawn OR refined AND EXISTS
            (SELECT 1 FROM run_delivery AS other WHERE other.delivery_id = mine.delivery_id AND other.run_id <> mine.run_id))""",
            (run_id,),
        )
        return [str(row[0]) for row in rows]

    def take_epoch(self, run_id: str | None, table_name: str, step: str) -> int:
        """A rising number for one write statement: its ``txnVersion``."""
        row = self._connection.execute(
            "INSERT INTO epoch (run_id, table_name, step) VALUES (%s, %s, %s) RETURNING epoch", (run_id, table_name, step)
        ).fetchone()
        assert row
        return int(row[0])

    def built(self, run_id: str, tables: list[TableVersion], gold_build: str) -> None:
        """Note the candidate versions of gold. May be repeated as long as the run is not gated."""
        with self._connection.transaction():
            self._note_candidates(run_id, tables)
            self._connection.execute("UPDATE run SET gold_build = %s WHERE run_id = %s", (gold_build, run_id))
            self._step(run_id, "built")

    def _note_candidates(self, run_id: str, tables: list[TableVersion]) -> None:
        for table in tables:
            self._connection.execute(
                "INSERT INTO candidate VALUES (%s, %s, %s, %s, %s) ON CONFLICT (run_id, table_name)"
                " DO UPDATE SET version = excluded.version, row_count = excluded.row_count, checksum = excluded.checksum",
                (run_id, table.table_name, table.version, table.row_count, table.checksum),
            )

    def _step(self, run_id: str, state: str) -> None:
        """Take a step; the database refuses one that does not exist. A run that another program took over can't take any."""
        self._connection.execute("UPDATE run SET state = %s WHERE run_id = %s", (state, run_id))

    def candidates(self, run_id: str) -> list[TableVersion]:
        rows = self._connection.execute("SELECT table_name, version, row_count, checksum FROM candidate WHERE run_id = %s ORDER BY 1", (run_id,))
        return [TableVersion(*row) for row in rows]

    def judged(self, run_id: str, results: list[tuple[str, int, str, str, str, bool, str]]) -> None:
        """Note the gate's results: table, version, rule, description, dimension, passed, observed."""
        with self._connection.transaction():
            self._connection.execute("DELETE FROM gate_result WHERE run_id = %s AND table_name = ANY(%s)", (run_id, sorted({r[0] for r in results})))
            for result in results:
                self._connection.execute("INSERT INTO gate_result VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", (run_id, *result))

    def judged_between(self, first: dt.datetime, last: dt.datetime) -> list[tuple[str, str, str, bool]]:
        """The gates' results of a time: table, rule, description, passed."""
        rows = self._connection.execute(
            "SELECT table_name, rule, description, passed FROM gate_result WHERE judged_at BETWEEN %s AND %s ORDER BY 1, 2", (first, last)
        )
        return [tuple(row) for row in rows]

    def gated(self, run_id: str) -> None:
        self._step(run_id, "gated")

    def abandon(self, run_id: str, reason: str) -> None:
        self._connection.execute("UPDATE run SET state = 'abandoned', closed_at = clock_timestamp(), reason = %s WHERE run_id = %s", (reason, run_id))

    # ---- releases ----

    def publish(self, run_id: str) -> str:
        """Make a gated run the current release: the one commit that is the publication. Repeatable.

        Raises:
            ValueError: the run is not gated.
        """
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(4402)")
            row = self._connection.execute("SELECT release_id FROM release WHERE run_id = %s", (run_id,)).fetchone()
            if row is not None:
                return str(row[0])
            done = self._connection.execute(
                "UPDATE run SET state = 'released', closed_at = clock_timestamp() WHERE run_id = %s AND state = 'gated'", (run_id,)
            ).rowcount
            if done != 1:
                raise ValueError(f"run {run_id} is {self.run_state(run_id)}, not gated")
            identity = self._one(
                "INSERT INTO release (run_id, parent_release_id) SELECT run_id, parent_release_id FROM run WHERE run_id = %s RETURNING release_id",
                run_id,
            )
            self._connection.execute(
                "INSERT INTO release_table (release_id, table_name, version, row_count, checksum)"
                " SELECT %s, table_name, version, row_count, checksum FROM candidate WHERE run_id = %s",
                (identity, run_id),
            )
            self._connection.execute(
                "UPDATE release SET as_of = (SELECT max(d.arrived_at AT TIME ZONE 'Asia/Shanghai')::date FROM release_accounts(%s) JOIN delivery d USING (delivery_id))"
                " WHERE release_id = %s",
                (identity, identity),
            )
            return str(identity)

    def restore(self, release_id: str) -> str:
        """Make readers see an older release again, as a new one that names the same versions; return its id.

        Deliveries that came later are not contained in it, so the next run takes them again.

        Raises:
            KeyError: there is no such release, or its tables are lost.
            ValueError: a run is gated and about to be published.
        """
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(4402)")
            if self._one("SELECT count(*) FROM release WHERE release_id = %s", release_id) == 0 or self.lost(release_id):
                raise KeyError(release_id)
            self._connection.execute(
                "UPDATE run SET state = 'abandoned', closed_at = clock_timestamp(), reason = %s WHERE state NOT IN ('released', 'abandoned')",
                (f"release {release_id} was restored",),
            )
            identity = self._one(
                "INSERT INTO release (kind, parent_release_id, as_of) SELECT 'restore', release_id, as_of FROM release WHERE release_id = %s RETURNING release_id",
                release_id,
            )
            self._connection.execute(
                "INSERT INTO release_table (release_id, table_name, version, row_count, checksum)"
                " SELECT %s, table_name, version, row_count, checksum FROM release_table WHERE release_id = %s",
                (identity, release_id),
            )
            return str(identity)

    def releases(self) -> list[tuple[str, str, str | None, dt.datetime, dt.date | None, int, int]]:
        """All releases, newest first: id, kind, parent, published at, as of, tables, deliveries contained."""
        rows = self._connection.execute(
            "SELECT release_id, kind, parent_release_id, published_at, as_of,"
            " (SELECT count(*) FROM release_table t WHERE t.release_id = r.release_id), (SELECT count(*) FROM release_accounts(r.release_id))"
            " FROM release r ORDER BY release_id DESC"
        )
        return [tuple(row) for row in rows]

    def kept_releases(self, days: int) -> list[str]:
        """Releases that must stay readable, newest first: the current one, its predecessor, and those of the last days; not what is lost."""
        rows = self._connection.execute(
            "SELECT release_id FROM (SELECT *, row_number() OVER (ORDER BY release_id DESC) AS place FROM release"
            " WHERE release_id NOT IN (SELECT release_id FROM lost_release)) r"
            " WHERE place <= 2 OR published_at > clock_timestamp() - make_interval(days => %s) ORDER BY release_id DESC",
            (days,),
        )
        return [str(row[0]) for row in rows]

    def lose(self, release_ids: Iterable[str], reason: str) -> None:
        """Note that releases can't be read any more."""
        for identity in release_ids:
            self._connection.execute("INSERT INTO lost_release (release_id, reason) VALUES (%s, %s) ON CONFLICT DO NOTHING", (identity, reason))

    def naming(self, table: str, version: int) -> list[str]:
        """Releases that name ``version`` of a table or a later one, and are not noted as lost."""
        rows = self._connection.execute(
            "SELECT release_id FROM release_table LEFT JOIN lost_release USING (release_id)"
            " WHERE table_name = %s AND version >= %s AND lost_release.release_id IS NULL ORDER BY 1 DESC",
            (table, version),
        )
        return [str(row[0]) for row in rows]

    def lost(self, release_id: str | None) -> str | None:
        """Why a release can't be read any more; None if it can."""
        return self._one("SELECT reason FROM lost_release WHERE release_id = %s", release_id)

    def base_release(self) -> str | None:
        """What the next run builds on: the current release, unless its tables are lost."""
        current = self.current_release()
        return None if self.lost(current) else current

    def land_again(self, identities: Iterable[str]) -> None:
        """Let loaded deliveries be loaded once more: bronze has lost them."""
        self._connection.execute("UPDATE delivery SET state = 'landed' WHERE delivery_id = ANY(%s) AND state = 'loaded'", (list(identities),))

    def current_release(self) -> str | None:
        return self._one("SELECT max(release_id) FROM release")

    def release_tables(self, release_id: str | None) -> list[TableVersion]:
        rows = self._connection.execute(
            "SELECT table_name, version, row_count, checksum FROM release_table WHERE release_id = %s ORDER BY 1", (release_id,)
        )
        return [TableVersion(*row) for row in rows]

    def newest_version(self, table_name: str) -> TableVersion | None:
        """The newest version of a table that any release has named, a restored one or not; of releases that can still be read."""
        row = self._connection.execute(
            "SELECT table_name, version, row_count, checksum FROM release_table WHERE table_name = %s "
            "AND release_id NOT IN (SELECT release_id FROM lost_release) ORDER BY version DESC LIMIT 1",
            (table_name,),
        ).fetchone()
        return TableVersion(*row) if row else None

    # ---- projections kept by day ----

    def projected_days(self, table_name: str) -> dict[dt.date, str]:
        """A digest of what a projection that is kept by day holds of each day."""
        return dict(self._connection.execute("SELECT day, digest FROM projected_day WHERE table_name = %s", (table_name,)).fetchall())

    def note_projected_days(self, table_name: str, digests: dict[dt.date, str]) -> None:
        """Note what a projection holds of each day, and that it holds nothing else."""
        with self._connection.transaction():
            self._connection.execute("DELETE FROM projected_day WHERE table_name = %s", (table_name,))
            with self._connection.cursor().copy("COPY projected_day FROM STDIN") as copy:
                for day, digest in digests.items():
                    copy.write_row((table_name, day, digest))

    # ---- readers' views ----

    def views_made(self) -> dict[str, str]:
        """Views that were made, with all their comments, and the digest of what each was made of."""
        return dict(self._connection.execute("SELECT view_name, definition FROM view_made").fetchall())

    def views_unmade(self, names: list[str]) -> None:
        """Note that views are about to be replaced."""
        self._connection.execute("DELETE FROM view_made WHERE view_name = ANY(%s)", (names,))

    def note_views(self, definitions: dict[str, str]) -> None:
        """Note that views were made."""
        for name, definition in definitions.items():
            self._connection.execute(
                "INSERT INTO view_made VALUES (%s, %s) ON CONFLICT (view_name) DO UPDATE SET definition = excluded.definition", (name, definition)
            )

    def note_feedback(self, said: Feedback, who: str) -> None:
        """Note what somebody answered to an alert."""
        self._connection.execute(
            "INSERT INTO trademark_feedback (alert_id, answer, note, right_name, trademark_name, mark_number, nice_class, verdict, score, act_until,"
            " release_id, who) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (*astuple(said), who),
        )

    def newest_feedback(self) -> dict[str, str]:
        """By alert, what was answered last."""
        sql = "SELECT DISTINCT ON (alert_id) alert_id, answer FROM trademark_feedback ORDER BY alert_id, feedback_id DESC"
        return dict(self._connection.execute(sql).fetchall())

    # ---- rectification (docs/decisions/0041) ----

    def note_rectification(self, events: Iterable[RectificationEvent]) -> None:
        """Add what somebody did, all of it or nothing; the database says when (``happened_at`` is not read)."""
        with self._connection.transaction():
            for e in events:
                self._connection.execute(
                    "INSERT INTO rectification_event (feed, department, scope, rule, kind, who, owner, until, record, note, records, place, sha256)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    (e.feed, e.department, e.scope, e.rule, e.kind, e.who, e.owner, e.until, e.record, e.note, e.records, e.place, e.sha256),
                )

    def rectification_events(self) -> list[RectificationEvent]:
        """All that was done, in the order in which it was noted."""
        rows = self._connection.execute(
            "SELECT feed, department, scope, rule, kind, who, happened_at, owner, until, record, note, records, place, sha256"
            " FROM rectification_event ORDER BY event_id"
        )
        return [RectificationEvent(*row) for row in rows]

    def rectification_begun(self) -> dt.date:
        """The day (in China) on which this ledger began to keep rectification."""
        return china_day(self._one("SELECT applied_at FROM migration WHERE name = '0013_rectification.sql'"))

    # ---- notices (docs/decisions/0048) ----

    def hold_notices(self) -> bool:
        """Become the one program that sends notices, until this connection ends; False if another one is."""
        return bool(self._one("SELECT pg_try_advisory_lock(4404)"))

    def notices(self) -> list[Told]:
        """All that anybody was to be told, in the order in which it was noticed."""
        rows = self._connection.execute(
            "SELECT key, recipient, noticed_at, sent_at, tries, last_error FROM notice ORDER BY noticed_at, recipient, key"
        )
        return [Told(*row) for row in rows]

    def note_notices(self, noticed: Iterable[tuple[str, str]]) -> None:
        """Note what is to be told (key, recipient); what is known already stays as it is."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany("INSERT INTO notice (key, recipient) VALUES (%s, %s) ON CONFLICT DO NOTHING", list(noticed))

    def note_sent(self, recipient: str, keys: Iterable[str], error: str | None = None) -> None:
        """Note that the server has taken a mail with these, all at one moment; ``error``: what it said of those of the group for whom it did not."""
        sql = "UPDATE notice SET sent_at = now(), tries = tries + 1, last_error = %s WHERE recipient = %s AND key = ANY(%s) AND sent_at IS NULL"
        self._connection.execute(sql, (error, recipient, list(keys)))

    def note_unsent(self, recipient: str, keys: Iterable[str], error: str) -> None:
        """Note that the server has not taken a mail with these, and what it said."""
        sql = "UPDATE notice SET tries = tries + 1, last_error = %s WHERE recipient = %s AND key = ANY(%s) AND sent_at IS NULL"
        self._connection.execute(sql, (error, recipient, list(keys)))

    # ---- amendments of declarations (docs/decisions/0044) ----

    def propose(self, kind: str, target: str, edits: Iterable[tuple[str, str, str]], reason: str, who: str) -> int:
        """Note what somebody wants changed; return its number."""
        told = json.dumps([list(e) for e in edits], ensure_ascii=False)
        sql = "INSERT INTO amendment_proposal (kind, target, edits, reason, who) VALUES (%s, %s, %s, %s, %s) RETURNING proposal_id"
        return int(self._one(sql, kind, target, told, reason, who))

    def decide(self, proposal_id: int, decision: str, who: str, note: str) -> bool:
        """Note a decision on a proposal; False if there is one already.

        Raises:
            psycopg.errors.RaiseException: approved or rejected by who made it, or withdrawn by somebody else.
        """
        sql = (
            "INSERT INTO amendment_decision (proposal_id, decision, who, note) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (proposal_id) DO NOTHING RETURNING decision_number"
        )
        return self._one(sql, proposal_id, decision, who, note or None) is not None

    def proposals(self) -> list[Proposal]:
        """All proposals: those that are decided in the order of their decisions, then the open ones."""
        rows = self._connection.execute(
            "SELECT p.proposal_id, kind, target, edits, reason, p.who, proposed_at, decision, note, d.who, decided_at FROM amendment_proposal p"
            " LEFT JOIN amendment_decision d USING (proposal_id) ORDER BY decision_number NULLS LAST, proposal_id"
        )
        return [Proposal(n, kind, target, tuple((a, o, new) for a, o, new in edits), *rest) for n, kind, target, edits, *rest in rows]

    def projected_parts(self, table_name: str) -> dict[str, str]:
        """A digest of what a projection that is kept by parts holds of each."""
        return dict(self._connection.execute("SELECT part, digest FROM projected_part WHERE table_name = %s", (table_name,)).fetchall())

    def note_projected_parts(self, table_name: str, digests: dict[str, str]) -> None:
        """Note what a projection holds of each part, and that it holds nothing else."""
        with self._connection.transaction():
            self._connection.execute("DELETE FROM projected_part WHERE table_name = %s", (table_name,))
            for part, digest in digests.items():
                self._connection.execute("INSERT INTO projected_part VALUES (%s, %s, %s)", (table_name, part, digest))

    def _one(self, sql: LiteralString, *values: object) -> Any:
        """The single value that a statement answers with."""
        row = self._connection.execute(sql, values or None).fetchone()
        return row[0] if row else None

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to a constant statement, for projections of the ledger."""
        return self._connection.execute(psycopg.sql.SQL(sql)).fetchall()
