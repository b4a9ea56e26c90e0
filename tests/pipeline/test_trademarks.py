"""Marks through the stack: filings arrive, alerts say who, why and until when; a clerk asks for a name; an answer is remembered; gates refuse what is wrong."""

from __future__ import annotations

import datetime as dt
import json
import time

import pytest
from filings import FILED, FILINGS, PUBLISHED, SQUATTER, TODAY
from injuries import ANEW

from infra.services import names
from spark_jobs.trademark.deadlines import opposition

ALERTS = "SELECT right_name, mark_number, alert_verdict, mark_stage, act_until, first_alerted_on, alert_id FROM lake.gold.trademark_alerts WHERE mark_number LIKE '99000000%' AND right_kind = 'trade_name'"
LOSES_A_DISTRICT = """
from spark_jobs.trademark import counts
of_months = counts.of_months
counts.of_months = lambda of: (m for m in of_months(of) if (m.district, m.nice_class) != ('市外', 0) and not (m.district == '天河区' and m.nice_class == 43))
"""
FORGETS_THE_DEADLINE = """
from dataclasses import replace
from spark_jobs.trademark import watch
course = watch.course
watch.course = lambda *args: replace(course(*args), due=None)
"""
LOSES_A_MARK = """
from spark_jobs.trademark import tables
marks = tables._marks
tables._marks = lambda *args: [r for r in marks(*args) if r[0] != '990000001']
"""


def alerts(published) -> dict[tuple[str, str], tuple]:
    return {(name, number): tuple(rest) for name, number, *rest in published.ask("analyst", ALERTS)}


def test_alerts_say_who_and_until_when(published, first_wave):
    found = alerts(published)
    due = opposition(PUBLISHED).due
    assert {key: (verdict, stage, str(until)) for key, (verdict, stage, until, *_) in found.items()} == {
        ("云朗阁", "990000001"): ("suspect", "published", str(due)),
        ("凤鸣轩", "990000002"): ("suspect", "published", str(due)),
        ("拾味坊", "990000003"): ("suspect", "filed", "None"),
        ("九穗堂", "990000004"): ("similar", "filed", "None"),
    }
    told = json.loads(published.lake("trademark", "alerts", "--days-left", "100", "--json", env=signed_in(published, "analyst")).stdout)
    mine = [a for a in told["alerts"] if a["applicant_name"] == SQUATTER]
    assert {a["right_name"] for a in mine} == {"云朗阁", "凤鸣轩"}
    assert {a["days_left"] for a in mine} == {(due - TODAY).days}
    assert mine[0]["legal_representative"] in (None, "***")
    text = published.lake("trademark", "alerts", env=signed_in(published, "analyst")).stdout
    assert f"还有 {(due - TODAY).days} 天" in text
    assert "读音相同" in text


def signed_in(published, user: str) -> dict[str, str]:
    return {"LAKE_USER": user, "LAKE_PASSWORD": published.password(user)}


def test_marks_are_counted_where_their_applicants_are(published, first_wave):
    (own, other) = (
        published.ask(
            "analyst",
            f"SELECT district_name, mark_validity, applicant_subject_id IS NOT NULL FROM lake.gold.trademark_marks WHERE mark_number = '{n}'",
        )
        for n in ("990000006", "990000001")
    )
    assert own == [["天河区", "filed", True]]
    assert other == [["市外", "published", False]]
    month = FILED.replace(day=1)
    sql = "SELECT district_name, marks_applied FROM lake.gold.trademark_monthly WHERE class_number = 43 AND count_month = DATE '{}'"
    # Applications of the month in which they began to be told are not all known.
    assert published.ask("leader", sql.format(month)) == []
    assert published.ask("leader", sql.format((month + dt.timedelta(days=32)).replace(day=1))) in ([], [["全市", 0], ["天河区", 0]])


def test_a_clerk_is_answered_at_once_by_the_resident_process(published, first_wave):
    begin = time.monotonic()
    told = names.ask(published.settings, {"name": "云郎阁", "nice_class": 43})
    assert time.monotonic() - begin < 2
    found = {(f["entry"], f["name"]) for f in told["found"]}
    assert {("trade_name", "云朗阁"), ("filing", "云郎阁")} <= found
    said = json.loads(published.lake("trademark", "check", "云郎阁", "--class", "43", "--json").stdout)
    assert said == told
    assert "没有第99类" in published.lake("trademark", "check", "云郎阁", "--class", "99", check=False).stderr
    assert published.status()[1]["names"]


def test_what_is_answered_is_remembered(published, first_wave):
    identity = alerts(published)["凤鸣轩", "990000002"][-1]
    env = signed_in(published, "analyst")
    assert "已记下" in published.lake("trademark", "feedback", identity.lower(), "confirmed", "--note", "已提异议", env=env).stdout
    published.lake("trademark", "feedback", identity, "more", env=env)
    assert "没有预警" in published.lake("trademark", "feedback", "0123456789AB", "confirmed", env=env, check=False).stderr
    assert "没有" in published.lake("trademark", "feedback", identity, "maybe", env=env, check=False).stderr
    with published.ledger() as connection:
        told = connection.execute("SELECT answer, note, who FROM trademark_feedback WHERE alert_id = %s ORDER BY feedback_id", (identity,)).fetchall()
    assert told == [("confirmed", "已提异议", "analyst"), ("more", None, "analyst")]


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_what_does_not_add_up_or_says_no_deadline_is_refused_and_first_days_stay(published, first_wave):
    before = alerts(published)
    for injury, says in (
        (LOSES_A_DISTRICT, "各月全市的商标件数应等于各区之和"), (FORGETS_THE_DEADLINE, "都应有最晚行动日期"), (LOSES_A_MARK, "都应在商标表和受保护名称表中"),
    ):  # fmt: skip
        published.step("silver", ANEW)
        done = published.step("gold", ANEW + injury, check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        assert says in done.stdout
        assert alerts(published) == before
    # The others are published: the stage goes on, the alert and its first day stay, what was answered is shown.
    head = "公告期号,初审公告日期,申请号,商标名称,国际分类,申请人,代理机构"
    number, mark, who = FILINGS[2]
    published.send_to("trademark_publications", f"初审公告二_{TODAY}.csv", [head, f"1901,{TODAY},{number},{mark},43,{who},测试代理"])
    published.publish()
    after = alerts(published)
    assert after["拾味坊", number][1:3] == ("published", opposition(TODAY).due)
    assert {k: v[3:] for k, v in after.items()} == {k: v[3:] for k, v in before.items()}
    assert {k: v for k, v in after.items() if k[1] != number} == {k: v for k, v in before.items() if k[1] != number}
    # Built anew, the same comes out.
    for step in ("silver", "gold", "publish"):
        published.step(step, ANEW)
    assert alerts(published) == after
