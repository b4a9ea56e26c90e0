"""What the command prints of an alert."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from infra import trademark

SAID = {"mark_stage": {"published": "初审公告（异议期内）"}, "right_kind": {"trade_name": "字号"}, "alert_verdict": {"suspect": "疑似抢注"}}
ALERT: dict[str, Any] = {
    "alert_id": "30BD426D644726FB", "act_until": "2027-02-21", "act_until_latest": "2027-03-04", "is_provisional": True, "days_left": 5, "mark_stage": "published",
    "applicant_name": "某商贸有限公司", "trademark_name": "云[/]郎阁", "mark_number": "1", "nice_class": 43, "agent_name": None, "owner_name": "某餐饮有限公司",
    "district_name": "天河区", "legal_representative": "***", "right_kind": "trade_name", "right_name": "云朗阁", "alert_verdict": "suspect", "bad_faith_score": 0.5,
    "why_suspected": "近似", "why_similar": "读音相同", "names_hit": None, "deadline_note": None, "suggested_action": None, "alert_feedback": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("days_left", "says"), [(5, "还有 5 天（2027-02-21，暂定）"), (-3, "最晚可能到 2027-03-04，请立即核对"), (None, "没有正在计算的期限")]
)
def test_an_alert_says_how_long_there_is_left_and_prints_what_it_is_given(days_left, says):
    out = Console(file=io.StringIO(), width=200)
    trademark._print(out, SAID, ALERT | {"days_left": days_left})
    printed = out.file.getvalue()
    assert says in printed
    assert "云[/]郎阁" in printed
    assert "还有 -" not in printed
