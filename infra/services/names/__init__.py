"""The names of the current release in a resident process: what comes close to a mark, answered at once.

It listens on a socket of the file system that only our own user may open, one line of JSON for a question, one for the answer.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from infra.services.base import Command, Context, Service
from infra.settings import Settings

LONGEST = 4096  # bytes of a question


def path(settings: Settings) -> Path:
    """The socket. A unix socket's path may have 107 bytes at most, so it is not kept in a deep folder."""
    return settings.folder("run") / "n.sock"


def ask(settings: Settings, question: dict[str, Any], timeout: float = 10) -> dict[str, Any]:
    """The answer to a question: ``name``, ``nice_class``, ``groups``, ``most`` as in `Lookup.check`, or nothing to ask who is there.

    Raises:
        OSError: the process does not answer.
        ValueError: it can't answer this; the text says why, in Chinese.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path(settings)))
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as stream:
            line = stream.readline()
    if not line:
        raise ConnectionError("the process for names closed the connection")
    answer: dict[str, Any] = json.loads(line)
    if "refused" in answer:
        raise ValueError(answer["refused"])
    return answer


def _command(context: Context) -> Command:
    return Command([context.settings.program("lake", "python"), "-P", "-m", "infra.services.names.server"])


def _health(context: Context) -> str:
    try:
        told = ask(context.settings, {})
    except ValueError as error:  # the process is there; what it says is told to those who ask, and `up` has the names written anew
        return str(error)
    return f"{told['names']:,} names of {told['release']}, {told['resident_mib']} MiB" if told["release"] else "no release has names yet"


SERVICE = Service("names", "Names of marks and rights", (), None, _command, _health)
