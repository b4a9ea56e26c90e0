"""PostgreSQL: the ledger, the metastore's, Airflow's and Superset's metadata, the exchange database."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg
from psycopg import sql

from infra.credentials import write_private
from infra.services.base import Command, Context, Service, base_environment, render
from infra.settings import HOST

DATABASES = ("ledger", "metastore", "airflow", "superset", "exchange")


def connect(context: Context, database: str, *, superuser: bool = False, timeout: int = 5, autocommit: bool = True) -> psycopg.Connection:
    """Connect to ``database`` as its own role, or as the superuser."""
    user = "postgres" if superuser else database
    password = context.secrets["postgres_superuser" if superuser else f"postgres_{database}"]
    return psycopg.connect(
        host=HOST,
        port=context.settings.port("postgres"),
        dbname=database,
        user=user,
        password=password,
        connect_timeout=timeout,
        autocommit=autocommit,
    )


def url(context: Context, database: str, driver: str) -> str:
    """The SQLAlchemy address of ``database`` for ``driver``."""
    return f"postgresql+{driver}://{database}:{context.secrets['postgres_' + database]}@{HOST}:{context.settings.port('postgres')}/{database}"


def _render(context: Context) -> None:
    for template in ("postgresql.conf", "pg_hba.conf"):
        render(context, "postgres", template)


def _binaries(context: Context) -> str:
    return str(context.settings.engines / "postgres" / "bin")


def _prepare(context: Context) -> None:
    data = context.data("postgres") / "cluster"
    if not (data / ".complete").exists():
        _initialise(context)
        (data / ".complete").touch()


def _initialise(context: Context) -> None:
    """Make the cluster, and each database with a role of its own, on a server nobody else can reach."""
    data = context.data("postgres") / "cluster"
    if data.exists():
        subprocess.run(["rm", "-rf", str(data)], check=True)
    password = context.conf("postgres") / "superuser.password"
    write_private(password, context.secrets["postgres_superuser"])
    try:
        subprocess.run(
            [f"{_binaries(context)}/initdb", "-D", str(data), "-U", "postgres", "--pwfile", str(password), "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True, env=base_environment(context.settings), stdout=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        password.unlink()
    with serving(context) as connection:
        for name in DATABASES:
            secret = sql.Literal(context.secrets[f"postgres_{name}"])
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), secret))
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(name)))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


@contextmanager
def serving(context: Context, log: Path | None = None) -> Iterator[psycopg.Connection]:
    """The server for the length of the block, without the supervisor; gives a connection as superuser. What it says goes to ``log``.

    Raises:
        RuntimeError: it does not come up.
    """
    with log.open("ab") if log else nullcontext() as output:
        server = subprocess.Popen(
            _server(context).argv, env=base_environment(context.settings), cwd=context.data("postgres"), stdout=output, stderr=output
        )
    try:
        with _connect_when_up(context, server) as connection:
            yield connection
    finally:
        server.send_signal(signal.SIGINT)  # don't wait for other connections, but end in order
        server.wait(60)


def _connect_when_up(context: Context, server: subprocess.Popen[bytes]) -> psycopg.Connection:
    for _ in range(300):
        try:
            return psycopg.connect(
                host=HOST,
                port=context.settings.port("postgres"),
                dbname="postgres",
                user="postgres",
                password=context.secrets["postgres_superuser"],
                autocommit=True,
            )
        except psycopg.OperationalError:
            if server.poll() is not None:
                break
            time.sleep(0.2)
    raise RuntimeError("the PostgreSQL server does not answer")


def _server(context: Context) -> Command:
    conf = context.conf("postgres")
    argv = [
        f"{_binaries(context)}/postgres", "-D", str(context.data("postgres") / "cluster"),
        "-c", f"config_file={conf / 'postgresql.conf'}", "-c", f"hba_file={conf / 'pg_hba.conf'}",
    ]  # fmt: skip
    return Command(argv)


def _health(context: Context) -> str:
    with connect(context, "ledger") as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity").fetchone()
    assert row
    return f"query answered, {row[0]} backends"


SERVICE = Service("postgres", "PostgreSQL 17: ledger and metadata", (), "postgres", _server, _health, _render, _prepare)
