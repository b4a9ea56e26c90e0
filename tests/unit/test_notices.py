"""Who is told of what, at which step, and what the mail says."""

import datetime as dt
import random
from dataclasses import replace

import pytest

from catalog.contract import load_contracts
from infra import notices
from infra.ledger import StoppedRun, Told
from infra.mail import OPERATORS, STEWARDS
from infra.notices import Links
from infra.rectification_export import UNITS
from infra.settings import REPO

CONTRACTS = load_contracts()
TODAY = dt.date(2026, 12, 1)
DAY = dt.timedelta(days=1)
MARKS = "知识产权保护处"
SAID = {
    "punctuality": dict(CONTRACTS["ops.delivery_calendar"].column("punctuality").allowed),
    "escalation": dict(CONTRACTS["ops.rectification_items"].column("escalation").allowed),
    "mark_stage": dict(CONTRACTS["gold.trademark_alerts"].column("mark_stage").allowed),
    "unit": UNITS,
}
UTC_MORNING = dt.datetime(2026, 11, 30, 22, 41, tzinfo=dt.UTC)  # of the next day in China


def delivery(late, status="overdue", **more):
    due = TODAY - late * DAY
    return {
        "feed": "penalties", "feed_title": "行政处罚", "department": "执法监督处", "business_date": due - 5 * DAY, "due_on": due, "arrived_on": None, "punctuality": status,
        "value_kind": "observed",
    } | more  # fmt: skip


def item(late, escalation="first", **more):
    return {
        "item_id": "Z0123abcd", "department": "执法监督处", "feed_title": "行政处罚", "item_scope": "rule", "rule_description": "处罚日期不晚于今天", "item_open": 12,
        "rectify_by": TODAY - late * DAY, "deadline_note": None, "escalation": escalation, "value_kind": "observed",
    } | more  # fmt: skip


def alert(left, spare=0, **more):
    until = TODAY + left * DAY
    return {
        "alert_id": "30BD426D644726FB", "right_name": "云朗阁", "trademark_name": "云郎阁", "mark_number": "990000001", "nice_class": 43, "mark_stage": "published",
        "act_until": until, "act_until_latest": until + spare * DAY, "is_provisional": bool(spare), "suggested_action": "在异议截止日前提出异议", "alert_verdict": "suspect",
        "alert_feedback": None, "value_kind": "observed",
    } | more  # fmt: skip


def told(notice, sent=True):
    return Told(notice.key, notice.to, UTC_MORNING, UTC_MORNING if sent else None, 1, None if sent else "451 later")


def alerts(rows, known=(), today=TODAY):
    return notices.alerts(rows, known, MARKS, today, SAID)


# ---- deliveries ----


@pytest.mark.parametrize(("late", "step"), [(-3, None), (0, None), (1, 1), (6, 1), (7, 7), (29, 7), (30, 30), (90, 30), (91, None)])
def test_a_delivery_is_told_of_on_the_day_after_and_twice_more(late, step):
    found = notices.deliveries([delivery(late)], TODAY, SAID)
    assert [n.key.rsplit("/", 1)[1] for n in found] == ([] if step is None else [str(step)])
    assert all(n.to == "执法监督处" for n in found)


def test_of_what_came_or_was_never_due_nobody_is_told():
    rows = [
        delivery(9, "late", arrived_on=TODAY),
        delivery(9, "on_time", arrived_on=TODAY - 9 * DAY),
        delivery(9, "missing", arrived_on=TODAY),
        delivery(9, "history"),
        delivery(-9, "awaited"),
    ]
    assert notices.deliveries(rows, TODAY, SAID) == []


def test_what_was_awaited_when_the_calendar_was_written_is_overdue_once_its_day_has_passed():
    (found,) = notices.deliveries([delivery(8, "awaited")], TODAY, SAID)
    assert found.lines == ("行政处罚，业务日期 2026-11-18：应于 2026-11-23 送达，逾期未到，已逾 8 天",)
    (missing,) = notices.deliveries([delivery(1, "missing", value_kind="simulated")], TODAY, SAID)
    assert "缺报" in missing.lines[0]
    assert missing.is_simulated


# ---- items ----


def test_an_item_is_told_of_when_it_is_overdue_at_its_escalation_and_with_another_day():
    assert notices.items([item(-1, "none"), item(3, "first", item_open=0), item(3, "first", rectify_by=None)], TODAY, SAID) == []
    first, summary = notices.items([item(1)], TODAY, SAID)
    assert (first.to, summary.to, first.key) == ("执法监督处", STEWARDS, summary.key)
    assert first.lines[1] == "待整改 12 条，期限 2026-11-30，已过 1 天；逾期，由责任人的上级督办"
    keys = {notices.items([row], TODAY, SAID)[0].key for row in (item(1), item(1, item_open=3), item(1, "second"), item(2))}
    assert len(keys) == 3  # how many are open makes no other notice


def test_stewards_get_one_line_for_each_department():
    rows = [item(1), item(9, "second", item_id="Z2"), item(2, item_id="Z3"), item(3, item_id="Z4", department="登记注册处", value_kind="simulated")]
    mine = [n for n in notices.waiting(notices.items(rows, TODAY, SAID), []) if n.to == STEWARDS]
    said = notices.text(mine, TODAY, Links())
    assert "1. 执法监督处：逾期已久，由分管局领导督办 1 项；逾期，由责任人的上级督办 2 项\n" in said.replace("\n   ", " ")
    assert "2. 〔模拟数据〕登记注册处：逾期，由责任人的上级督办 1 项\n" in said
    assert "Z0123abcd" not in said


# ---- alerts ----


@pytest.mark.parametrize(("left", "step"), [(400, None), (31, None), (30, 30), (11, 30), (10, 10), (4, 10), (3, 3), (1, 3), (0, 3), (-1, None)])
def test_an_alert_is_told_of_as_its_last_day_comes_near(left, step):
    found = alerts([alert(left)])
    assert [n.key.rsplit("/", 1)[1] for n in found] == ([] if step is None else [str(step)])
    assert all(n.to == MARKS for n in found)


def test_each_threshold_once_over_all_days_and_what_was_jumped_over_is_caught_by_the_next_run():
    until = TODAY + 45 * DAY
    row = alert(45)

    def mails(days):
        sent, said = [], []
        for day in days:
            for n in notices.waiting(alerts([row], sent, day), sent):
                sent.append(told(n))
                said.append(((until - day).days, n.key.rsplit("/", 1)[1]))
        return said

    every = [TODAY + k * DAY for k in range(80)]
    assert mails(every) == [(30, "30"), (10, "10"), (3, "3")]
    assert mails([until - 12 * DAY, until - 9 * DAY, until - 8 * DAY, until]) == [(12, "30"), (9, "10"), (0, "3")]
    assert mails([until - 2 * DAY, until - 1 * DAY, until + DAY]) == [(2, "3")]
    # Whatever days there are runs on: never twice the same, never after the last day, and on the last three days at the latest.
    draw = random.Random(7)
    for _ in range(300):
        days = sorted(draw.sample(every, draw.randint(1, 30)))
        said = mails(days)
        assert len(said) == len({step for _, step in said}) <= 3
        assert all(0 <= left <= int(step) for left, step in said)
        assert bool(said) == any(0 <= (until - d).days <= 30 for d in days)
        if any(0 <= (until - d).days <= 3 for d in days):
            assert said[-1][1] == "3"


def test_what_is_only_similar_or_was_answered_to_be_untrue_is_not_told_of():
    assert alerts([alert(5, alert_verdict="similar"), alert(5, alert_feedback="rejected"), alert(5, act_until=None, act_until_latest=None)]) == []
    assert len(alerts([alert(5, alert_feedback="confirmed"), alert(5, alert_feedback="more", alert_id="B")])) == 2


def test_a_provisional_day_is_the_earliest_and_nothing_is_over_before_the_latest():
    (found,) = alerts([alert(9, spare=11)])
    assert found.lines[1] == "最晚 2026-12-10（暂定，最晚可能到 2026-12-21），还有 9 天；初审公告（异议期内）"
    (unsure,) = alerts([alert(-2, spare=11, mark_stage="unsure")])
    assert unsure.lines[1].startswith("期限可能已过（2026-11-29），最晚可能到 2026-12-10，请立即核对")
    assert unsure.key.endswith("/2026-11-29/3")
    assert alerts([alert(-12, spare=11)]) == []
    assert "就是今天" in alerts([alert(0)])[0].lines[1]


def test_a_deadline_that_is_over_is_told_of_only_where_no_mail_got_through_and_once():
    (before,) = alerts([alert(9)])
    gone, later = [alert(9, mark_stage="waiting", act_until=None, act_until_latest=None)], TODAY + 12 * DAY
    assert alerts(gone, [], later) == []  # nobody had noticed it: it came too late, or before there were notices
    assert alerts(gone, [told(before)], later) == []
    unsent = told(before, sent=False)
    (over,) = alerts(gone, [unsent], later)
    assert over.lines[1].startswith("最晚 2026-12-10，已过；此前的邮件没有送达")
    assert alerts([alert(9)], [unsent], later) == [over]
    assert notices.waiting(alerts(gone, [unsent, told(over)], later), [told(over)]) == []
    assert notices.waiting(alerts(gone, [unsent, told(over, sent=False)], later), [told(over, sent=False)]) == [over]
    # The next threshold was told of: nobody missed anything.
    assert alerts(gone, [unsent, told(replace(before, key=before.key.replace("/10", "/3")))], later) == []
    # What another department was to be told of is not this one's.
    assert alerts(gone, [replace(unsent, recipient="登记注册处")], later) == []


def test_a_last_day_that_an_announcement_has_moved_is_not_over_and_told_of_again():
    (before,) = alerts([alert(2, spare=9)])
    moved, later = alert(8), TODAY + 4 * DAY
    (found,) = alerts([moved], [told(before, sent=False)], later)
    assert found.key.endswith("/2026-12-09/10")
    # The same mark has another deadline, five years away: the first one is over.
    registered = alert(0, mark_stage="registered", act_until=TODAY + 1800 * DAY, act_until_latest=TODAY + 1800 * DAY)
    assert [n.key.rsplit("/", 1)[1] for n in alerts([registered], [told(before, sent=False)], later)] == ["over"]


# ---- runs ----


def test_operators_are_told_which_rule_of_which_table_stopped_a_run_and_no_data():
    gate = StoppedRun(
        "r-1", "refused", UTC_MORNING, (("silver_tables.penalties", "no_loss", "行数不少于上一次发布"), ("silver_tables.party", "keys", "主键唯一"))
    )
    gold = replace(gate, run_id="r-2", failed=(("gold_tables.archive_subject", "rows", "不少于"),))
    left = StoppedRun("r-3", "gated", UTC_MORNING)
    found = notices.runs([gate, gold, left])
    assert {n.to for n in found} == {OPERATORS}
    assert found[0].lines == (
        "标准加工被质量关口拦下（2026-12-01 06:41，运行 r-1）",
        "silver.penalties：行数不少于上一次发布（规则 no_loss）",
        "silver.party：主键唯一（规则 keys）",
    )
    assert found[1].lines[0].startswith("主题加工被质量关口拦下")
    assert found[2].lines[0].startswith("发布没有完成")
    assert len({n.key for n in found}) == 3


def test_every_state_in_which_a_run_can_be_left_has_a_name():
    states = set((REPO / "infra/ledger/migrations/0003_spine.sql").read_text().split("run_state_check CHECK (state IN (")[1].split(")")[0].replace("'", "").split(", "))  # fmt: skip
    assert states - {"released", "abandoned"} == set(notices.WORKING)


def test_operators_hear_once_of_a_group_that_has_no_address():
    left = notices.waiting([*notices.items([item(1), item(1, item_id="Z2")], TODAY, SAID), *notices.deliveries([delivery(1)], TODAY, SAID)], [])
    found = notices.unaddressed(left, [OPERATORS])
    assert [(n.key, n.to, n.lines) for n in found] == [
        ("address/stewards", OPERATORS, ("数据管理员：2 项通知没有人收到，请把地址写进设置 [mail.to]",)),
        ("address/执法监督处", OPERATORS, ("执法监督处：3 项通知没有人收到，请把地址写进设置 [mail.to]",)),
    ]
    assert notices.unaddressed(left, [OPERATORS, STEWARDS, "执法监督处"]) == []


# ---- the mail ----


def everything():
    """A day on which one group is told of everything; in truth they are several groups."""
    long = "在异议截止日前提出异议：在先权利人、利害关系人可依商标法第十三条第二款和第三款、第十五条、第十六条第一款、第三十条、第三十一条、第三十二条；任何人可依第四条、第十条"
    found = [
        *alerts([alert(9, spare=11, suggested_action=long), alert(2, alert_id="76A0C1", right_name="拾味坊", trademark_name="拾 味\r\n坊记", value_kind="simulated")]),
        *notices.runs([StoppedRun("0f0e", "refused", UTC_MORNING, (("silver_tables.penalties", "no_loss", "行数不少于上一次发布"),))]),
        *notices.deliveries([delivery(8), delivery(1, "missing", feed="licences", feed_title="行政许可", value_kind="simulated")], TODAY, SAID),
        *(n for n in notices.items([item(1), item(40, "second", item_id="Z89abcdef")], TODAY, SAID) if n.to != STEWARDS),
    ]  # fmt: skip
    return notices.waiting([replace(n, to=MARKS) for n in found], [])


def test_the_mail_reads_as_it_did():
    links = Links("https://screens.bureau.example", "https://runs.bureau.example")
    said = f"{notices.subject(everything())}\n\n{notices.text(everything(), TODAY, links)}"
    golden = REPO / "tests" / "golden" / "notices.txt"
    assert said == golden.read_text(encoding="utf-8")


def test_the_most_urgent_come_first_and_an_address_is_only_said_where_there_is_one():
    found = everything()
    assert [n.kind for n in found] == ["alert", "alert", "run", "delivery", "delivery", "item", "item"]
    assert [n.days_left for n in found[:2]] == [2, 9]
    assert "http" not in notices.text(found, TODAY, Links())


def test_a_subject_has_no_word_of_any_data():
    assert notices.subject(alerts([alert(9), alert(0, alert_id="B")])) == "商标抢注预警 2 项，有的今天到期"
    assert notices.subject(alerts([alert(-1, spare=3)])) == "商标抢注预警 1 项，有的期限可能已过"
    assert notices.subject(alerts([alert(9, value_kind="simulated")])).startswith("〔模拟数据〕")


def test_lines_are_no_longer_than_they_may_be_and_words_and_punctuation_stay_whole():
    draw = random.Random(3)
    pieces = ["字", "，", "。", "（", "）", "“", "”", "；", "2026-12-01", "gold.archive_subject", " ", "号"]
    for _ in range(500):
        line = "".join(draw.choice(pieces) for _ in range(draw.randint(1, 120)))
        lines = notices.wrapped(line, "1. ", "   ")
        assert "".join(li[3:] for li in lines).replace(" ", "") == line.replace(" ", "")
        assert all(word in "\n".join(lines) for word in line.split() if word in ("2026-12-01", "gold.archive_subject"))
        for li in lines:
            tokens = list(notices._tokens(li[3:]))
            assert notices._columns(li) <= notices.WIDTH or len(tokens) == 1
        for li in lines[1:]:
            assert li[3] not in notices._NOT_FIRST


def test_what_stands_in_data_can_t_make_lines_of_its_own():
    (found,) = alerts([alert(3, right_name="云\r\n.\r\n朗\x1b[31m阁\u202e")])
    assert all(c.isprintable() for line in found.lines for c in line)
