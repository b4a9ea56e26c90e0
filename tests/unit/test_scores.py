"""Scores: of each rule the share in order, summed up to table, dimension and department, by day."""

import datetime as dt
from decimal import Decimal

from catalog.contract import load_contracts
from catalog.properties import Kind
from spark_jobs.punctuality import Due
from spark_jobs.reconciliation import Line
from spark_jobs.scores import (
    ALL,
    COMPLETE,
    GRADES,
    PUNCTUAL,
    WEIGHTS,
    Checked,
    grade,
    of_calendar,
    of_deliveries,
    of_reconciliation,
    rules_of,
    scores,
)

FEEDS = {c.name: c for c in load_contracts().values() if c.kind is Kind.FEED}
DAY = dt.date(2026, 11, 2)
OFFICE = "执法监督处"


def told(found, level, **about):
    """The only score of a level that fits."""
    (score,) = [s for s in found if s.level == level and all(getattr(s, k) == v for k, v in about.items())]
    return score


def test_a_rule_s_score_is_the_share_in_order_and_those_above_are_weighted():
    failed = {(DAY, OFFICE, "penalties", "decision_number_present"): 3, (DAY, OFFICE, "penalties", "credit_code_checked"): 50}
    found = scores(of_deliveries([(DAY, OFFICE, "penalties", 200, False)], failed, FEEDS), FEEDS)
    assert told(found, "rule", rule="decision_number_present").score == Decimal("98.50")
    assert told(found, "rule", rule="credit_code_checked").score == Decimal("75.00")
    rules = {rule: (WEIGHTS[severity], dimension) for rule, (dimension, severity) in rules_of(FEEDS["penalties"]).items()}
    lost = {"decision_number_present": Decimal("1.5"), "credit_code_checked": Decimal(25)}
    for level, feed, dimension in (("table", "penalties", ALL), ("table_dimension", "penalties", "完整性"), ("department_dimension", ALL, "准确性"), ("department", ALL, ALL)):  # fmt: skip
        mine = {i: w for i, (w, d) in rules.items() if dimension in (ALL, d)}
        mean = 100 - sum(w * lost.get(i, 0) for i, w in mine.items()) / Decimal(sum(mine.values()))
        assert abs(told(found, level, feed=feed, dimension=dimension).score - mean) <= Decimal("0.005"), level
    assert told(found, "department").failed == 53
    assert told(found, "department").checked == 200 * len(rules)
    # Every rule of the contract is scored, also the one that nothing failed.
    assert {s.rule for s in found if s.level == "rule"} == set(rules)


def test_a_department_is_judged_by_all_that_it_sends_and_a_day_by_what_came_on_it():
    came = [
        (DAY, OFFICE, "penalties", 10, False),
        (DAY, OFFICE, "enforcement_cases", 10, True),
        (DAY + dt.timedelta(1), OFFICE, "penalties", 5, False),
    ]
    found = scores(of_deliveries(came, {}, FEEDS), FEEDS)
    first = told(found, "department", day=DAY)
    assert (first.score, first.simulated) == (100, True)
    assert first.checked == 10 * (len(rules_of(FEEDS["penalties"])) + len(rules_of(FEEDS["enforcement_cases"])))
    assert not told(found, "department", day=DAY + dt.timedelta(1)).simulated


def test_one_bad_record_among_many_never_scores_100():
    found = scores([Checked(DAY, OFFICE, "penalties", "decision_number_present", 10**6, 1, False)], FEEDS)
    assert {s.score for s in found} == {Decimal("99.99")}


def test_what_is_late_missing_or_never_sent_counts():
    def due(status, on):
        return Due("penalties", OFFICE, on, on, None, status, 0, False)

    days = [dt.date(2026, 11, n) for n in range(1, 7)]
    expected = [due(s, d) for s, d in zip(("on_time", "late", "missing", "overdue", "awaited", "history"), days, strict=True)]
    assert [(c.rule, c.failed) for c in of_calendar(expected)] == [(PUNCTUAL, 0), (PUNCTUAL, 1), (PUNCTUAL, 1), (PUNCTUAL, 1)]

    def line(status, source, held, feed="penalties"):
        return Line("行政处罚", DAY, DAY, feed, OFFICE if feed else None, DAY, source, held, status, False)

    lines = [line("matched", 4, 4), line("short", 10, 7), line("over", 3, 5), line("awaited", 9, 0), line("unknown", 9, 0, None)]
    assert [(c.rule, c.checked, c.failed) for c in of_reconciliation(lines)] == [(COMPLETE, 4, 0), (COMPLETE, 10, 3), (COMPLETE, 3, 0)]
    assert told(scores(of_reconciliation(lines), FEEDS), "rule", rule=COMPLETE).score == Decimal("82.35")  # 3 of 17


def test_the_city_is_all_rules_of_all_departments():
    """Two rules that set aside (weight 2) and one that marks (weight 1): (2·99.5 + 1·75 + 2·40) / 5 = 70.80; of 完整性 alone (2·99.5 + 2·40) / 4 = 69.75."""
    checked = [
        Checked(DAY, OFFICE, "penalties", "decision_number_present", 200, 1, False),
        Checked(DAY, OFFICE, "penalties", "credit_code_checked", 200, 50, False),
        Checked(DAY, "12315投诉举报中心", "complaints", COMPLETE, 10, 6, False),
    ]
    found = scores(checked, FEEDS)
    assert (told(found, "city").score, told(found, "city").checked, told(found, "city").failed) == (Decimal("70.80"), 410, 57)
    assert told(found, "city_dimension", dimension="完整性").score == Decimal("69.75")
    assert told(found, "city").department == ALL
    assert told(found, "department", department=OFFICE).score == Decimal("91.33")  # (2·99.5 + 75) / 3


def test_a_grade_begins_at_its_limit():
    assert [grade(Decimal(s)) for s in ("100", "98", "97.99", "95", "94.99", "90", "89.99", "80", "79.99", "0")] == [
        "excellent", "excellent", "good", "good", "fair", "fair", "poor", "poor", "bad", "bad",
    ]  # fmt: skip
    assert list(GRADES) == [value for value, _ in load_contracts()["ops.quality_scores"].column("quality_grade").allowed]
