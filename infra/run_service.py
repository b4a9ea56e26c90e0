"""What the supervisor runs for each service: check, render, wait, prepare, then become the service."""

from __future__ import annotations

import os
import socket
import sys
import time

from infra import accounts, credentials, processes, settings
from infra.services import BY_NAME, Context
from infra.services.base import Service, base_environment
from infra.settings import HOST

WAIT_SECONDS = 240


def wait_for(context: Context, service: Service) -> None:
    """Wait until what the service needs accepts connections."""
    for name in service.needs:
        port = BY_NAME[name].port
        assert port, f"{service.name} waits for {name}, which has no port"
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                socket.create_connection((HOST, context.settings.port(port)), timeout=2).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{service.name}: {name} did not come up within {WAIT_SECONDS} s") from None
                time.sleep(0.3)


def main() -> None:
    service = BY_NAME[sys.argv[1]]
    current = settings.load()
    context = Context(current, credentials.load(current))
    os.environ["LAKE_STATE"] = str(current.state)
    ended = processes.kill_leftovers(current.state, service.name)
    if ended:
        print(f"{service.name}: ended {ended} processes that its former life left behind", flush=True)
    accounts.ensure_first_users(context)
    service.render(context)
    wait_for(context, service)
    service.prepare(context)
    command = service.command(context)
    environment = {**base_environment(current), **command.environment, "LAKE_SERVICE": service.name, "LAKE_STATE": str(current.state)}
    os.chdir(context.data(service.name))
    os.execve(command.argv[0], command.argv, environment)


if __name__ == "__main__":
    main()
