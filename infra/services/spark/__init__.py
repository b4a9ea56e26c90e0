"""Spark Connect with Delta: the only process that writes tables."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from pathlib import Path

from infra.credentials import write_private
from infra.services.base import Command, Context, Service, java_openings, render
from infra.services.metastore import warehouse_uri
from infra.settings import HOST, REPO


def _render(context: Context) -> None:
    render(context, "spark", "spark-defaults.conf", warehouse=warehouse_uri(context), scratch=context.settings.folder("scratch"))
    shutil.copyfile(REPO / "infra" / "services" / "spark" / "log4j2.properties", context.conf("spark") / "log4j2.properties")
    # The exchange database's password stays with the server: in a statement it would come into logs with the plans of killed programs.
    write_private(
        context.conf("spark") / "pgpass",
        f"*:*:*:{_escaped(context.settings.values['exchange']['user'])}:{_escaped(context.secrets['postgres_exchange'])}\n",
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _prepare(context: Context) -> None:
    """Take the warehouse's lock and empty the scratch folder: a killed server leaves its shuffle files there."""
    hold_warehouse(Path(context.settings.warehouse))
    shutil.rmtree(context.settings.folder("scratch"))
    context.settings.folder("scratch")


def hold_warehouse(warehouse: Path) -> int:
    """Lock the warehouse for this process and whatever it becomes; the kernel lets go when it dies. Returns the descriptor.

    On a local disk two servers writing one table can both be told "success" (docs/decisions/0016).

    Raises:
        SystemExit: another server holds it.
    """
    warehouse.mkdir(parents=True, exist_ok=True)
    lock = warehouse / ".writer.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 100).decode(errors="replace").strip()
        raise SystemExit(
            f"spark: {warehouse} is written by another Spark server ({holder or 'unknown'}); stop it, or use another warehouse"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()}\n".encode())
    os.set_inheritable(descriptor, True)  # kept open over exec
    return descriptor


def _command(context: Context) -> Command:
    settings, conf = context.settings, context.conf("spark")
    jars = settings.site_packages / "pyspark" / "jars"
    classpath = ":".join([f"{jars}/*", *(str(j) for j in (*settings.delta_jars, settings.postgres_driver))])
    argv = [
        settings.java, f"-Xmx{settings.values['memory']['spark']}", "-XX:+UseParallelGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.net.preferIPv4Stack=true",
        "-Dio.netty.tryReflectionSetAccessible=true", "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", *java_openings(),
        f"-Dderby.system.home={settings.folder('scratch')}", f"-Djava.io.tmpdir={settings.folder('scratch')}", f"-Dlog4j2.configurationFile={conf / 'log4j2.properties'}",
        f"-Dorg.postgresql.pgpassfile={conf / 'pgpass'}",
        "-cp", classpath, "org.apache.spark.deploy.SparkSubmit", "--properties-file", str(conf / "spark-defaults.conf"),
        "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal",
    ]  # fmt: skip
    return Command(
        argv,
        {
            "SPARK_CONNECT_AUTHENTICATE_TOKEN": context.secrets["spark_connect_token"],
            "SPARK_HOME": str(settings.site_packages / "pyspark"),
            "SPARK_LOCAL_IP": HOST,
            # Where batches are refined: the same environment, and so the same code, as everything else.
            "PYSPARK_PYTHON": settings.program("lake", "python"),
        },
    )


def remote(context: Context) -> dict[str, str]:
    """The environment with which a client reaches the server.

    The token goes by the environment, never into the address: addresses get logged. The name must be
    ``localhost``: to any other the client sends a token over TLS only.
    """
    return {
        "SPARK_REMOTE": f"sc://localhost:{context.settings.port('spark')}",
        "SPARK_CONNECT_AUTHENTICATE_TOKEN": context.secrets["spark_connect_token"],
    }


def _health(context: Context) -> str:
    socket.create_connection((HOST, context.settings.port("spark")), timeout=5).close()
    os.environ.update(remote(context))
    from pyspark.sql.connect.session import SparkSession  # slow to import, so only here

    session = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).create()
    try:
        rows = session.sql("SELECT count(*) FROM range(1000)").collect()
        return f"a job over {rows[0][0]} rows ran"
    finally:
        session.stop()


SERVICE = Service("spark", "Spark Connect 4.2 with Delta 4.4", ("metastore",), "spark", _command, _health, _render, _prepare)
