"""Hive metastore: the names and places of tables, shared by Spark and Trino."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import zipfile
from pathlib import Path

from infra.credentials import write_private
from infra.services.base import Command, Context, Service, base_environment, render
from infra.services.postgres import connect
from infra.settings import HOST, REPO


def _render(context: Context) -> None:
    render(context, "metastore", "hive-site.xml")
    shutil.copyfile(REPO / "infra" / "services" / "metastore" / "log4j2.properties", context.conf("metastore") / "log4j2.properties")


def _prepare(context: Context) -> None:
    """Create the schema in one go: left to lazy creation, the first CREATE TABLE deadlocks for ever."""
    with connect(context, "metastore") as connection:
        row = connection.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'VERSION'").fetchone()
    marker = context.data("metastore") / "schema.complete"
    if row and row[0] and marker.exists():
        return
    settings, conf = context.settings, context.conf("metastore")
    jars = settings.site_packages / "pyspark" / "jars"
    with zipfile.ZipFile(next(jars.glob("hive-metastore-*.jar"))) as jar:
        (conf / "package.jdo").write_bytes(jar.read("package.jdo"))
    properties = {
        "javax.jdo.PersistenceManagerFactoryClass": "org.datanucleus.api.jdo.JDOPersistenceManagerFactory",
        "javax.jdo.option.ConnectionURL": f"jdbc:postgresql://{HOST}:{settings.port('postgres')}/metastore",
        "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
        "javax.jdo.option.ConnectionUserName": "metastore",
        "javax.jdo.option.ConnectionPassword": context.secrets["postgres_metastore"],
        "datanucleus.identifierFactory": "datanucleus1",
        "datanucleus.rdbms.useLegacyNativeValueStrategy": "true",
    }
    props = conf / "schema.properties"
    write_private(props, "\n".join(f"{k}={v}" for k, v in properties.items()))
    try:
        argv = [
            settings.java,
            "-cp",
            f"{settings.postgres_driver}:{jars}/*",
            "org.datanucleus.store.schema.SchemaTool",
            "-create",
            "-props",
            str(props),
            "-api",
            "JDO",
            str(conf / "package.jdo"),
        ]
        subprocess.run(argv, check=True, env=base_environment(settings), cwd=context.data("metastore"))
    finally:
        props.unlink()
    marker.touch()


def _command(context: Context) -> Command:
    settings = context.settings
    return Command([settings.program("lake", "python"), "-P", "-m", "infra.services.metastore.server", str(settings.port("metastore"))])


def databases(port: int, timeout: float = 5) -> list[str]:
    """Ask a metastore for its databases: one Thrift call (binary protocol), written out by hand."""
    name = b"get_all_databases"
    call = struct.pack(">II", 0x80010001, len(name)) + name + struct.pack(">I", 0) + b"\x00"
    with socket.create_connection((HOST, port), timeout=timeout) as connection:
        connection.sendall(call)
        stream = connection.makefile("rb")

        def number() -> int:
            data = stream.read(4)
            if len(data) < 4:
                raise ConnectionError("the metastore closed the connection")
            return int(struct.unpack(">I", data)[0])

        kind = number() & 0xFF
        stream.read(number())
        number()
        field = stream.read(3)
        if kind != 2 or field[:1] != b"\x0f":
            raise ConnectionError("the metastore answered with an error")
        stream.read(1)
        return [stream.read(number()).decode() for _ in range(number())]


def _health(context: Context) -> str:
    return f"{len(databases(context.settings.port('metastore')))} databases listed"


def warehouse_uri(context: Context) -> str:
    return Path(context.settings.warehouse).as_uri()


SERVICE = Service("metastore", "Hive metastore 2.3", ("postgres",), "metastore", _command, _health, _render, _prepare)
