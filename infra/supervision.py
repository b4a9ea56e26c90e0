"""The one supervisor (the ``supervisor`` package): start, stop, ask."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from infra import processes
from infra.credentials import write_private
from infra.problems import Problem
from infra.services import SERVICES
from infra.services.base import Context, base_environment
from infra.settings import HOST, Settings


def _socket(settings: Settings) -> Path:
    # A unix socket's path may have 107 bytes at most, so it is not kept in a deep folder.
    return settings.folder("run") / "s.sock"


def _configuration(context: Context) -> str:
    settings = context.settings
    run = settings.folder("run")
    lines = [
        "[unix_http_server]", f"file={_socket(settings)}", "chmod=0700",
        "[rpcinterface:supervisor]", "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisorctl]", f"serverurl=unix://{_socket(settings)}",
        "[supervisord]", f"logfile={settings.folder('logs')}/supervisor.log", f"pidfile={run}/supervisord.pid", f"directory={run}", "umask=077", "minfds=4096", "nocleanup=true",
    ]  # fmt: skip
    for priority, service in enumerate(SERVICES, start=1):
        lines += [
            f"[program:{service.name}]", f"command={sys.executable} -P -m infra.run_service {service.name}", f"priority={priority}", "autostart=true", "autorestart=true",
            "startsecs=3", "startretries=1000000", f"stopsignal={'INT' if service.name == 'postgres' else 'TERM'}", "stopwaitsecs=25", "killasgroup=true",
            f"stdout_logfile={context.log(service.name)}", "stdout_logfile_maxbytes=20MB", "stdout_logfile_backups=3", "redirect_stderr=true",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _server(settings: Settings) -> Any:
    # The address is a placeholder that the transport ignores in favour of the socket.
    return xmlrpc.client.ServerProxy(f"http://{HOST}", transport=SupervisorTransport(None, None, f"unix://{_socket(settings)}")).supervisor


def running(settings: Settings) -> bool:
    try:
        _server(settings).getState()
    except (OSError, xmlrpc.client.Error):
        return False
    return True


def states(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the supervisor says of each service: ``statename``, ``pid``, ``start``, ``now``; empty when it is down."""
    try:
        return {info["name"]: info for info in _server(settings).getAllProcessInfo()}
    except (OSError, xmlrpc.client.Error):
        return {}


def busy_ports(settings: Settings) -> list[str]:
    """Which of our ports somebody else already listens on."""
    busy = []
    for name, port in settings.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    busy.append(f"{port} ({name})")
    return busy


def start(context: Context) -> bool:
    """Start the supervisor, or the services that are down under a running one. Returns whether anything was started."""
    settings = context.settings
    if running(settings):
        server = _server(settings)
        down = [info["name"] for info in server.getAllProcessInfo() if info["statename"] in ("STOPPED", "FATAL", "EXITED")]
        for name in down:
            server.startProcess(name, False)
        return bool(down)
    # After a stop of the machine's kind nothing of the former life may go on beside the new one.
    for service in SERVICES:
        processes.kill_leftovers(settings.state, service.name)
    busy = busy_ports(settings)
    if busy:
        raise Problem(
            "the services can't be started",
            f"another program listens on {', '.join(busy)}",
            f"stop that program, or set other ports in {settings.state / 'settings.toml'}",
        )
    configuration = settings.folder("run") / "supervisord.conf"
    write_private(configuration, _configuration(context))
    _socket(settings).unlink(missing_ok=True)
    argv = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(configuration)]
    done = subprocess.run(argv, env=base_environment(settings), capture_output=True, text=True, cwd=settings.folder("run"))
    if done.returncode != 0:
        raise Problem(
            "the supervisor did not start", (done.stdout + done.stderr).strip().splitlines()[-1], f"see {settings.folder('logs')}/supervisor.log"
        )
    for _ in range(50):
        if running(settings):
            return True
        time.sleep(0.1)
    raise Problem("the supervisor does not answer", "it was started 5 s ago", f"see {settings.folder('logs')}/supervisor.log")


def stop(settings: Settings) -> bool:
    """Stop all services and the supervisor; also ends what is left when it is already gone. Returns whether anything ran."""
    was_running = running(settings)
    if was_running:
        pid = _server(settings).getPID()
        _server(settings).shutdown()
        for _ in range(600):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
    left = sum(processes.kill_leftovers(settings.state, service.name) for service in SERVICES)
    return was_running or left > 0


def restart(settings: Settings, service: str) -> None:
    server = _server(settings)
    server.stopProcess(service, True)
    server.startProcess(service, False)
