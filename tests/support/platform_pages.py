"""A platform that answers with pages of JSON, as long as it is not told to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.1"


class Platform:
    """``records``: what it has, each with the moment since which. ``failing``: what the next answers do instead: ``cut``, ``busy``, ``gone``."""

    def __init__(self, size: int = 3) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.until, self.size = "2026-03-01T08:00:00+08:00", size
        self.failing: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.tokens: list[str | None] = []
        self.change: Any = lambda answer: answer

    def answer(self, query: dict[str, str]) -> dict[str, Any]:
        new = [r for moment, r in self.records if moment > query.get("since", "")]
        first = int(query.get("page", "0"))
        following = first + self.size
        return self.change({"items": new[first:following], "next": str(following) if following < len(new) else None, "until": self.until})


@contextmanager
def serving(platform: Platform) -> Iterator[str]:
    """Serve the platform on a free port; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
            platform.asked.append(query)
            platform.tokens.append(self.headers.get("Authorization"))
            fault = platform.failing.pop(0) if platform.failing else ""
            body = json.dumps(platform.answer(query), ensure_ascii=False).encode()
            self.send_response({"busy": 503, "gone": 404, "moved": 302}.get(fault, 200))
            if fault == "moved":
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == "cut" else body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
