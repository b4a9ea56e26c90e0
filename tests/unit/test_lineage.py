"""Giving events out: into files always, to a server where one is set; a server that is away or slow costs seconds, not the run."""

import configparser
import datetime as dt
import json
import socket
import time
from types import SimpleNamespace

import pytest
from lineage_server import listening
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.transport import get_default_factory
from rich.console import Console

from infra import lineage, lineage_target
from infra import settings as settings_
from infra.credentials import GENERATORS
from infra.problems import Problem
from infra.services import airflow
from infra.services.base import Context

DAY = dt.date(2026, 12, 1)
TOKEN = "a-token-of-the-other-catalog"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes the context of an instance that tells ``target``."""
    monkeypatch.setattr(settings_.Settings, "state", property(lambda _: tmp_path))

    def make(target="file", token=None, trino=""):
        values = {"lineage": {"target": target, "ca": "", "trino": trino}, "ports": {"trino": 18443}}
        return SimpleNamespace(settings=settings_.Settings("unit", values), secrets={lineage_target.TOKEN: token} if token else {})

    return make


def events(count=3):
    run = "01890b5d-1c22-7d4f-9f3a-2f6c2b0a7e"
    return [
        RunEvent(eventType=RunState.COMPLETE, eventTime="2026-12-01T00:00:00+00:00", run=Run(f"{run}{n:02}"), job=Job("lake-unit", f"任务{n}"))
        for n in range(count)
    ]


def kept(context):
    return [json.loads(line) for f in sorted(lineage_target.folder(context.settings).glob("*.ndjson")) for line in f.read_text("utf-8").splitlines()]


def test_without_a_server_events_stand_in_the_file_of_the_day(made, capsys):
    context = made()
    lineage.give(context, events(2))
    lineage.give(context, events(1))
    assert [e["job"]["name"] for e in kept(context)] == ["任务0", "任务1", "任务0"]
    (file,) = lineage_target.folder(context.settings).iterdir()
    assert file.name.startswith("events-20")
    assert file.stat().st_mode & 0o077 == 0
    assert capsys.readouterr().out == ""


def test_a_server_gets_each_event_at_the_path_that_is_set_with_the_token(made):
    with listening() as (catalog, address):
        context = made(f"{address}/openapi/openlineage/api/v1/lineage", TOKEN)
        lineage.give(context, events())
        assert [(path, token) for path, token, _ in catalog.got] == [("/openapi/openlineage/api/v1/lineage", f"Bearer {TOKEN}")] * 3
        assert catalog.events == kept(context)


def test_an_address_without_a_path_means_that_of_the_standard(made):
    with listening() as (catalog, address):
        lineage.give(made(address), events(1))
        assert [(path, token) for path, token, _ in catalog.got] == [("/api/v1/lineage", None)]


def test_a_server_that_is_away_is_said_and_forgotten(made, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context, begin = made(f"http://127.0.0.1:{port}"), time.monotonic()
    lineage.give(context, events())
    assert time.monotonic() - begin < 2
    assert "3 条中有 3 条没有送到" in capsys.readouterr().out
    assert len(kept(context)) == 3


def test_a_slow_server_costs_one_wait(made, capsys, monkeypatch):
    monkeypatch.setattr(lineage_target, "SECONDS", 0.3)
    with listening() as (catalog, address):
        catalog.wait = 2
        begin = time.monotonic()
        lineage.give(made(address), events(20))
        assert time.monotonic() - begin < 1.5
    assert "20 条中有 20 条没有送到" in capsys.readouterr().out


def test_a_server_that_answers_each_time_just_in_time_does_not_hold_a_run_up(made, capsys):
    with listening() as (catalog, address):
        catalog.wait = 0.1
        begin = time.monotonic()
        lineage.give(made(address), events(10), seconds=0.25)
        assert time.monotonic() - begin < 1
    assert "没有送完" in capsys.readouterr().out
    assert 1 <= len(catalog.got) < 10


def test_a_server_that_refuses_is_said_without_the_token(made, capsys):
    with listening() as (catalog, address):
        catalog.answer = 401
        lineage.give(made(address, TOKEN), events(20))
        assert len(catalog.got) == lineage.MOST_REFUSED
    said = capsys.readouterr().out
    assert "401" in said
    assert TOKEN not in said


def test_one_event_that_is_refused_stops_no_other(made, capsys):
    with listening() as (catalog, address):
        catalog.refused = "任务1"
        lineage.give(made(address), events())
        assert [e["job"]["name"] for e in catalog.events] == ["任务0", "任务1", "任务2"]
    assert "3 条中有 1 条没有送到" in capsys.readouterr().out


def test_a_folder_that_can_not_be_written_is_said(made, capsys):
    context = made()
    lineage_target.folder(context.settings).rmdir()
    (context.settings.state / "logs" / "lineage").write_text("in the way")
    lineage.give(context, events())
    assert "没有写进" in capsys.readouterr().out


@pytest.mark.parametrize(
    "target", ["", "File", "kafka://broker:9092", "http://", "catalog.example", "https://user:pw@catalog.example", "https://c.example/a?key=1"]
)
def test_a_target_that_is_none_is_refused_with_what_to_write(made, target):
    with pytest.raises(Problem) as raised:
        lineage_target.target(made(target))
    assert 'target = "file"' in raised.value.do
    assert "pw" not in str(raised.value)


def test_a_token_does_not_leave_the_machine_unencrypted(made):
    with pytest.raises(Problem):
        lineage_target.target(made("http://catalog.example/api/v1/lineage", TOKEN))
    assert lineage_target.target(made("https://catalog.example/api/v1/lineage", TOKEN)).endpoint == "api/v1/lineage"
    assert lineage_target.target(made("http://marquez.example:5000")).base == "http://marquez.example:5000/"


def test_airflow_gets_a_transport_that_the_library_knows(made):
    with listening() as (catalog, address):
        context = made(address, TOKEN)
        get_default_factory().create(lineage_target.airflow_transport(context)).emit(events(1)[0])
        assert len(catalog.got) == 1
        assert catalog.got[0][1] == f"Bearer {TOKEN}"
    assert len((lineage_target.folder(context.settings) / lineage_target.AIRFLOW).read_text().splitlines()) == 1
    assert lineage_target.airflow_transport(made())["type"] == "file"


def test_airflow_s_configuration_holds_that_transport_whatever_stands_in_the_token(made):
    values = settings_.load("unit").values | {"lineage": {"target": "https://catalog.example/a", "ca": "/etc/our.pem", "trino": ""}}
    secrets = dict.fromkeys(GENERATORS, "x") | {lineage_target.TOKEN: 'a%token%(with)s "signs"'}
    context = Context(settings_.Settings(made().settings.instance, values), secrets)
    airflow._render(context)
    read = configparser.ConfigParser()
    read.read(context.conf("airflow") / "airflow.cfg")
    told = read["openlineage"]
    assert told["namespace"] == "lake-unit-airflow"
    assert json.loads(told["transport"]) == lineage_target.airflow_transport(context)
    server = json.loads(told["transport"])["transports"]["server"]
    assert (server["auth"]["apiKey"], server["sslContext"]) == (secrets[lineage_target.TOKEN], {"caCertPath": "/etc/our.pem"})


def test_tables_are_named_after_the_trino_that_others_know(made):
    assert lineage.names(made().settings).tables == "trino://127.0.0.1:18443"
    assert lineage.names(made(trino="trino.example:443").settings).tables == "trino://trino.example:443"


def test_files_are_parted_by_size_put_aside_by_day_and_removed_when_old(tmp_path, monkeypatch):
    monkeypatch.setattr(lineage, "MOST_BYTES", 10)
    names = ["events-2026-08-01.ndjson", "events-2026-11-30.ndjson", "airflow-2026-08-02.1.ndjson", "events-2026-12-01.ndjson", "notes.txt"]
    for name in names:
        (tmp_path / name).write_text("x" * 10)
    (tmp_path / lineage_target.AIRFLOW).write_text("x")
    lineage.tidy(tmp_path, dt.datetime.now(dt.UTC).date() + dt.timedelta(days=2))
    assert not (tmp_path / lineage_target.AIRFLOW).exists()
    for name in names:
        (tmp_path / name).write_text("x" * 10)
    lineage.tidy(tmp_path, DAY)
    left = {p.name for p in tmp_path.iterdir()}
    assert {"events-2026-11-30.ndjson", "events-2026-12-01.ndjson", "notes.txt"} <= left
    assert left.isdisjoint({"events-2026-08-01.ndjson", "airflow-2026-08-02.1.ndjson"})
    assert lineage._place(tmp_path, "events-2026-12-01").name == "events-2026-12-01.1.ndjson"


def test_what_was_not_delivered_is_sent_later(made, tmp_path):
    with listening() as (catalog, address):
        context = made(address)
        catalog.answer = 503
        lineage.give(context, events())
        (file,) = lineage_target.folder(context.settings).iterdir()
        with pytest.raises(Problem) as raised:
            lineage.send_files(context, [file], Console(quiet=True))
        assert "只送到 0 条" in raised.value.what
        catalog.answer = 200
        catalog.got.clear()
        lineage.send_files(context, [file], Console(quiet=True))
        assert catalog.events == kept(context)
        broken = tmp_path / "broken.ndjson"
        broken.write_text("no json\n")
        with pytest.raises(Problem):
            lineage.send_files(context, [broken], Console(quiet=True))
    with pytest.raises(Problem):
        lineage.send_files(made(), [file], Console(quiet=True))


def test_the_whole_lineage_is_written_one_event_a_line(made, tmp_path):
    context, out = made(), tmp_path / "all.ndjson"
    lineage.export(context.settings, out, "static", Console(quiet=True))
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {"dataset" in e for e in found} == {True, False}
    lineage.export(context.settings, out, "runs", Console(quiet=True))
    assert all("run" in json.loads(line) for line in out.read_text("utf-8").splitlines())
    with pytest.raises(Problem):
        lineage.export(context.settings, out, "other", Console(quiet=True))
    with pytest.raises(Problem):
        lineage.export(context.settings, tmp_path / "no" / "folder.ndjson", "static", Console(quiet=True))
