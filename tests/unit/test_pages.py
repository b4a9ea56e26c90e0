"""Paged JSON over HTTP: each record once, whatever is cut; what was not agreed is said."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from platform_pages import Platform, serving

from catalog.contract import load_contracts
from infra import settings as settings_
from infra.ledger import Pull, delivery_id
from spark_jobs.ingest import land, pages, pulled

FEED = load_contracts()["bronze.public_opinion"]


class Ledger:
    """What the ledger keeps of readings."""

    def __init__(self):
        self.noted, self.states, self.number = [], {}, 0

    def pulls(self, feed):
        return list(self.noted)

    def deliveries(self, feed):
        return [SimpleNamespace(delivery_id=i, state=s) for i, s in self.states.items()]

    def next_pull(self):
        self.number += 1
        return self.number

    def note_pull(self, feed, kind, upper_bound=None, row_count=0, withdrawn=0, file_name=None, sha256=None, problem=None, number=None):
        self.noted.append(Pull(number or self.next_pull(), feed, kind, upper_bound, row_count, withdrawn, file_name, sha256, problem, None))


class Reader:
    """A lake that reads the platform; ``took`` lands what is in the inbox and returns the numbers of the records."""

    def __init__(self, folder, base, monkeypatch):
        self.folder = folder
        values = {"pages": {"base": base}}
        monkeypatch.setattr(settings_.Settings, "state", property(lambda _: folder))
        monkeypatch.setattr(pages, "WAIT_SECONDS", 0)
        self.context = SimpleNamespace(settings=settings_.Settings("unit", values), secrets={"pages_token": "token-of-the-platform"})
        self.ledger = Ledger()

    def pull(self):
        pages.pull(self.context, self.ledger, FEED)

    def took(self):
        numbers = []
        for path in sorted(land.inbox(self.context.settings, "public_opinion").iterdir()):
            if not path.name.endswith(land.MANIFEST):
                numbers += [json.loads(line)["编号"] for line in path.read_text("utf-8").splitlines()]
                self.ledger.states[delivery_id("public_opinion", self.ledger.noted[-1].sha256)] = "loaded"
            path.unlink()
        return numbers

    @property
    def problem(self):
        return self.ledger.noted[-1].problem or ""


@pytest.fixture
def platform():
    found = Platform()
    found.records = [(f"2026-02-{n:02}", {"编号": f"YQ{n}", "标题": "演示"}) for n in range(1, 9)]
    return found


@pytest.fixture
def reader(platform, tmp_path, monkeypatch):
    with serving(platform) as base:
        yield Reader(tmp_path, base, monkeypatch)


def test_all_pages_become_one_delivery_and_the_next_reading_takes_what_came_since(reader, platform):
    reader.pull()
    assert reader.took() == [f"YQ{n}" for n in range(1, 9)]
    assert [q.get("page") for q in platform.asked] == [None, "3", "6"]
    assert set(platform.tokens) == {"Bearer token-of-the-platform"}
    platform.records.append(("2026-03-02", {"编号": "YQ9", "标题": "演示"}))
    reader.pull()
    assert reader.took() == ["YQ9"]
    assert platform.asked[-1]["since"] == platform.until


def test_nothing_new_is_no_delivery(reader, platform):
    platform.records.clear()
    reader.pull()
    assert reader.took() == []
    assert (reader.ledger.noted[-1].row_count, reader.ledger.noted[-1].upper_bound) == (0, platform.until)


def test_what_was_cut_goes_on_with_the_page_that_it_lacked(reader, platform):
    platform.failing = ["", "cut", "busy", "cut", "busy"]
    reader.pull()
    assert "下次运行会从断处接着读" in reader.problem
    assert reader.took() == []
    platform.until = "2026-03-05T08:00:00+08:00"  # the platform's clock has gone on; what this reading brings was said before
    asked = len(platform.asked)
    reader.pull()
    assert platform.asked[asked].get("page") == "3"
    assert reader.took() == [f"YQ{n}" for n in range(1, 9)]
    assert reader.ledger.noted[-1].upper_bound == "2026-03-01T08:00:00+08:00"


def test_a_page_that_was_half_written_when_the_program_was_killed_is_written_again(reader, platform, monkeypatch):
    monkeypatch.setattr(pages, "TRIES", 1)
    platform.failing = ["", "busy"]
    reader.pull()
    (part,) = [p for p in pulled.spool(reader.context.settings, FEED).iterdir() if "进度" not in p.name]
    part.write_bytes(part.read_bytes() + b'{"half')
    reader.pull()
    assert reader.took() == [f"YQ{n}" for n in range(1, 9)]


def test_nothing_is_read_while_the_last_reading_waits(reader, platform):
    reader.pull()
    asked = len(platform.asked)
    reader.pull()
    assert len(platform.asked) == asked
    # Refused, it is read again.
    reader.ledger.states[delivery_id("public_opinion", reader.ledger.noted[-1].sha256)] = "refused"
    reader.pull()
    assert len(platform.asked) > asked


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a | {"items": {"a": 1}}, "不是记录的列表"),
        (lambda a: {"data": a}, "不是记录的列表"),
        (lambda a: a | {"items": [1]}, "不是记录的列表"),
        (lambda a: a | {"until": None}, "没有 until"),
        (lambda a: a | {"next": "3"}, "指向自己"),
    ],
)
def test_what_was_not_agreed_is_said(reader, platform, change, says):
    platform.change = change
    reader.pull()
    assert says in reader.problem
    assert reader.took() == []


@pytest.mark.parametrize("fault", ["gone", "moved"])
def test_what_asking_again_can_t_mend_is_asked_once(reader, platform, fault):
    platform.failing = [fault] * 9
    reader.pull()
    assert len(platform.asked) == 1
    assert "token" not in reader.problem


def test_an_address_that_is_not_closed_is_not_asked(reader, platform):
    reader.context.settings.values["pages"]["base"] = "http://platform.example"
    reader.pull()
    assert "https" in reader.problem
    reader.context.settings.values["pages"]["base"] = ""
    before = len(reader.ledger.noted)
    reader.pull()
    assert len(reader.ledger.noted) == before


def test_places_in_the_answer_are_the_contract_s(reader, platform, monkeypatch):
    platform.change = lambda a: {"data": {"rows": a["items"], "more": a["next"]}, "now": a["until"]}
    agreed = FEED.pages.model_copy(update={"itemsAt": "data.rows", "nextAt": "data.more", "untilAt": "now"})
    pages.pull(reader.context, reader.ledger, replace(FEED, pages=agreed))
    assert len(reader.took()) == 8
