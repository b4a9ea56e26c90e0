"""Serve the catalog site to whoever is signed in, and keep it at what readers see. Started by the supervisor."""

from __future__ import annotations

import datetime as dt
import logging
import os
import subprocess
import sys
import threading
import time
from typing import Any

import waitress
from flask import Flask, Response, abort, request, send_from_directory
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect

from catalog import effects
from infra import accounts, catalog_site, credentials, settings
from infra.ledger import Ledger
from infra.services.base import Context
from infra.services.catalog import data_docs, proposing, signing_in
from infra.settings import HOST

LOOK_EVERY = 15  # seconds between two looks at what readers see
QUIET = 60  # seconds that a release has to stand before the site is written: several in a row are written once
REPORT_READERS = ("leader", "steward", "operator")  # monthly reports name records
RETRY = 60  # seconds until a build that failed is tried again
IDLE_MINUTES = 60  # after which a session ends
# Everything comes from here; the pages have no script or style of their own in them.
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
log = logging.getLogger("catalog")


class Follower(threading.Thread):
    """Has the site written anew when readers see another release, and once when the service starts: the program may be another one."""

    def __init__(self, context: Context) -> None:
        super().__init__(daemon=True, name="follower")
        self._context = context
        self.says = "the site is being written"
        self._done: tuple[str, str] | None = None
        self._seen: tuple[tuple[str, str] | None, float] = (None, 0.0)
        self._not_before = 0.0

    def run(self) -> None:
        while True:
            try:
                self._look()
            except Exception as error:  # the database may be down; the site that is there is served
                self.says = f"the site may be behind: {str(error).splitlines()[0][:120]}"
            time.sleep(LOOK_EVERY)

    def _look(self) -> None:
        with Ledger(self._context) as ledger:
            release = ledger.current_release() or "no release"
        state = (release, effects.digest(effects.files("catalog", "superset", "docs")))
        if state != self._seen[0]:
            self._seen = (state, time.monotonic())
        now = time.monotonic()
        if state == self._done or now < self._not_before or (self._done is not None and now - self._seen[1] < QUIET):
            return
        # In a process of its own: what it needs in memory is given back, and it yields to whoever works.
        argv = ["nice", "-n", "15", sys.executable, "-P", "-m", "infra.catalog_site"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=900)
        if done.returncode == 0:
            self._done = state
            self.says = f"shows {release}, {done.stdout.strip()}"
            for line in done.stderr.splitlines():  # such as a report that has no PDF
                log.warning(line)
        else:
            self.says = f"could not be written: {(done.stderr.strip().splitlines() or ['no message'])[-1][:160]}"
            self._not_before = time.monotonic() + RETRY
            log.warning(self.says)


def make(context: Context, follower: Follower | None = None) -> Flask:
    """The web application over the written site."""
    app = Flask(__name__, static_url_path="/door")  # /static is the site's
    public = str(context.settings.values["web"]["catalog_url"])
    app.config.update(
        SECRET_KEY=context.secrets["catalog_session"], SESSION_COOKIE_NAME="lake_catalog", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=public.startswith("https://"), PERMANENT_SESSION_LIFETIME=dt.timedelta(minutes=IDLE_MINUTES), MAX_CONTENT_LENGTH=2**20,
        WTF_CSRF_TIME_LIMIT=None,
    )  # fmt: skip
    CSRFProtect(app)
    signing_in.install(app, lambda: accounts.users(context), _audit)
    proposing.install(app, context.settings, lambda: Ledger(context), _audit)

    @app.get("/healthz")
    def healthz() -> dict[str, Any]:
        return {"says": follower.says if follower else "up"}

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    def page(path: str) -> Response:
        site = catalog_site.folder(context.settings) / "current"
        if not site.exists():
            abort(503, "目录页面正在生成，请过一两分钟再来")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts:
            abort(404)
        if parts[:1] == ["reports"] and current_user.role not in REPORT_READERS:
            abort(403, "质量月报列有记录，供领导、数据管理员和运维查看")
        file = f"{path}index.html" if path in ("",) or path.endswith("/") else path
        return send_from_directory(site.resolve(), file)

    @app.get("/gates/<layer>/", defaults={"path": ""})
    @app.get("/gates/<layer>/<path:path>")
    def gates(layer: str, path: str) -> Response:
        if layer not in data_docs.LAYERS:
            abort(404)
        if current_user.role not in REPORT_READERS:
            abort(403, "质量关口的结果供领导、数据管理员和运维查看")
        found = data_docs.page(context.settings.folder(f"data/quality/{layer}"), path) or abort(404, "没有这一页；每次运行后只留最近一次的结果")
        answer = Response(found, mimetype="text/html")
        answer.headers["Content-Security-Policy"] = data_docs.POLICY
        return answer

    @app.after_request
    def sealed(response: Response) -> Response:
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    return app


def _audit(name: str, what: str, succeeded: bool) -> None:
    log.info("%s user=%s success=%s", what, name.encode("unicode_escape").decode()[:64], succeeded)


def serve(context: Context) -> None:
    """Serve until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    os.umask(0o077)
    follower = Follower(context)
    follower.start()
    waitress.serve(make(context, follower), host=HOST, port=context.settings.port("catalog"), threads=6, ident=None)


if __name__ == "__main__":
    current = settings.load()
    serve(Context(current, credentials.load(current)))
