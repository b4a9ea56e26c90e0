"""The ledger: deliveries, runs, write epochs and releases, in PostgreSQL, with one state machine.

Everything else (Airflow's database, ``ops.*`` in the lake) may be lost or lag; this is the truth.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import psycopg

from infra.services.base import Context
from infra.services.postgres import connect

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Delivery:
    """A content that was received once. ``state``: arrived, landed, refused or loaded."""

    delivery_id: str
    feed: str
    file_name: str
    state: str
    landed_path: str | None
    row_count: int | None
    arrived_at: str
    reason: str | None


@dataclass(frozen=True)
class TableVersion:
    """A Delta version of ``schema.table`` and how many rows it has."""

    table_name: str
    version: int
    row_count: int


_DELIVERY = (
    "delivery_id, feed, file_name, state, landed_path, row_count, to_char(arrived_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), reason"
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

    def arrive(self, feed: str, sha256: str, size: int, file_name: str, department: str) -> tuple[Delivery, bool]:
        """Note that a content arrived. Returns the delivery and whether it is new."""
        identity = delivery_id(feed, sha256)
        with self._connection.transaction():
            new = self._connection.execute(
                "INSERT INTO delivery (delivery_id, feed, sha256, bytes, file_name, department) VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (feed, sha256) DO NOTHING",
                (identity, feed, sha256, size, file_name, department),
            ).rowcount
            self._connection.execute(
                "INSERT INTO sighting (delivery_id, file_name, outcome) VALUES (%s, %s, %s)", (identity, file_name, "first" if new else "duplicate")
            )
        return self.delivery(identity), bool(new)

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

    # ---- runs ----

    def open_run(self, run_id: str) -> str | None:
        """Open a run, or go on with it. A run that somebody left behind is abandoned. Returns the parent release.

        Raises:
            ValueError: the run has ended already.
        """
        with self._connection.transaction():
            self._connection.execute("SELECT pg_advisory_xact_lock(4402)")
            row = self._connection.execute("SELECT state, parent_release_id FROM run WHERE run_id = %s", (run_id,)).fetchone()
            if row is not None:
                if row[0] in ("released", "abandoned"):
                    raise ValueError(f"run {run_id} is {row[0]}")
                return row[1]
            self._connection.execute(
                "UPDATE run SET state = 'abandoned', closed_at = clock_timestamp(), reason = %s WHERE state NOT IN ('released', 'abandoned')",
                (f"left behind; {run_id} took over",),
            )
            parent = self.current_release()
            self._connection.execute("INSERT INTO run (run_id, parent_release_id) VALUES (%s, %s)", (run_id, parent))
            return parent

    def run_state(self, run_id: str) -> str | None:
        row = self._connection.execute("SELECT state FROM run WHERE run_id = %s", (run_id,)).fetchone()
        return row[0] if row else None

    def take_epoch(self, run_id: str, table_name: str, step: str) -> int:
        """A rising number for one write statement: its ``txnVersion``."""
        row = self._connection.execute(
            "INSERT INTO epoch (run_id, table_name, step) VALUES (%s, %s, %s) RETURNING epoch", (run_id, table_name, step)
        ).fetchone()
        assert row
        return int(row[0])

    def built(self, run_id: str, tables: list[TableVersion]) -> None:
        """Note the candidate versions of a run."""
        with self._connection.transaction():
            for table in tables:
                self._connection.execute(
                    "INSERT INTO candidate VALUES (%s, %s, %s, %s) ON CONFLICT (run_id, table_name) DO UPDATE SET version = excluded.version, row_count = excluded.row_count",
                    (run_id, table.table_name, table.version, table.row_count),
                )
            self._connection.execute("UPDATE run SET state = 'built' WHERE run_id = %s AND state = 'open'", (run_id,))

    def candidates(self, run_id: str) -> list[TableVersion]:
        rows = self._connection.execute("SELECT table_name, version, row_count FROM candidate WHERE run_id = %s ORDER BY 1", (run_id,))
        return [TableVersion(*row) for row in rows]

    def judged(self, run_id: str, results: list[tuple[str, int, str, str, str, bool, str]]) -> None:
        """Note the gate's results: table, version, rule, description, dimension, passed, observed."""
        with self._connection.transaction():
            self._connection.execute("DELETE FROM gate_result WHERE run_id = %s", (run_id,))
            for result in results:
                self._connection.execute("INSERT INTO gate_result VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", (run_id, *result))

    def gated(self, run_id: str) -> None:
        self._connection.execute("UPDATE run SET state = 'gated' WHERE run_id = %s AND state = 'built'", (run_id,))

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
            row = self._connection.execute(
                "INSERT INTO release (run_id, parent_release_id) SELECT run_id, parent_release_id FROM run WHERE run_id = %s RETURNING release_id",
                (run_id,),
            ).fetchone()
            assert row
            self._connection.execute(
                "INSERT INTO release_table SELECT %s, table_name, version, row_count FROM candidate WHERE run_id = %s", (row[0], run_id)
            )
            return str(row[0])

    def current_release(self) -> str | None:
        row = self._connection.execute("SELECT max(release_id) FROM release").fetchone()
        return row[0] if row else None

    def release_tables(self, release_id: str) -> list[TableVersion]:
        rows = self._connection.execute("SELECT table_name, version, row_count FROM release_table WHERE release_id = %s ORDER BY 1", (release_id,))
        return [TableVersion(*row) for row in rows]

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """The answer to a constant statement, for projections of the ledger."""
        return self._connection.execute(psycopg.sql.SQL(sql)).fetchall()
