"""One running stack of its own for all tests that need services, started and ended as a user would.

The stack is the instance ``test``: other ports, other folders, so that a running demo is not
disturbed. Its state is fresh in each session, unless ``LAKE_TEST_KEEP=1`` (faster while writing
tests: the stack is left running too). Unit tests never ask for it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trino

from infra import credentials, processes, settings, supervision
from infra.accounts import FIRST_USERS, generate_password
from infra.services import postgres, spark
from infra.services import trino as trino_service
from infra.services.base import Context
from infra.settings import HOST, REPO, Settings

KEEP = os.environ.get("LAKE_TEST_KEEP") == "1"
ROOT = os.geteuid() == 0
SERVICE_USER = "lake"  # the account that the launcher drops to
HEAPS = {"metastore": "256m", "spark": "2g", "trino": "1800m"}


class Instance:
    """One instance of the lake, driven from outside through ``./lake``."""

    def __init__(self, name: str, port_offset: int, **limits: int) -> None:
        self.name = name
        self.limits = limits
        self.state = REPO / ".lake" / "instances" / name
        defaults = settings.tomllib.loads((REPO / "infra" / "settings.toml").read_text())
        self.ports = {service: port + port_offset for service, port in defaults["ports"].items()}

    def lake(self, *arguments: str, check: bool = True, env: dict[str, str] | None = None, timeout: float = 400) -> subprocess.CompletedProcess[str]:
        """Run ``./lake`` for this instance, as a user would."""
        clean = {k: v for k, v in os.environ.items() if k not in ("LAKE_USER", "LAKE_PASSWORD", "LAKE_NEW_PASSWORD")}
        done = subprocess.run(
            [str(REPO / "lake"), *arguments],
            env={**clean, "COLUMNS": "200", **(env or {}), "LAKE_INSTANCE": self.name},
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"./lake {' '.join(arguments)} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def status(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code of ``./lake status`` and what it says of each service."""
        done = self.lake("status", "--json", check=False)
        return done.returncode, {c["service"]: c for c in json.loads(done.stdout)}

    # ---- state --------------------------------------------------------------------------------

    def write_settings(self, **sections: dict[str, Any]) -> None:
        """Write this instance's overrides: its ports and limits, and ``sections`` on top."""
        values = {"ports": self.ports, "memory": HEAPS, "limits": self.limits}
        values |= {section: values.get(section, {}) | keys for section, keys in sections.items()}
        lines = [line for section, keys in values.items() for line in (f"[{section}]", *(f"{k} = {json.dumps(v)}" for k, v in keys.items()))]
        self.state.mkdir(parents=True, exist_ok=True)
        path = self.state / "settings.toml"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o644)  # the service user reads it
        settings.load.cache_clear()

    def remove(self) -> None:
        """End what still runs and forget everything that the instance kept."""
        if self.processes():
            self.lake("down", check=False)
        shutil.rmtree(self.state, ignore_errors=True)
        assert not self.state.exists() or not any(self.state.iterdir()), f"{self.state} can't be emptied"

    @property
    def settings(self) -> Settings:
        return settings.load(self.name)

    @property
    def context(self) -> Context:
        """Settings and secrets. Read only: a file written here by root would not be the service user's."""
        return Context(self.settings, credentials.load(self.settings))

    def processes(self) -> dict[int, str]:
        """All processes of the instance, the supervisor among them."""
        found = processes.find(self.state)
        with contextlib.suppress(OSError, ValueError):
            found[int((self.state / "run" / "supervisord.pid").read_text())] = "supervisor"
        return {pid: name for pid, name in found.items() if Path(f"/proc/{pid}").exists()}

    def listeners(self) -> dict[tuple[Any, int], str]:
        """``{(address, port): service}`` of all TCP sockets that listen and UDP sockets that anybody may send to."""
        owned = {}
        for pid, service in self.processes().items():
            with contextlib.suppress(OSError):
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        owned[os.readlink(descriptor)] = service
        found = {}
        for table, waiting in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                service = owned.get(f"socket:[{fields[9]}]")
                if service and fields[3] == waiting:
                    address, port = fields[1].split(":")
                    words = (bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))  # little-endian words
                    found[ipaddress.ip_address(b"".join(words)), int(port, 16)] = service
        return found

    # ---- acting as somebody -------------------------------------------------------------------

    def python(
        self, code: str, *arguments: str, check: bool = True, user: str | None = SERVICE_USER, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run ``code`` in the lake environment as the service user (or, run by root, as another)."""
        done = subprocess.run(**self._python(code, arguments, user), capture_output=True, text=True, timeout=600, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    @contextlib.contextmanager
    def background(
        self, code: str, *arguments: str, user: str | None = SERVICE_USER, env: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """Let ``code`` run as the service user; it and its children are ended at the end of the block."""
        call = self._python(code, arguments, user)
        call["env"] |= env or {}
        with _running(**call) as process:
            yield process

    def _python(self, code: str, arguments: tuple[str, ...], user: str | None) -> dict[str, Any]:
        environment = {
            "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1",
            "LAKE_INSTANCE": self.name, "LAKE_REPO": str(REPO), "LAKE_DECLARATIONS": str(self.settings.declarations),
        }  # fmt: skip
        drop = {"user": user, "group": "nogroup" if user == "nobody" else user, "extra_groups": []} if ROOT else {}
        return {
            "args": [str(self.settings.environment("lake") / "bin" / "python"), "-P", "-c", code, *arguments],
            "env": environment,
            "cwd": "/",
            **drop,
        }


class Stack(Instance):
    """The running stack."""

    def __init__(self, name: str, port_offset: int, **limits: int) -> None:
        super().__init__(name, port_offset, **limits)
        self.passwords: dict[str, str] = {}

    def start(self) -> None:
        if not KEEP:
            self.remove()
        if not (self.state / "settings.toml").exists():
            self.write_settings()
        self.lake("up")
        first = self.state / "secrets" / "initial-passwords.json"
        self.passwords = json.loads(first.read_text())
        for name in set(FIRST_USERS) - set(self.passwords):  # a kept stack, whose passwords an earlier session changed
            self.set_password(name)

    def set_password(self, user: str) -> str:
        """Give ``user`` a new password with ``./lake user passwd`` and return it."""
        password = generate_password()
        self.lake("user", "passwd", user, env={"LAKE_NEW_PASSWORD": password})
        self.passwords[user] = password
        return password

    def end(self) -> None:
        """Stop it, and check that stopping leaves nothing behind and may be said twice."""
        if not KEEP:
            first = self.lake("down", check=False)
            left = {"processes": self.processes(), "listeners": self.listeners()}
            second = self.lake("down", check=False)
            assert (first.returncode, left) == (0, {"processes": {}, "listeners": {}}), first
            assert (second.returncode, second.stdout) == (0, "Stopping the services\nNothing was running.\n"), second

    def pids(self) -> dict[str, int]:
        """The main process of each service, as the supervisor knows it."""
        return {name: info["pid"] for name, info in supervision.states(self.settings).items()}

    def password(self, user: str) -> str:
        """The password of a person whom the first start made, also after a test changed it."""
        return self.passwords[user]

    def trino(self, user: str, password: str | None = None, **more: Any) -> trino.dbapi.Connection:
        """Connect to Trino as ``user``, over TLS, trusting this instance's own authority."""
        return trino_service.connect(self.context, user, password or self.password(user), **more)

    def ask(self, user: str, sql: str, **more: Any) -> list[Any]:
        return self.trino(user, **more).cursor().execute(sql).fetchall()

    @contextlib.contextmanager
    def spark(self) -> Iterator[Any]:
        """A Spark session on the stack's Spark Connect server."""
        from pyspark.sql.connect.session import SparkSession  # slow to import, so only here

        context = self.context
        os.environ.update(spark.remote(context))
        session = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).create()
        try:
            yield session
        finally:
            session.stop()

    def ledger(self) -> Any:
        """A connection to the ledger's database."""
        return postgres.connect(self.context, "ledger")

    def url(self, service: str, path: str = "") -> str:
        return f"http://{HOST}:{self.ports[service]}{path}"

    def lets_in(self, user: str, password: str) -> dict[str, bool]:
        """Which of the services that people sign in to accept this name and password."""
        login = {"username": user, "password": password}
        superset = requests.post(self.url("superset", "/api/v1/security/login"), json={**login, "provider": "db"}, timeout=30)
        airflow = requests.post(self.url("airflow", "/auth/token"), json=login, timeout=30)
        for answer in (superset, airflow):
            assert answer.status_code in (200, 201, 401), f"{answer.url}: {answer.status_code} {answer.text[:300]}"
        try:
            let_in = self.ask(user, "SELECT current_user", password=password) == [[user]]
        except trino.exceptions.HttpError as error:
            assert "401" in str(error), error  # noqa: PT017 - both outcomes are answers
            let_in = False
        return {"superset": superset.status_code == 200, "airflow": airflow.status_code == 201, "trino": let_in}


@contextlib.contextmanager
def _running(args: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, which is ended at the end of the block."""
    process = subprocess.Popen(
        args, text=True, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _eventually(probe: Callable[[], Any], seconds: float, what: str, pause: float = 0.3) -> Any:
    """Ask until the answer is true, and return it; fail after ``seconds``, saying what was last seen."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            seen = probe()
            if seen:
                return seen
        except Exception as error:  # what does not work yet may fail in any way
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s; last seen: {seen!r}")
        time.sleep(pause)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    running_stack = Stack("test", 1000, memory_available_gib=5)
    try:
        running_stack.start()
        yield running_stack
    finally:
        running_stack.end()


@pytest.fixture(scope="session")
def demonstrated(stack: Stack) -> Stack:
    """The stack after ``./lake demo --small``: the sample register is loaded, published and on the dashboard."""
    stack.lake("demo", "--small", timeout=1100)
    return stack


@pytest.fixture
def spare() -> Iterator[Instance]:
    """An instance that nobody started, for what must be refused; it leaves nothing behind."""
    instance = Instance("test-spare", 2000, memory_available_gib=0, disk_free_gib=0, start_seconds=10)
    instance.remove()
    instance.write_settings()
    try:
        yield instance
    finally:
        instance.remove()


@pytest.fixture(scope="session")
def eventually() -> Any:
    """``eventually(probe, seconds, what)``: ask until the answer is true."""
    return _eventually


@pytest.fixture(scope="session")
def running() -> Any:
    """``with running(argv, ...)``: a program that is ended at the end of the block."""
    return _running


@pytest.fixture(scope="session")
def free_port() -> Any:
    return _free_port
