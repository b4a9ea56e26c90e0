"""Giving OpenLineage events out: always into files of the instance, and to another catalog where the settings name one.

Nothing that happens here stops what is told of: a server that is away, or answers late, costs a few seconds, and what it was not given is said and
stays in the files, from which `./lake lineage send` gives it later.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from openlineage.client.serde import Serde
from openlineage.client.transport.http import HttpConfig, HttpTransport
from rich.console import Console

from catalog.contract import load_contracts
from catalog.derive import all_tables
from catalog.lineage_events import Event, Names, as_runs, static
from infra import model_columns
from infra.clock import china_day
from infra.lineage_target import AIRFLOW, Target, folder, http, target
from infra.problems import Problem
from infra.services.base import Context
from infra.settings import HOST, Settings

MOST_SECONDS = 20.0  # for all events of a step
MOST_REFUSED = 3  # events in a row
MOST_BYTES = 64 * 2**20  # of one file
KEEP_DAYS = 90
FORMS = ("static", "runs")


def names(settings: Settings) -> Names:
    """The namespaces of the instance."""
    return Names(settings.instance, str(settings.values["lineage"]["trino"]) or f"{HOST}:{settings.port('trino')}")


# ---- giving events out ----


def give(context: Context, events: Sequence[Event], seconds: float = MOST_SECONDS) -> None:
    """Write events into the files, and send them where the settings say, for at most ``seconds``. Says what could not be done; raises nothing but what
    `target` does."""
    kept = _keep(context.settings, events)
    to = target(context)
    if to is None or not events:
        return
    sent, why = send(context, to, events, seconds)
    if sent < len(events):
        left = f"都在 {kept.name}（logs/lineage），可用 ./lake lineage send 补送" if kept else "也没有写进文件"
        print(f"血缘事件：{len(events)} 条中有 {len(events) - sent} 条没有送到 {to.shown}（{why}）；{left}", flush=True)


def send(context: Context, to: Target, events: Sequence[Event | dict[str, Any]], seconds: float) -> tuple[int, str]:
    """Send events in their order; return how many were taken, and why not the others.

    A server may refuse one event and take the next; it is left alone when it is away, has refused `MOST_REFUSED` in a row, or after ``seconds``.
    """
    transport = HttpTransport(HttpConfig.from_dict(http(context, to)))
    until, sent, refused, why = time.monotonic() + seconds, 0, 0, ""
    try:
        for event in events:
            if time.monotonic() > until:
                return sent, f"{seconds:.0f} 秒内没有送完"
            try:
                transport.emit(event)  # type: ignore[arg-type]  # what was read from a file is a dictionary already
                sent, refused = sent + 1, 0
            except requests.HTTPError as error:
                refused, why = refused + 1, f"对方答复 {error.response.status_code}"
                if refused == MOST_REFUSED:
                    break
    except (requests.RequestException, OSError) as error:
        why = type(error).__name__
    finally:
        transport.close()
    return sent, why


def _keep(settings: Settings, events: Sequence[Event]) -> Path | None:
    """Append events to the file of the day, one a line; None where that can't be done."""
    today = china_day(dt.datetime.now(dt.UTC))
    try:
        at = folder(settings)
        tidy(at, today)
        file = _place(at, f"events-{today}")
        lines = "".join(json.dumps(Serde.to_dict(e), ensure_ascii=False, sort_keys=True) + "\n" for e in events).encode()
        # Two programs may write at once: what is appended by one call stays together.
        with open(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab", buffering=0) as out:
            out.write(lines)
    except OSError as error:
        print(f"血缘事件没有写进 logs/lineage：{error.strerror or error}", flush=True)
        return None
    return file


def _place(at: Path, name: str) -> Path:
    """The first file of this name and a number that has room."""
    number, file = 0, at / f"{name}.ndjson"
    while file.exists() and file.stat().st_size >= MOST_BYTES:
        number += 1
        file = at / f"{name}.{number}.ndjson"
    return file


def tidy(at: Path, today: dt.date) -> None:
    """Put Airflow's file of a day that has passed, or that is full, aside under that day's name; remove files older than `KEEP_DAYS`."""
    airflow = at / AIRFLOW
    if airflow.exists():
        day = china_day(dt.datetime.fromtimestamp(airflow.stat().st_mtime, dt.UTC))
        if day < today or airflow.stat().st_size >= MOST_BYTES:
            number = len(list(at.glob(f"airflow-{day}*.ndjson")))
            airflow.rename(at / f"airflow-{day}{f'.{number}' if number else ''}.ndjson")
    for file in at.glob("*-????-??-??*.ndjson"):
        day = dt.date.fromisoformat(file.name.split(".")[0][-10:])
        if (today - day).days > KEEP_DAYS:
            file.unlink(missing_ok=True)


# ---- ./lake lineage ----


def export(settings: Settings, out_file: Path, form: str, out: Console) -> None:
    """Write the whole lineage as it is declared, one event a line. ``form``: ``static`` (events of design), ``runs`` (for catalogs that know only those).

    Raises:
        Problem: there is no such form, or the file can't be written.
    """
    if form not in FORMS:
        raise Problem(f"没有“{form}”这种形式", "写错了", f"可用的有：{'、'.join(FORMS)}")
    contracts = all_tables(load_contracts())
    build = static if form == "static" else as_runs
    events = build(names(settings), contracts, model_columns.columns(settings, contracts), dt.datetime.now(dt.UTC))
    try:
        with out_file.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(Serde.to_dict(e), ensure_ascii=False, sort_keys=True) + "\n" for e in events)
    except OSError as error:
        raise Problem(f"不能写入 {out_file}", f"{error.strerror}（以服务用户写入）", "换一个该用户可写的位置") from error
    out.print(f"已写入 {out_file}：{len(contracts)} 张表，{len(events)} 条事件", markup=False, soft_wrap=True)


def send_files(context: Context, files: Sequence[Path], out: Console) -> None:
    """Send what stands in files of events to the server of the settings, however long it takes.

    Raises:
        Problem: no server is set, a file can't be read, or the server has not taken all.
    """
    to = target(context)
    if to is None:
        raise Problem("没有可送的地方", '设置 [lineage] target 是 "file"', "先在 settings.toml 写接收事件的地址")
    for file in files:
        try:
            events = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, ValueError) as error:
            raise Problem(f"读不出 {file}", f"{getattr(error, 'strerror', None) or error}", "每行应是一条 OpenLineage 事件") from error
        sent, why = send(context, to, events, float("inf"))
        if sent < len(events):
            do = "对方恢复后再运行同一命令；重复送达的事件编号相同，不会记成两次"
            raise Problem(f"{file.name} 的 {len(events)} 条事件只送到 {sent} 条", f"{to.shown}：{why}", do)
        out.print(f"{file.name}：{sent} 条已送到 {to.shown}", markup=False, soft_wrap=True)
