"""Attack 4: every listening port, from another user of the machine and from outside."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.services.metastore import databases
from infra.settings import HOST

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user of the machine")

# Runs as another user of the machine. Argument: what to try, as JSON; prints what came of it.
PROBE = """
import json, os, sys

def outcome(attempt):
    try:
        return {"got": repr(attempt())}
    except BaseException as error:
        return {"refused": f"{type(error).__name__}: {error}"[:400]}

def metastore(port):
    from infra.services.metastore import databases
    return databases(port)

def spark(port, token):
    os.environ.pop("SPARK_CONNECT_AUTHENTICATE_TOKEN", None)
    if token:
        os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = token
    from pyspark.sql.connect.session import SparkSession
    return SparkSession.builder.remote(f"sc://localhost:{port}").create().sql("SELECT 1").collect()

def postgres(port, database, user, password):
    import psycopg
    return psycopg.connect(host="127.0.0.1", port=port, dbname=database, user=user, password=password, connect_timeout=5).execute("SELECT 1").fetchall()

def java(port):
    from py4j.java_gateway import GatewayParameters, JavaGateway
    return JavaGateway(gateway_parameters=GatewayParameters(port=port)).jvm.java.lang.System.getProperty("user.name")

def read(path):
    return os.listdir(path) if os.path.isdir(path) else open(path, "rb").read()

tries = json.load(sys.stdin)
os.environ.pop("PGPASSWORD", None)
print(json.dumps([outcome(lambda: globals()[name](*arguments)) for name, *arguments in tries]))
"""
# A metastore that asks nobody who they are, as Hive's own does.
OPEN_METASTORE = """
import os, sys
from infra.services.metastore import server
server.socket_owner = lambda local_port, remote_port: os.geteuid()
server.main()
"""
OPEN_LISTENER = """
import socket, time
listener = socket.socket()
listener.bind(("0.0.0.0", 0))
listener.listen()
time.sleep(60)
"""


def as_another_user(stack, *tries):
    return json.loads(stack.python(PROBE, user="nobody", input=json.dumps(tries)).stdout)


def outside_loopback(stack):
    def loopback(address):
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback

    return {f"{service} on {address} port {port}" for (address, port), service in stack.listeners().items() if not loopback(address)}


def test_nothing_listens_beyond_loopback(stack):
    listening = stack.listeners()
    ports = {port: service for (_, port), service in listening.items()}
    for name, service in (("postgres", "postgres"), ("metastore", "metastore"), ("spark", "spark"), ("trino", "trino"), ("superset", "superset")):
        assert ports[stack.ports[name]] == service
    assert ports[stack.ports["airflow"]] == "airflow-api"
    assert outside_loopback(stack) == set()


def test_a_listener_on_every_interface_would_be_seen(stack, eventually):
    marks = {"LAKE_STATE": str(stack.state), "LAKE_SERVICE": "intruder"}
    with stack.background(OPEN_LISTENER, env=marks):
        (seen,) = eventually(lambda: outside_loopback(stack), 20, "the open listener")
    assert seen.startswith("intruder on 0.0.0.0 port ")


@as_root
def test_another_user_is_dropped_by_the_metastore(stack):
    (answer,) = as_another_user(stack, ["metastore", stack.ports["metastore"]])
    assert "closed the connection" in answer["refused"] or "reset" in answer["refused"]
    ours = f"from infra.services.metastore import databases; print(databases({stack.ports['metastore']}))"
    assert "default" in stack.python(ours).stdout


@as_root
def test_another_user_is_answered_by_a_metastore_without_the_check(stack, free_port, eventually):
    port = free_port()
    with stack.background(OPEN_METASTORE, str(port)):
        eventually(lambda: databases(port), 60, "the open metastore")
        (answer,) = as_another_user(stack, ["metastore", port])
    assert "default" in answer["got"]


def test_spark_connect_wants_the_token(stack):
    token = stack.context.secrets["spark_connect_token"]
    port = stack.ports["spark"]
    user = "nobody" if os.geteuid() == 0 else None
    tries = [["spark", port, None], ["spark", port, "wrong" + token[5:]], ["spark", port, token]]
    answers = [json.loads(stack.python(PROBE, user=user, input=json.dumps([t])).stdout)[0] for t in tries]
    for answer in answers[:2]:
        assert "Unauthenticated" in answer["refused"] or "UNAUTHENTICATED" in answer["refused"]
    assert answers[2] == {"got": "[Row(1=1)]"}


def test_postgres_wants_each_role_s_own_password(stack):
    port, secrets = stack.ports["postgres"], stack.context.secrets
    user = "nobody" if os.geteuid() == 0 else None
    names = ["ledger", "metastore", "airflow", "superset", "exchange"]
    tries = [["postgres", port, name, role, password] for name in names for role in (name, "postgres") for password in (None, "", "postgres", role)]
    tries += [["postgres", port, "ledger", "airflow", secrets["postgres_airflow"]]]  # a right password for another database
    tries += [["postgres", port, "postgres", "ledger", secrets["postgres_ledger"]]]
    tries += [["postgres", port, "ledger", "ledger", secrets["postgres_ledger"]]]
    *refused, right = json.loads(stack.python(PROBE, user=user, input=json.dumps(tries)).stdout)
    for attempt, answer in zip(tries, refused, strict=False):
        assert (
            "no password supplied" in answer["refused"] or "authentication failed" in answer["refused"] or "no pg_hba.conf entry" in answer["refused"]
        ), attempt[:4]
    assert right == {"got": "[(1,)]"}


@as_root
def test_another_user_cannot_drive_the_java_of_any_service(stack):
    """The metastore's launcher talks to its Java over a port of its own, which wants a token."""
    known = set(stack.ports.values())
    others = [port for (_, port), service in stack.listeners().items() if service in ("metastore", "spark") and port not in known]
    assert others, "the launcher's own port was not found"
    answers = as_another_user(stack, *(["java", port] for port in others))
    assert ["got" in answer for answer in answers] == [False] * len(others), answers


@as_root
def test_another_user_reads_nothing_of_the_state(stack):
    tries = [["read", str(path)] for path in (stack.state, stack.state / "secrets" / "secrets.json", stack.state / "conf", stack.state / "logs")]
    tries += [["read", str(stack.state / "warehouse")], ["read", str(stack.state / "settings.toml")]]
    assert ["PermissionError" in answer.get("refused", "") for answer in as_another_user(stack, *tries)] == [True] * len(tries)


def test_no_secret_stands_in_a_command_line(stack):
    """Every user of the machine can read command lines."""
    private = {**stack.context.secrets, **stack.passwords}
    for pid, service in stack.processes().items():
        with contextlib.suppress(FileNotFoundError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            assert [name for name, value in private.items() if value in line] == [], service


def test_a_secret_in_a_command_line_would_be_seen(stack, running):
    marks = {"LAKE_STATE": str(stack.state), "LAKE_SERVICE": "talkative"}
    secret = stack.context.secrets["trino_internal"]
    with (
        running([sys.executable, "-c", "import time; time.sleep(60)", secret], env=os.environ | marks),
        pytest.raises(AssertionError, match="trino_internal"),
    ):
        test_no_secret_stands_in_a_command_line(stack)


def test_ports_answer_on_loopback_and_nowhere_else(stack):
    """The same seen from outside: the machine's other addresses refuse."""
    addresses = {a[4][0] for a in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {HOST}
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    others = {a for a in (*addresses, *listed) if ":" not in a and not a.startswith("127.")}
    if not others:
        pytest.skip("this machine has no address beside loopback")
    for service in ("postgres", "metastore", "spark", "trino", "airflow", "superset"):
        socket.create_connection((HOST, stack.ports[service]), timeout=5).close()
        for address in others:
            with pytest.raises(OSError, match=r"refused|unreachable"):
                socket.create_connection((address, stack.ports[service]), timeout=5)
