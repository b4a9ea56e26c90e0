"""The bench measures what happens, compares what came out, and says how costs grow."""

import json
import math
import subprocess
import sys

import pytest

from infra.bench import cases, report, run
from infra.bench.contenders import Outcome, digest
from infra.bench.measure import Measured, measuring, tree
from infra.bench.report import Row
from infra.bench.workloads import sixty_days
from infra.problems import Problem

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

    assert {"day", "first_load", "floors", "idle", "views"} <= set(run.names())
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
