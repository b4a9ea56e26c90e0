"""The bench measures what happens, compares what came out, and says how costs grow."""

import csv
import datetime as dt
import json
import math
import subprocess
import sys
from dataclasses import asdict, replace

import pyarrow.dataset as ds
import pytest
import sqlglot

from infra.bench import cases, report, run
from infra.bench.contenders import REBUILD_ALL, Outcome, digest, program
from infra.bench.measure import Measured, measuring, tree
from infra.bench.peers import common, duck, spark_scripts
from infra.bench.report import Row
from infra.bench.workloads import sixty_days
from infra.problems import Problem
from samples.city.make import make
from samples.city.parameters import parameters
from spark_jobs.ingest import land

BUSY = "import time; x = b'a' * 60_000_000; open('/dev/null', 'wb').write(x); t = time.process_time()\nwhile time.process_time() - t < 0.5: pass\ntime.sleep(1.2)"


def row(contender, subjects, seconds, outcome=None, agrees=True, written=0):
    return Row("day", subjects, contender, [Measured(seconds=s, written=written) for s in seconds], outcome, agrees)


def test_memory_bytes_and_processor_time_of_a_tree_of_processes_are_seen():
    # The work is done by a grandchild.
    process = subprocess.Popen([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"])
    with measuring(lambda: tree(process.pid)) as measured:
        process.wait()
    assert measured.peak > 60_000_000
    assert measured.written >= 60_000_000
    assert 0.4 < measured.processor < 3
    assert measured.seconds > 1.2
    assert measured.load > 0


def test_what_ran_before_is_not_counted():
    spent = bytearray(10_000_000)
    with open("/dev/null", "wb", buffering=0) as file:
        file.write(spent)
    import os

    with measuring(lambda: {os.getpid()}) as measured:
        pass
    assert measured.written < 1_000_000


def test_outcomes_are_equal_for_equal_rows_only():
    rows = [("S1", "甲", None, 3), ("S2", "乙", "", 4)]
    assert digest(rows) == digest([("S1", "甲", "", "3"), ("S2", "乙", None, "4")])  # as a CSV would tell them
    assert digest(rows).rows == 2
    assert digest(rows) != digest(rows[::-1])
    assert digest(rows) != digest([("S1", "甲", None, 3), ("S2", "乙", "", 5)])


def test_growth_is_the_slope_between_logarithms():
    rows = [row("lake", n, [0.001 * n**0.2], written=5 * n) for n in (50_000, 500_000, 4_500_000)]
    assert report.exponent(rows) == pytest.approx(0.2)
    assert report.exponent(rows, "written") == pytest.approx(1.0)
    assert math.isnan(report.exponent(rows[:1]))


def test_the_table_states_ratio_noise_and_who_disagrees():
    rows = [
        row("lake", 50_000, [10, 12, 11], Outcome(3, "a")),
        row("duck", 50_000, [22], Outcome(3, "a")),
        row("other", 50_000, [1], Outcome(2, "b"), agrees=False),
        row("lake", 500_000, [20]),
    ]
    text = report.markdown(rows, "2 cores")
    assert "| lake | 11.0 | ±9% | 1.00 |" in text
    assert "| duck | 22.0 |  | 2.00 |" in text
    assert "NO: not counted" in text
    assert "day, lake: time 0.26" in text
    assert report.picture(rows).count("<rect") == 5  # the ground and four bars


def test_a_day_is_the_next_records_behind_the_register(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "DAY_ROWS", 2)
    folder = tmp_path / "city" / "deliveries" / cases.FEED
    folder.mkdir(parents=True)
    header = "企业名称,统一社会信用代码,注册日期\n"
    for name, lines in {
        "主体基本信息_2022-12-31_全量01": "甲,1,2020-01-01\n",
        "主体基本信息_2023-01-01": "乙,2,2023-01-01\n丙,3\n",  # the second lacks a cell
        "主体基本信息_2023-01-02": "错,4,2023-01-02\n",
        "主体基本信息_2023-01-02_更正": "丁,4,2023-01-02\n",
        "主体基本信息_2023-01-03_重复": "乙,2,2023-01-01\n",
        "主体基本信息_2023-01-04": "戊,5,2023-01-04\n",
    }.items():
        (folder / f"{name}.csv").write_text(header + lines, encoding="utf-8")
        (folder / f"{name}.csv.manifest.json").write_text(json.dumps({"as_of": name[7:17], "revision": 0}))
    case = cases.Case(2000, tmp_path / "city", tmp_path)
    assert [d.path.name for d in case.register] == ["主体基本信息_2022-12-31_全量01.csv"]
    assert case.day(0).path.read_text("utf-8") == header + "乙,2,2023-01-01\n丁,4,2023-01-02\n"
    assert case.day(1).path.read_text("utf-8") == header + "戊,5,2023-01-04\n"
    with pytest.raises(IndexError):
        case.day(2)


def test_an_unknown_workload_is_named():
    with pytest.raises(Problem, match="no workload nonsense"):
        run.run(["nonsense"], [2000], None, [], None)


def test_every_workload_has_what_the_runner_needs():
    import importlib

    assert {"all_feeds", "all_feeds_day", "day", "first_load", "floors", "idle", "views"} <= set(run.names())
    for name in run.names():
        module = importlib.import_module(f"infra.bench.workloads.{name}")
        assert module.SAYS
        assert module.ROUNDS >= 1
        assert callable(module.contenders)


def test_the_drift_of_days_is_told():
    days = [(10.0 * n**0.5, 1000 * n) for n in range(1, 61)]
    told = report.drift(Row("sixty_days", 50_000, "day after day", [Measured(seconds=1, days=days)], None, True))
    assert told.startswith("60 days: median")
    assert "to the power 0.50; written" in told
    assert told.endswith("to the power 1.00")


def test_each_fault_of_the_sixty_days_has_its_day():
    assert len(sixty_days.FAULTS) == 10
    assert len(list(zip(range(3, sixty_days.DAYS, sixty_days.DAYS // 10), sixty_days.FAULTS, strict=False))) == 10


# ---- all feeds ----

# The register, and feeds of all forms.
FORMS = {
    "registration_subjects", "annual_reports", "complaints", "tax_flags", "association_figures", "inspection_results", "trademark_publications", "shareholders",
}  # fmt: skip


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A city of a year, and the folder in which it is worked on."""
    folder = tmp_path_factory.mktemp("bench")
    make(parameters(2000, 1, 5, cadence="monthly"), folder / "city")
    return cases.Case(2000, folder / "city", folder)


def listed(folder, sent):
    path = folder / "deliveries.json"
    path.write_text(json.dumps([asdict(d) for d in sent], default=str))
    return path


def some(sent, feeds=FORMS):
    return [d for d in sent if d.feed in feeds]


class Inline:
    """Takes the place of the pool of processes."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    map = staticmethod(map)


@pytest.fixture
def here(monkeypatch):
    """DuckDB's work in this process."""
    monkeypatch.setenv("BENCH_MEMORY", "1g")
    monkeypatch.setattr(duck, "ProcessPoolExecutor", Inline)


def test_the_first_load_of_all_feeds_is_what_was_sent_by_the_last_day(city):
    names = [d.path.name for d in city.sent]
    assert {d.feed for d in city.sent} >= FORMS
    assert "主体基本信息_2022-12-31_全量01.csv" in names
    assert "主体基本信息_2023-11-30.csv" in names
    assert "主体基本信息_2023-12-31.csv" not in names
    assert any("_重复" in name for name in names)
    assert any(d.revision for d in city.sent)
    assert all(d.rows > 0 for d in city.sent)


def test_a_day_of_all_feeds_is_a_share_of_what_falls_due_after_it(city, monkeypatch):
    monkeypatch.setattr(cases, "DAY_ROWS", 400)
    days = [city.day_of_all(number) for number in (0, 1)]
    assert 350 < sum(d.rows for d in days[0]) < 430
    assert {"registration_subjects", "abnormal_list", "inspection_results", "risk_classes"} <= {d.feed for d in days[0]}  # daily to quarterly
    assert {d.path.suffix for d in days[0]} == {".csv", ".json", ".gz", ".xlsx", ".xls", ".xml"}
    assert not {d.path for d in city.sent} & {d.path for day in days for d in day}
    for delivery in days[0]:
        rows = list(land.records(common.contract(delivery.feed), delivery.path, city.folder))
        assert len(rows) == delivery.rows
        assert all(values for _, values, _ in rows)
    one, other = ({line for d in day if d.feed == "registration_changes" for line in d.path.read_text("utf-8").splitlines()[1:]} for day in days)
    assert one
    assert other
    assert not one & other
    with pytest.raises(IndexError):
        city.day_of_all(10_000)


def test_the_peers_read_every_form_as_the_lake_does(city, tmp_path, here):
    sent = some(city.sent)
    deliveries = listed(tmp_path, sent)
    duck.land(tmp_path, deliveries)
    assert {lot.form for feed in FORMS for lot in common.lots(common.deliveries(deliveries, feed))} == {"csv", "gb18030", "json", "sheet"}
    for feed in FORMS:
        names = [c.name for c in common.contract(feed).columns if not c.reserved]
        landed = ds.dataset(tmp_path / "bronze" / feed).to_table().to_pylist()
        theirs = sorted((r["delivery_id"], r["business_date"].isoformat(), *(r.get(name) or "" for name in names)) for r in landed)
        ours = sorted(
            (s.identity, s.as_of, *(values.get(name) or "" for name in names))
            for s in common.deliveries(deliveries, feed)
            for _, values, _ in land.records(common.contract(feed), s.path, tmp_path)
            if values
        )
        assert theirs == ours


# A penalty that another department delivers: day of the file, revision, and what it says in the cell of the reason.
STATEMENTS = (
    ("文1", "2023-01-31", 0, "甲"),
    ("文1", "2023-02-28", 0, "甲"),  # says nothing new
    ("文1", "2023-03-31", 0, "乙"),
    ("文2", "2023-01-31", 0, "错"),
    ("文2", "2023-01-31", 1, "对"),  # is corrected
    ("文3", "2023-01-31", 0, "丙"),
    ("文3", "2023-01-31", 0, "丁"),  # nobody says which of the two stands
    ("文4", "2023-01-31", 0, "戊"),
    ("文4", "2023-01-31", 0, "戊"),  # came twice
)


def stated(folder):
    """The statements, each in a file of its own."""
    folder.mkdir()
    header = "统一社会信用代码,企业名称,处罚部门,文号,事由,决定日期"
    for number, (document, as_of, revision, reason) in enumerate(STATEMENTS):
        path = folder / f"{number}.csv"
        path.write_text(f"{header}\n91440101YC0000000X,广州甲有限公司,市应急管理局,{document},{reason},2023-01-05\n", encoding="utf-8")
        yield cases.Delivery(path, as_of, revision, "other_penalties", 1)


def history(folder, sent):
    """Document, day, reason and whether it is contested of what stands after DuckDB's work."""
    folder.mkdir()
    deliveries = listed(folder, sent)
    duck.land(folder, deliveries)
    duck.records(folder, deliveries)
    rows = ds.dataset(folder / "records" / "other_penalties.parquet").to_table().to_pylist()
    shown = ("document_number", "effective_from", "reason", "is_conflict")
    reason = next(c.name for c in common.contract("other_penalties").columns if "事由" in c.headers)
    return sorted(tuple(r[reason if c == "reason" else c] for c in shown) for r in rows if r["fact_outcome"] == "applied")


def test_duckdb_keeps_the_history_of_a_record_by_the_rule_of_the_lake(tmp_path, here, monkeypatch):
    sent = list(stated(tmp_path / "sent"))
    whole = history(tmp_path / "whole", sent)
    first, third = dt.date(2023, 1, 31), dt.date(2023, 3, 31)
    assert whole[:3] == [("文1", first, "甲", False), ("文1", third, "乙", False), ("文2", first, "对", False)]
    assert whole[3][:2] == ("文3", first)
    assert whole[3][2] in ("丙", "丁")
    assert whole[3][3]
    assert whole[4:] == [("文4", first, "戊", False)]
    assert history(tmp_path / "reversed", sent[::-1]) == whole
    # Without the order that revisions give, a correction is one of two contents of which nobody says which stands.
    monkeypatch.setattr(duck, "ORDER", "0")
    assert history(tmp_path / "broken", sent) != whole


def test_a_delivery_with_too_many_bad_records_is_left_out_whole():
    sent = [common.Sent(f"D{n}", "complaints", None, "2023-01-31", 0, 100) for n in range(3)]
    assert common.contract("complaints").quarantine_budget == 0.2
    assert common.held("complaints", sent, {"D0": 100, "D1": 80}) == ["D2"]
    assert common.held("complaints", [replace(sent[0], rows=20)], {}) == []  # of a handful one is a large share


def test_what_duckdb_comes_to_is_told_from_what_it_would_be_without_a_correction(city, tmp_path, here):
    corrected = {d.feed for d in city.sent if d.revision}
    sent = some(city.sent, {"registration_subjects", *corrected})
    outcomes = []
    for number, chosen in enumerate((sent, sent[::-1], [d for d in sent if not d.revision])):
        folder = tmp_path / str(number)
        folder.mkdir()
        deliveries = listed(folder, chosen)
        for stage in (duck.land, duck.refine, duck.records, duck.archive, duck.marts, duck.show):
            stage(folder, deliveries)
        outcomes.append([list(csv.reader((folder / name).read_text("utf-8").splitlines())) for name in ("archive.csv", "records.csv")])
    assert {row[0] for row in outcomes[0][1]} == corrected - {"registration_subjects"}
    assert len(outcomes[0][0]) > 2000
    assert outcomes[0] == outcomes[1]  # whatever the order of arrival
    assert outcomes[0] != outcomes[2]


@pytest.mark.parametrize("name", ["archive_subject", "mart_registrations_monthly"])
def test_the_models_of_the_lake_can_be_run_by_the_peer(name):
    tables = {t: t for t in ("subject_registration", "subject_key", "ref_industry", "archive_subject")}
    sql = sqlglot.parse_one(spark_scripts.model(name, tables), dialect="spark")
    assert {t.name for t in sql.find_all(sqlglot.exp.Table)} & tables.keys()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_both_peers_come_to_the_same_digest(city):
    outcomes = {}
    for name in ("duck", "spark_scripts"):
        peer = program(city, name, REBUILD_ALL, lambda number: [*some(city.sent), *some(city.day_of_all(0))])
        peer.prepare(0)
        assert set(peer.work(0).stages) == set(REBUILD_ALL)
        outcomes[name] = peer.outcome(0)
    assert outcomes["duck"] == outcomes["spark_scripts"]
    assert outcomes["duck"].rows > 5000
