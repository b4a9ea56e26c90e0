"""The instance to look at, and a browser to look with.

Normally the instance is the demonstrated stack. ``LAKE_BROWSER_INSTANCE=main`` looks at a running one instead, while
dashboards are being made. As root the browser and a Chinese font are installed when they are missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from infra import credentials, dashboards, settings
from infra.services import superset
from infra.services import trino as trino_service
from infra.services.base import Context, base_environment

CHROMIUM = "/usr/bin/chromium"
SECONDS = 60_000
FONT = "Noto Sans CJK SC"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Place:
    """What the tests of dashboards need of an instance."""

    def __init__(self, context: Context, passwords: dict[str, str]) -> None:
        self.context = context
        self.settings = context.settings
        self.passwords = passwords
        self.base = f"http://localhost:{context.settings.port('superset')}"

    def client(self, user: str) -> superset.Client:
        return superset.Client(self.context, user, self.passwords[user])

    def ask(self, user: str, sql: str) -> list[Any]:
        return trino_service.connect(self.context, user, self.passwords[user]).cursor().execute(sql).fetchall()

    def run(self) -> None:
        """A run of the pipeline, as far as there is something to do."""
        program = [str(self.settings.program("lake", "python")), "-P", "-m", "spark_jobs.pipeline"]
        owner = self.settings.state.owner()
        drop = {"user": owner, "group": self.settings.state.group(), "extra_groups": []} if os.geteuid() == 0 else {}
        environment = {**base_environment(self.settings), "LAKE_INSTANCE": self.settings.instance, "LAKE_REPO": str(settings.REPO)}
        for step in ("silver", "gold", "publish"):
            done = subprocess.run([*program, step], env=environment, cwd="/", capture_output=True, text=True, timeout=600, **drop)
            assert done.returncode in (0, 4), f"{step}: {done.stdout[-2000:]}{done.stderr[-2000:]}"

    def sign_in(self, page: Page, user: str, password: str | None = None) -> None:
        """Sign in by the form, as people do."""
        page.goto(f"{self.base}/login/")
        # The page draws its form anew when the texts in Chinese have come; what was typed before is gone then.
        page.wait_for_load_state("networkidle", timeout=SECONDS)
        # A moment after, the page reports that it was opened. The answer brings a session of nobody, which would take the place of the one that signing
        # in brings; people need longer to type.
        with contextlib.suppress(TimeoutError):
            page.wait_for_event("response", lambda answer: "/superset/log/" in answer.url, timeout=5_000)
            page.wait_for_load_state("networkidle", timeout=SECONDS)
        page.get_by_label("用户名").or_(page.locator("#username")).first.fill(user)
        page.locator("#password, input[type=password]").first.fill(password or self.passwords[user])
        page.locator("button[type=submit]").click()
        page.wait_for_url("**/superset/welcome/**", timeout=SECONDS)

    @contextlib.contextmanager
    def window(self, browser: Browser, user: str, width: int, height: int) -> Iterator[Page]:
        """A page of a window of this size, in which somebody has signed in."""
        context = browser.new_context(viewport={"width": width, "height": height}, locale="zh-CN", timezone_id="Asia/Shanghai")
        page = context.new_page()
        self.sign_in(page, user)
        yield page
        context.close()

    @contextlib.contextmanager
    def catalog_window(self, browser: Browser, user: str) -> Iterator[Page]:
        """The catalog's first page, in a window in which somebody has signed in; nothing on the pages that are opened there may fail."""
        address = f"http://localhost:{self.settings.port('catalog')}"
        context = browser.new_context(viewport={"width": 1360, "height": 900}, locale="zh-CN")
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"{address}/")
        self.photograph(page, "catalog-login")
        page.get_by_label("账号").fill(user)
        page.get_by_label("密码").fill(self.passwords[user])
        page.get_by_role("button", name="登录").click()
        page.wait_for_url(f"{address}/", timeout=SECONDS)
        yield page
        context.close()
        assert problems == []

    def photograph(self, page: Page, name: str, **how: Any) -> None:
        """Keep a picture of the page with the instance, for whoever looks at it (``how``: as for a screenshot)."""
        picture = self.settings.folder("pictures") / f"{name}.png"
        page.screenshot(path=str(picture), animations="disabled", **how)
        if os.geteuid() == 0:  # what lies in the instance's folder belongs to the service user
            for path in (picture.parent, picture):
                shutil.chown(path, self.settings.state.owner(), self.settings.state.group())


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    """The instance, with the dashboards deployed."""
    name = os.environ.get("LAKE_BROWSER_INSTANCE")
    if name:
        current = settings.load(name)
        found = Place(
            Context(current, credentials.load(current)),
            json.loads((current.folder("secrets") / "initial-passwords.json").read_text()),
        )
    else:
        stack = request.getfixturevalue("demonstrated")
        found = Place(stack.context, {user: stack.password(user) for user in ("analyst", "leader", "steward", "operator")})
    dashboards.deploy(found.context)
    return found


def _missing() -> list[str]:
    fonts = subprocess.run(["fc-list", ":lang=zh-cn", "family"], capture_output=True, text=True).stdout if shutil.which("fc-list") else ""
    return [package for package, there in (("chromium", Path(CHROMIUM).exists()), ("fonts-noto-cjk", FONT in fonts)) if not there]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    missing = _missing()
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for argv in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "fontconfig", *missing]):
            subprocess.run(argv, env=quiet, stdout=subprocess.DEVNULL, check=False, timeout=500)
        missing = _missing()
    if missing:
        pytest.skip(f"the browser part was NOT run: {' and '.join(missing)} missing; run as root once, or apt-get install them")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield started
        finally:
            started.close()
