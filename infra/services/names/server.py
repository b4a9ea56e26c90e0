"""Answer what comes close to a name, from the mapped names of the current release. Started by the supervisor."""

from __future__ import annotations

import json
import os
import resource
import socketserver
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.services.names import LONGEST, path
from infra.settings import Settings, load
from spark_jobs.trademark import lookup, named


class Names:
    """The names that are asked; those of a new release are opened at the first question after it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: lookup.Lookup | None = None

    def current(self) -> lookup.Lookup | None:
        """The names of the release that ``current`` names; None where it names none.

        Raises:
            ValueError: they are there and can't be read; says what to do.
        """
        with self._lock:
            try:
                told = named.read_current(self._folder)
            except (FileNotFoundError, ValueError):
                self._open = None
                return None
            if self._open is None or (self._open.release, self._open.key) != told:
                self._open = None
                try:
                    opened = lookup.Lookup.open(self._folder)
                    opened.check("商标", 35)  # the tables of readings and characters are read once, not by whoever asks first
                except (OSError, ValueError) as error:
                    raise ValueError(f"名称检索的文件不能使用（{error}），运行 ./lake up 重建") from error
                self._open = opened
            return self._open

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """An answer, or ``refused`` with the reason."""
        try:
            names = self.current()
            if not question:
                return {"release": names and names.release, "names": len(names.names) if names else 0, "resident_mib": _resident()}
            if names is None:
                return {"refused": "还没有含商标的发布"}
            return names.check(question["name"], question["nice_class"], question.get("groups", ""), question.get("most", 20))
        except ValueError as error:
            return {"refused": str(error)}


def _resident() -> int:
    """MiB of memory that are this process's own; mapped files aren't."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("RssAnon"))


def serve(settings: Settings) -> None:
    """Serve until the process is ended. Anonymous memory is limited to the setting `memory.names`."""
    limit = int(settings.values["memory"]["names"].removesuffix("m")) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    names = Names(named.folder(settings))
    with suppress(ValueError):  # said to whoever asks
        names.current()

    class Handler(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            line = self.rfile.readline(LONGEST)
            if line.endswith(b"\n"):
                self.wfile.write(json.dumps(names.answer(json.loads(line)), ensure_ascii=False).encode() + b"\n")

    file = path(settings)
    file.unlink(missing_ok=True)
    os.umask(0o077)
    with socketserver.ThreadingUnixStreamServer(str(file), Handler) as server:
        server.daemon_threads = True
        server.serve_forever()


if __name__ == "__main__":
    serve(load())
