"""Read paged JSON over HTTP: what a platform has since the last reading, page after page, becomes one file in the feed's inbox.

    GET <base><path>?since=<until of the last reading>&page=<next of the page before>
    {"items": [{…}, …], "next": "…" or null, "until": "2026-02-01T08:00:00+08:00"}

``until`` is the platform's own clock, said with the first page: what is new after it comes with the next reading. The names of parameters and
entries are the contract's. Each page is kept as soon as it is there: a reading that was cut goes on with the page that it lacked.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from catalog.contract import Contract
from catalog.properties import Pages
from infra.ledger import Ledger
from infra.services.base import Context
from infra.settings import HOST
from spark_jobs.ingest import pulled
from spark_jobs.ingest.pulled import Unreadable

TRIES, WAIT_SECONDS = 4, 2
CONNECT_SECONDS, READ_SECONDS = 10, 60
MOST_BYTES = 64 * 2**20  # of a page
MOST_PAGES = 100_000  # a platform that never comes to an end is not followed for ever
AGAIN = "下次运行会从断处接着读。"


@dataclass
class _State:
    """How far a reading has come: ``size`` bytes of its file hold ``rows`` records; ``page`` is to be asked for next (None: the first)."""

    since: str
    until: str = ""
    page: str | None = None
    size: int = 0
    rows: int = 0
    pages: int = 0
    finished: bool = False


def pull(context: Context, ledger: Ledger, feed: Contract) -> None:
    """Read the feed's pages into its inbox. Nothing is read while the last reading waits to be taken, or where no platform is set.

    What can't be read is noted in the ledger, and stops no other feed.
    """
    base = str(context.settings.values["pages"]["base"]).rstrip("/")
    taken = pulled.taken(context.settings, ledger, feed, simulated=False)
    if not base or taken is None or feed.pages is None:
        return
    path = pulled.spool(context.settings, feed) / f"网页读取{pulled.UNFINISHED}"
    state = _resumed(path, taken[-1].upper_bound or "" if taken else "")
    try:
        _require_closed(base)
        with requests.Session() as session:
            if token := context.secrets.get("pages_token"):
                session.headers["Authorization"] = f"Bearer {token}"
            while not state.finished:
                _take(session, f"{base}{feed.pages.path}", feed.pages, state, path)
    except Unreadable as error:
        print(f"{feed.id}: {error}", flush=True)
        ledger.note_pull(feed.name, "pages", problem=str(error))
        return
    number = ledger.next_pull()
    named = path.with_name(f"网页读取_{number:08}.jsonl")
    path.rename(named)
    _state_file(path).unlink()
    pulled.deliver(context.settings, ledger, feed, "pages", state.until, named, state.rows, 0, number, simulated=False)
    print(f"{feed.id}: 读取 {feed.pages.path}：{state.pages:,} 页，{state.rows:,} 条", flush=True)


def _take(session: requests.Session, url: str, agreed: Pages, state: _State, path: Path) -> None:
    """Ask for the next page and keep its records, then how far that is."""
    asked = {agreed.sinceParameter: state.since} if state.since else {}
    answer = _ask(session, url, asked | ({} if state.page is None else {agreed.pageParameter: state.page}))
    items, following = _at(answer, agreed.itemsAt), _at(answer, agreed.nextAt)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unreadable(f"{url} 第 {state.pages + 1} 页的 {agreed.itemsAt} 不是记录的列表。请与供数部门核对接口约定；{AGAIN}")
    if not state.until:
        until = _at(answer, agreed.untilAt)
        if not isinstance(until, str) or not until:
            raise Unreadable(f"{url} 第一页没有 {agreed.untilAt}（平台的当前时间），不知道下次从哪里读起。请与供数部门核对接口约定。")
        state.until = until
    if following is not None and (str(following) == state.page or state.pages >= MOST_PAGES):
        raise Unreadable(f"{url} 第 {state.pages + 1} 页又指向自己，或页数超过 {MOST_PAGES:,}，读不到头。请与供数部门核对接口约定。")
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.seek(state.size)
        file.truncate()  # what a killed program had written of this page
        file.write("".join(map(pulled.line, items)).encode())
        file.flush()
        os.fsync(file.fileno())
        state.size = file.tell()
    state.rows, state.pages = state.rows + len(items), state.pages + 1
    state.page, state.finished = (None, True) if following in (None, "") else (str(following), False)
    temporary = _state_file(path).with_name(f"new{pulled.UNFINISHED}")
    temporary.write_text(json.dumps(asdict(state)), encoding="utf-8")
    temporary.replace(_state_file(path))


def _ask(session: requests.Session, url: str, parameters: dict[str, str]) -> Any:
    """The JSON of a page; asked for again where the connection is cut or the platform is busy. Redirections are not followed."""
    for attempt in range(1, TRIES + 1):
        try:
            with session.get(url, params=parameters, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False, stream=True) as answer:
                if answer.status_code == 200:
                    return json.loads(_body(answer, url), parse_float=str)
                problem = f"回答 {answer.status_code}"
                if answer.status_code < 500 and answer.status_code != 429:
                    break
        except (requests.RequestException, ValueError) as error:
            problem = type(error).__name__
        if attempt < TRIES:
            time.sleep(WAIT_SECONDS * attempt)
    raise Unreadable(f"读不到 {url}：{problem}。请检查网络、地址和令牌；{AGAIN}")


def _body(answer: requests.Response, url: str) -> bytes:
    body = b""
    for block in answer.iter_content(2**16):
        body += block
        if len(body) > MOST_BYTES:
            raise Unreadable(f"{url} 的一页超过 {MOST_BYTES // 2**20} MB。请供数部门改小每页条数。")
    stated = answer.headers.get("Content-Length")
    if stated and not answer.headers.get("Content-Encoding") and len(body) != int(stated):
        raise ValueError("cut")
    return body


def _at(answer: Any, place: str) -> Any:
    """What stands at a place such as ``data.items``; None where nothing does."""
    for name in place.split("."):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def _require_closed(base: str) -> None:
    parts = urlsplit(base)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in (HOST, "localhost")):
        raise Unreadable(f"settings.toml 的 [pages] base 是 {base}：不加密的地址只可用于本机。请改为 https。")


def _state_file(path: Path) -> Path:
    return path.with_name(f"{path.name.removesuffix(pulled.UNFINISHED)}进度{pulled.UNFINISHED}")


def _resumed(path: Path, since: str) -> _State:
    """How far the reading that was cut had come; a new one where there is none, or where another since has been taken."""
    try:
        state = _State(**json.loads(_state_file(path).read_text(encoding="utf-8")))
        if state.since == since and path.stat().st_size >= state.size:
            return state
    except (OSError, ValueError, TypeError):
        pass
    return _State(since)
