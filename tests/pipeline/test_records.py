"""Feeds that their contracts alone describe: from the department's file to typed records, their history, their account, their readers."""

from __future__ import annotations

import random
import re

import pytest

from infra.settings import REPO

ACCOUNT = re.compile(r"^\| (\w+)/(\S+) \|.*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.M)


def test_every_row_of_every_feed_is_accounted_for(published):
    expected = {(f, n): list(map(int, parts)) for f, n, *parts in ACCOUNT.findall((REPO / "samples" / "others" / "README.md").read_text("utf-8"))}
    assert {f"{feed}/{name}" for feed, name in expected} == {
        str(p.relative_to(REPO / "samples" / "others")) for p in (REPO / "samples" / "others").glob("*/*") if "manifest" not in p.name
    }
    sql = (
        "SELECT feed, file_name, arrived, applied, superseded, duplicate, quarantined FROM lake.ops.deliveries WHERE feed <> 'registration_subjects'"
    )
    shown = {(feed, name): parts for feed, name, *parts in published.ask("leader", sql)}
    assert {delivery: shown[delivery] for delivery in expected} == expected


def test_a_record_has_its_history_and_a_correction_stands(published):
    sql = """SELECT substr(decision_number, 8), CAST(effective_from AS varchar), CAST(fine_amount AS varchar), CAST(published_until AS varchar),
            fact_outcome, value_kind
        FROM lake.silver.penalties WHERE decision_number IN ('穗演示处〔2019〕3号', '穗演示处〔2019〕6号', '穗演示处〔2019〕7号')
        ORDER BY decision_number, effective_from, fine_amount"""
    assert published.ask("analyst", sql) == [
        ["19〕3号", "2019-04-30", "200000.00", "2022-04-16", "applied", "simulated"],
        ["19〕3号", "2019-05-31", "200000.00", "2020-04-16", "applied", "simulated"],
        ["19〕6号", "2019-05-31", "5000.00", "2022-05-20", "applied", "simulated"],
        ["19〕6号", "2019-05-31", "50000.00", "2022-05-20", "superseded", "simulated"],
        ["19〕7号", "2019-05-31", None, "9999-12-31", "applied", "simulated"],
    ]
    now = """SELECT subject_name, removed_on IS NOT NULL FROM (
            SELECT *, row_number() OVER (PARTITION BY record_id ORDER BY effective_from DESC) AS n FROM lake.silver.abnormal_list WHERE fact_outcome = 'applied')
        WHERE n = 1 ORDER BY credit_code"""
    assert [off for _, off in published.ask("analyst", now)] == [True, False, False, False, True, True]


def test_what_can_t_be_read_is_marked_set_aside_or_listed(published):
    aside = published.ask(
        "steward", "SELECT decision_number, reasons FROM lake.silver.penalties_quarantine WHERE decision_number LIKE '穗演示处〔2019〕_号'"
    )
    assert {number[-2:]: reasons for number, reasons in aside if number[-2:] in ("4号", "5号")} == {"4号": ["decided_on_readable"], "5号": ["columns_aligned"]}  # fmt: skip
    marked = published.ask(
        "analyst", "SELECT demand_number, quality_marks FROM lake.silver.complaints WHERE cardinality(quality_marks) > 0 ORDER BY 1"
    )
    assert marked == [["GZYS20190004", ["demand_kind_readable"]], ["GZYS20190006", ["respondent_code_checked"]]]
    listed = published.ask("steward", "SELECT source_column, unmapped_text, code_list, unmapped_rows FROM lake.silver.unmapped_value WHERE feed = 'complaints'")  # fmt: skip
    assert listed == [["demand_kind", "建议", "诉求类型（允许值）", 1]]
    sql = """SELECT f.rule_id, f.affected FROM lake.ops.delivery_findings f JOIN lake.ops.deliveries d ON d.delivery_id = f.delivery_id
        WHERE d.file_name = '1-演示诉求_2019-04-30.json' ORDER BY 1"""
    assert published.ask("steward", sql) == [["demand_kind_readable", 1], ["demand_number_present", 1]]


PROBLEMS = """
    SELECT p.*, d.file_name AS came_in, d.department, r.file_name AS put_right_in
    FROM lake.silver.quality_problem p JOIN lake.ops.deliveries d ON d.delivery_id = p.delivery_id LEFT JOIN lake.ops.deliveries r ON r.delivery_id = p.resolved_by"""


def test_a_problem_stays_open_until_a_delivery_puts_it_right(published):
    sql = f"""SELECT came_in, row_number, rule_id, severity, record_label, put_right_in FROM ({PROBLEMS})
        WHERE feed IN ('penalties', 'complaints') AND came_in LIKE '_-演示%' ORDER BY 1, 2, 3"""
    assert published.ask("steward", sql) == [
        ["1-演示处罚_2019-04-30.csv", 4, "decided_on_readable", "quarantine", None, "4-演示处罚补报_2019-06-30.csv"],
        ["1-演示处罚_2019-04-30.csv", 5, "columns_aligned", "quarantine", None, None],
        ["1-演示诉求_2019-04-30.json", 4, "demand_kind_readable", "warn", "GZYS20190004", None],
        ["1-演示诉求_2019-04-30.json", 5, "demand_number_present", "quarantine", None, None],
        ["2-演示诉求_2019-05-31.json", 2, "respondent_code_checked", "warn", "GZYS20190006", None],
    ]
    # The ledger of problems says the same, by feed, department and rule.
    sums = f"""SELECT feed, department, rule_id, count(DISTINCT delivery_id), count(DISTINCT coalesce(record_id, concat(delivery_id, ' ', CAST(row_number AS varchar)))),
            count(DISTINCT CASE WHEN resolved_by IS NULL THEN coalesce(record_id, concat(delivery_id, ' ', CAST(row_number AS varchar))) END)
        FROM ({PROBLEMS}) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""
    told = """SELECT feed, department, rule_id, affected_deliveries, affected_records, open_records FROM lake.ops.quality_problems
        WHERE problem_scope = 'rule' ORDER BY 1, 2, 3"""
    assert published.ask("steward", told) == published.ask("steward", sums)
    state = """SELECT problem_state, sample_keys, resolved_by IS NULL, dimension FROM lake.ops.quality_problems WHERE feed = 'penalties' AND rule_id = 'columns_aligned'"""
    assert published.ask("steward", state) == [["open", ["1-演示处罚_2019-04-30.csv 第 5 条"], True, "准确性"]]
    with pytest.raises(Exception, match="Access Denied"):
        published.ask("leader", told)


def test_a_score_is_the_share_of_what_came_that_is_in_order(published):
    """By rule as the findings say; a department's is between the least and the greatest of its rules."""
    rule = """
        WITH came AS (SELECT feed, sum(arrived) AS arrived FROM lake.ops.deliveries WHERE release_id IS NOT NULL GROUP BY 1),
        failed AS (SELECT feed, rule_id, sum(affected) AS affected FROM lake.ops.delivery_findings JOIN lake.ops.deliveries USING (delivery_id) GROUP BY 1, 2)
        SELECT feed, rule_id, CAST(arrived AS bigint), CAST(affected AS bigint) FROM failed JOIN came USING (feed) ORDER BY 1, 2"""
    told = """SELECT feed, rule_id, CAST(sum(checked_count) AS bigint), CAST(sum(failed_count) AS bigint) FROM lake.ops.quality_scores
        WHERE score_level = 'rule' GROUP BY 1, 2 HAVING sum(failed_count) > 0 AND rule_id NOT IN ('records_delivered', 'delivered_on_time') ORDER BY 1, 2"""
    assert published.ask("leader", told) == published.ask("leader", rule)
    wrong = """SELECT count(*) FROM lake.ops.quality_scores
        WHERE score_level = 'rule' AND abs(CAST(quality_score AS double) - 100e0 * (checked_count - failed_count) / checked_count) > 0.011"""
    assert published.ask("leader", wrong) == [[0]]
    sql = """SELECT department FROM lake.ops.quality_scores d JOIN lake.ops.quality_scores r USING (score_date, department)
        WHERE d.score_level = 'department' AND r.score_level = 'rule' GROUP BY score_date, department
        HAVING max(d.quality_score) NOT BETWEEN min(r.quality_score) - DECIMAL '0.01' AND max(r.quality_score)"""
    assert published.ask("leader", sql) == []
    unsent = "SELECT failed_count FROM lake.ops.quality_scores WHERE rule_id = 'records_delivered' AND score_level = 'rule' AND failed_count > 0"
    assert published.ask("leader", unsent) == [[1]]  # the demand that was never sent


def test_what_source_systems_say_is_compared_with_what_came(published):
    sql = """SELECT resource_name, CAST(business_date AS varchar), CAST(period_to AS varchar), source_records, held_records, reconciliation_status
        FROM lake.ops.reconciliation ORDER BY resource_name, period_to"""
    assert published.ask("leader", sql) == [
        ["12315诉求登记", "2019-04-30", "2019-04-22", 5, 5, "matched"],
        ["12315诉求登记", "2019-05-31", "2019-05-20", 3, 2, "short"],
        ["12315诉求登记", None, "2019-06-03", 1, 0, "awaited"],
        ["演示资源", None, "2019-08-01", 1, 0, "unknown"],
        ["经营异常名录", "2019-07-31", "2019-07-20", 3, 3, "matched"],
        ["经营异常名录", "2019-08-31", "2019-08-15", 7, 7, "matched"],
    ]
    said = published.lake("arrivals").stdout
    assert re.search(r"12315投诉举报中心 +12315诉求登记 +3 +1 +9 +7 +1 +1 +2019-05-20", said), said
    due = published.ask("leader", "SELECT DISTINCT punctuality, value_kind FROM lake.ops.delivery_calendar WHERE feed = 'abnormal_list'")
    assert due == [["history", "simulated"]]


def test_a_time_is_kept_in_utc_and_its_day_is_china_s(published):
    (row,) = published.ask(
        "analyst", "SELECT CAST(lodged_at AT TIME ZONE 'UTC' AS varchar) FROM lake.silver.complaints WHERE demand_number = 'GZYS20190001'"
    )
    assert row[0].startswith("2019-04-03 01:12:00")


def test_who_complains_is_seen_by_the_steward_alone(published):
    sql = "SELECT DISTINCT complainant_name, complainant_phone, demand_text FROM lake.silver.complaints WHERE demand_number LIKE 'GZYS%'"
    assert published.ask("analyst", sql) == [["***", "***", "***"]]
    assert published.ask("operator", sql) == [["***", "***", "***"]]
    assert ["演示人甲", "100000000001", "演示用：衣服开线，店家不肯退换。"] in published.ask("steward", sql)
    # Probing a masked column finds nothing.
    assert published.ask("analyst", "SELECT count(*) FROM lake.silver.complaints WHERE complainant_name = '演示人甲'") == [[0]]


@pytest.mark.long
def test_a_day_without_the_register_leaves_its_tables_alone(published):
    """Another department sends, the register doesn't; then the delivery is withdrawn, and it is as if it had never come."""
    tag = f"{random.SystemRandom().randrange(10**6):06}"

    def versions() -> dict[str, int]:
        with published.ledger() as ledger:
            sql = "SELECT table_name, version FROM release_table WHERE release_id = (SELECT max(release_id) FROM release)"
            return dict(ledger.execute(sql).fetchall())

    def told() -> list[list[str]]:
        return published.ask(
            "analyst", f"SELECT decision_number, fact_outcome FROM lake.silver.penalties WHERE decision_number LIKE '%〔{tag}〕%' ORDER BY 1"
        )

    before = versions()
    subjects = published.ask("analyst", "SELECT count(*), checksum(subject_id) FROM lake.gold.archive_subject")
    header = "决定书文号,统一社会信用代码,当事人,处罚类别,决定日期"
    published.send_to("penalties", f"单独_{tag}_2019-09-30.csv", [header, *(f"穗测处〔{tag}〕{n}号,,测试当事人,警告,2019-09-0{n}" for n in (1, 2))])
    published.lake("run")
    assert told() == [[f"穗测处〔{tag}〕{n}号", "applied"] for n in (1, 2)]
    after = versions()
    changed = {t for t in after if t.startswith("silver_tables.") and after[t] != before[t]}
    assert changed == {"silver_tables.penalties"}
    assert published.ask("analyst", "SELECT count(*), checksum(subject_id) FROM lake.gold.archive_subject") == subjects
    ((delivery,),) = published.ask("steward", f"SELECT delivery_id FROM lake.ops.deliveries WHERE file_name LIKE '%{tag}%'")
    published.lake("withdraw", delivery, "--reason", "测试", timeout=900)
    assert told() == []
    assert published.lake("check", timeout=900).returncode == 0


@pytest.mark.long
def test_a_problem_opens_again_when_what_resolved_it_is_withdrawn(published):
    tag = f"{random.SystemRandom().randrange(10**6):06}"
    header = "决定书文号,统一社会信用代码,当事人,处罚类别,决定日期"
    wrong, right = (f"穗测处〔{tag}〕1号,,测试当事人,警告,{day}" for day in ("2019-09-31", "2019-09-30"))

    def state() -> list[list[str]]:
        sql = f"SELECT rule_id, put_right_in FROM ({PROBLEMS}) WHERE came_in LIKE '%{tag}%'"
        return published.ask("steward", sql)

    published.send_to("penalties", f"错_{tag}_2019-09-30.csv", [header, wrong])
    published.lake("run")
    assert state() == [["decided_on_readable", None]]
    published.send_to("penalties", f"改_{tag}_2019-10-31.csv", [header, right])
    published.lake("run")
    assert state() == [["decided_on_readable", f"改_{tag}_2019-10-31.csv"]]
    ((delivery,),) = published.ask("steward", f"SELECT delivery_id FROM lake.ops.deliveries WHERE file_name LIKE '改_{tag}%'")
    published.lake("withdraw", delivery, "--reason", "测试", timeout=900)
    assert state() == [["decided_on_readable", None]]
