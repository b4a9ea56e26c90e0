"""Notices through the stack: rows of real views become mails, the ledger keeps who has them, Airflow sends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from filings import PUBLISHED, SQUATTER, TODAY
from mail_server import Post, listening

from infra import pipelines, settings
from spark_jobs.trademark.deadlines import opposition

MARKS, OPERATORS = "marks@bureau.example", "lake@bureau.example"
# The sender on another day: what the views say, looked at so many days later.
LATER = """
import sys
from datetime import timedelta
from infra import notice_rows, notify
find = notice_rows.find
notice_rows.find = lambda context, ledger, today: find(context, ledger, today + timedelta(days=int(sys.argv[1])))
sys.exit(notify.main())
"""


@pytest.fixture(scope="module")
def mailed(published: Any) -> Iterator[Post]:
    """The stack with a mail server."""
    path = published.state / "settings.toml"
    before = path.read_text()
    with listening() as (post, port):
        to = {'"知识产权保护处"': [MARKS], "operators": [OPERATORS], "stewards": ["stewards@bureau.example"]}
        published.write_settings(mail={"server": f"smtp://127.0.0.1:{port}", "sender": OPERATORS}, **{"mail.to": to})
        try:
            yield post
        finally:
            path.write_text(before)
            settings.load.cache_clear()


def sent(post: Post, to: str) -> list[str]:
    return [text for receivers, text in post.texts if to in receivers]


def run_on(text: str) -> str:
    """Wherever its lines were broken."""
    return "".join(text.split())


def test_who_protects_marks_is_told_in_time_and_once(published: Any, first_wave: Any, mailed: Post) -> None:
    due = opposition(PUBLISHED).due
    days = (due - TODAY).days - 9
    assert published.python(LATER, str(days)).returncode == 0
    (text,) = sent(mailed, MARKS)
    for words in ("商标 990000001 “云郎阁”，第 43 类", f"最晚 {due}", "还有 9 天"):
        assert run_on(words) in run_on(text)
    assert SQUATTER not in "".join(t for _, t in mailed.texts)
    assert published.python(LATER, str(days), check=False).returncode == 4
    assert published.python(LATER, str(days + 6)).returncode == 0
    assert run_on("还有 3 天") in run_on(sent(mailed, MARKS)[1])
    with published.ledger() as ledger:
        rows = ledger.execute("SELECT count(*), count(sent_at) FROM notice WHERE recipient = '知识产权保护处' AND key LIKE 'alert/%'").fetchone()
        assert rows[0] == rows[1] > 0
        with pytest.raises(psycopg.errors.RaiseException, match="was sent at"):
            ledger.execute("UPDATE notice SET sent_at = NULL WHERE recipient = '知识产权保护处'")


def test_operators_are_told_of_a_run_that_a_gate_stopped_by_airflow(published: Any, mailed: Post) -> None:
    with published.ledger() as ledger:
        ledger.execute("INSERT INTO run (run_id) VALUES ('stopped-for-notices')")
        ledger.execute(
            "INSERT INTO gate_result VALUES ('stopped-for-notices', 'silver_tables.penalties', 0, 'no_loss', '行数不少于上一次发布', '完整性', false, '0')"
        )
        ledger.execute("UPDATE run SET state = 'abandoned', closed_at = clock_timestamp(), reason = '-' WHERE run_id = 'stopped-for-notices'")
    assert run_on("silver.penalties：行数不少于上一次发布（规则 no_loss）") in run_on(published.lake("notices").stdout)
    api = pipelines.Airflow(published.context)
    run = api.start("notify")
    for _ in range(120):
        if (step := api.step("notify", run)).ended:
            break
        time.sleep(1)
    assert step.state == "success"
    assert any("stopped-for-notices" in text for text in sent(mailed, OPERATORS))
    assert "stopped-for-notices" not in published.lake("notices").stdout.split("天内已发送")[0]


def test_a_run_that_nobody_works_at_is_told_of_and_one_at_work_is_not(published: Any) -> None:
    """The statement itself: what stands in the ledger's tables is not made up elsewhere."""
    code = """
import sys
from datetime import timedelta
from infra.ledger import Ledger
from spark_jobs import session
with Ledger(session.context()) as ledger:
    print(sorted(r.state for r in ledger.stopped_runs(timedelta(0)) if not r.failed))
    other = Ledger(session.context())
    other.hold_writer(lambda: None)
    print(sorted(r.state for r in ledger.stopped_runs(timedelta(0)) if not r.failed))
"""
    with published.ledger() as ledger:
        ledger.execute("INSERT INTO run (run_id) VALUES ('left-for-notices')")
        try:
            assert published.python(code).stdout.splitlines() == ["['open']", "[]"]
        finally:
            ledger.execute("UPDATE run SET state = 'abandoned', closed_at = clock_timestamp() WHERE run_id = 'left-for-notices'")


def test_a_mail_server_is_tried_out(published: Any, mailed: Post) -> None:
    assert "已接收" in published.lake("notices", "--test", "new@bureau.example").stdout
    assert sent(mailed, "new@bureau.example")
    assert "不是邮件地址" in published.lake("notices", "--test", "nobody", check=False).stderr
