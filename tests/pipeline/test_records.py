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


def test_a_time_is_kept_in_utc_and_its_day_is_china_s(published):
    (row,) = published.ask(
        "analyst", "SELECT CAST(lodged_at AT TIME ZONE 'UTC' AS varchar) FROM lake.silver.complaints WHERE demand_number = 'GZYS20190001'"
    )
    assert row[0].startswith("2019-04-03 01:12:00")


def test_who_complains_is_seen_by_the_steward_alone(published):
    sql = "SELECT DISTINCT complainant_name, complainant_phone, demand_text FROM lake.silver.complaints"
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
