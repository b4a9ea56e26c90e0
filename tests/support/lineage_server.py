"""A server that takes OpenLineage events, on a free port of this machine."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Catalog:
    """What was posted: (path, token, event). ``answer``: the status that it answers with. ``wait``: seconds before it does.
    ``refused``: the job of which it takes no event."""

    def __init__(self):
        self.got, self.answer, self.wait, self.refused = [], 201, 0.0, None

    @property
    def events(self):
        return [event for _, _, event in self.got]


@contextmanager
def listening():
    """Gives the catalog and its address, without a path."""
    catalog = Catalog()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            catalog.got.append((self.path, self.headers.get("Authorization"), json.loads(body)))
            time.sleep(catalog.wait)
            self.send_response(400 if catalog.got[-1][2].get("job", {}).get("name") == catalog.refused else catalog.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield catalog, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
