"""The monthly report's figures equal those that one works out by hand from the rows of a small fixture."""

import datetime as dt
from decimal import Decimal

import pytest

from catalog.contract import load_contracts
from catalog.properties import Kind
from spark_jobs.quality_month import Counted, MonthScore, Tables, department_month, departments
from spark_jobs.scores import ALL, COMPLETE, PUNCTUAL

FEEDS = {c.name: c for c in load_contracts().values() if c.kind is Kind.FEED}
OFFICE, CENTRE = "执法监督处", "12315投诉举报中心"
OCTOBER, NOVEMBER = dt.date(2026, 10, 1), dt.date(2026, 11, 1)


def day(number, month=11):
    return dt.date(2026, month, number)


def scored(date, rule, checked, failed, feed="penalties", department=OFFICE, value_kind="observed"):
    return {
        "score_date": date, "score_level": "rule", "department": department, "feed": feed, "rule_id": rule,
        "checked_count": checked, "failed_count": failed, "value_kind": value_kind,
    }  # fmt: skip


def due(date, status, late=0, department=OFFICE):
    return {
        "due_on": date, "business_date": date - dt.timedelta(days=3), "punctuality": status, "days_late": late,
        "department": department, "feed": "penalties", "feed_title": "行政处罚",
    }  # fmt: skip


def period(end, source, held, status):
    return {
        "resource_name": "行政处罚", "department": OFFICE, "period_to": end, "source_records": source, "held_records": held,
        "reconciliation_status": status,
    }  # fmt: skip


def odd(first, state, ended=None, deviation=9.5, department=OFFICE):
    return {
        "anomaly_text": f"{first}", "anomaly_kind": "volume_low", "anomaly_state": state, "first_seen_on": first, "recovered_on": ended,
        "deviation": deviation, "department": department, "feed": "penalties", "source_column": ALL,
    }  # fmt: skip


PROBLEM = {
    "department": OFFICE, "feed": "penalties", "rule_id": "credit_code_checked", "problem_scope": "rule", "problem_state": "open",
    "open_records": 30, "sample_keys": ["穗测处〔2026〕1号", "穗测处〔2026〕2号"],
}  # fmt: skip
TABLES = Tables(
    scores=[
        # decision_number_present sets a record aside (weight 2), credit_code_checked marks it (weight 1).
        scored(day(2), "decision_number_present", 100, 1),
        scored(day(9), "decision_number_present", 300, 3),
        scored(day(2), "credit_code_checked", 100, 20),
        scored(day(9), "credit_code_checked", 300, 20),
        scored(day(4), PUNCTUAL, 3, 1),
        scored(day(5, 10), "decision_number_present", 200, 2),
        scored(day(5, 10), "credit_code_checked", 200, 10),
        scored(day(5, 10), PUNCTUAL, 2, 0),
        scored(day(5, 10), "columns_aligned", 200, 4),
        scored(day(3), COMPLETE, 50, 5, "complaints", CENTRE),
        scored(day(3), "a_rule_of_long_ago", 50, 5),
    ],
    problems=[PROBLEM],
    calendar=[due(day(4), "on_time"), due(day(11), "late", 2), due(day(18), "overdue", 9), due(day(25), "awaited"), due(day(28, 10), "on_time")],
    reconciliation=[
        period(day(7), 10, 8, "short"),
        period(day(14), 5, 6, "over"),
        period(day(21), 4, 4, "matched"),
        period(day(28), 7, 0, "awaited"),
        period(day(31, 10), 9, 1, "short"),
    ],
    anomalies=[
        odd(day(20, 9), "recovered", day(30, 9)),
        odd(day(20, 10), "recovered", day(2)),
        odd(day(21, 10), "open"),
        odd(day(12), "settled", day(20), 30.0),
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def report():
    return department_month(OFFICE, NOVEMBER, TABLES, FEEDS)


def test_the_score_of_a_month_is_of_all_that_came_in_it(report):
    # November: 396 of 400 = 99.00 (weight 2), 360 of 400 = 90.00 (weight 1), 2 of 3 on time = 66.67 (weight 2).
    # (2·99 + 1·90 + 2·66.67) / 5 = 421.34 / 5 = 84.268 → 84.27, 差.
    assert report.overall == MonthScore(NOVEMBER, Decimal("84.27"), "poor")
    # October: 198 of 200 = 99 (2), 190 of 200 = 95 (1), all on time = 100 (2), 196 of 200 = 98 (2): (198 + 95 + 200 + 196) / 7 = 98.43, 优.
    assert report.before == MonthScore(OCTOBER, Decimal("98.43"), "excellent")
    assert report.change == Decimal("-14.16")
    assert len(report.trend) == 12
    assert [m.score for m in report.trend[:10]] == [None] * 10
    assert report.trend[-2:] == (report.before, report.overall)
    assert report.by_feed == (("行政处罚", report.overall),)
    assert dict(report.by_dimension)["时效性"] == MonthScore(NOVEMBER, Decimal("66.67"), "bad")


def test_what_is_wrong_how_much_and_what_has_changed(report):
    told = {f.rule: (f.checked, f.failed, f.share, f.failed_before, f.share_before, f.change) for f in report.findings}
    assert told == {
        "credit_code_checked": (400, 40, Decimal("10.00"), 10, Decimal("5.00"), "more"),
        "decision_number_present": (400, 4, Decimal("1.00"), 2, Decimal("1.00"), "same"),
        PUNCTUAL: (3, 1, Decimal("33.33"), 0, Decimal("0.00"), "new"),
        "columns_aligned": (0, 0, None, 4, Decimal("2.00"), "unknown"),
    }
    first = report.findings[0]
    assert (first.open_records, first.samples, first.severity, first.dimension) == (30, ("穗测处〔2026〕1号", "穗测处〔2026〕2号"), "warn", "准确性")
    assert "代码" in first.description
    assert next(f for f in report.findings if f.rule == PUNCTUAL).description == "批次没有按期到达"


def test_punctuality_counts_and_anomalies(report):
    p = report.punctuality
    assert (p.due, p.on_time, p.late, p.missing, p.overdue, p.share) == (3, 1, 1, 0, 1, Decimal("33.33"))
    assert [(title, days) for title, _, days in p.worst] == [("行政处罚", 9), ("行政处罚", 2)]
    # 10 + 5 + 4 taken down, 8 + 6 + 4 came; two of the first period are missing, whatever came too many later; seven are still awaited.
    assert report.counts == (Counted("行政处罚", 4, 19, 18, 2, 7),)
    assert [(a.state, a.first_seen) for a in report.anomalies] == [("open", day(21, 10)), ("settled", day(12)), ("recovered", day(20, 10))]


def test_the_city_is_all_departments(report):
    city = department_month(ALL, NOVEMBER, TABLES, FEEDS)
    # With 45 of 50 records sent = 90 (weight 2): (421.34 + 180) / 7 = 85.9057 → 85.91.
    assert city.overall.score == Decimal("85.91")
    assert {f.department for f in city.findings} == {OFFICE, CENTRE}
    assert departments(TABLES, NOVEMBER) == [CENTRE, OFFICE]
    assert [name for name, _ in city.by_feed] == [f"{CENTRE} 12315诉求登记", f"{OFFICE} 行政处罚"]


def test_a_month_without_anything_has_no_score():
    empty = department_month(OFFICE, dt.date(2024, 1, 1), TABLES, FEEDS)
    assert (empty.overall, empty.change, empty.findings, empty.counts, empty.punctuality.share) == (MonthScore(dt.date(2024, 1, 1), None, None), None, (), (), None)  # fmt: skip
    with pytest.raises(ValueError, match="not the first day"):
        department_month(OFFICE, day(2), TABLES, FEEDS)


def test_made_up_deliveries_are_told_of():
    assert not department_month(OFFICE, NOVEMBER, TABLES, FEEDS).simulated
    rows = [*TABLES.scores, scored(day(9), "decision_number_present", 1, 0, value_kind="simulated")]
    assert department_month(OFFICE, NOVEMBER, Tables(rows, [], [], [], []), FEEDS).simulated
