"""What subjects have in common, through the stack: run after run gives what a rebuild gives, and gates refuse what is wrong."""

from __future__ import annotations

import random

import pytest
from injuries import ANEW
from recoded import code

# What a run has built is spoiled before it is judged.
SPOILED = """
build = pipeline.dbt_runs.build
def spoiled(context, writer, contracts, changes):
    build(context, writer, contracts, changes)
    for statement in {statements!r}:
        writer.spark.sql(statement)
pipeline.dbt_runs.build = spoiled
"""
LINKS = """SELECT a.credit_code, l.common_kind, l.common_subjects, array_join(l.common_subject_names, '、') FROM lake.gold.archive_links l
    JOIN lake.gold.archive_subject a USING (subject_id) WHERE a.subject_name LIKE '%{}%' ORDER BY 1, 2, 3, 4"""


def shared(published, tag):
    return published.ask("analyst", LINKS.format(tag))


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_a_move_an_exit_and_a_rebuild(published, first_wave):
    chance = random.Random(random.SystemRandom().randrange(10**9))
    tag = chance.randrange(10**6)
    (a, b, c), road = (code(chance) for _ in range(3)), f"广州市天河区测试{tag}路"
    names = {x: f"广州市测试同址{what}{tag}有限公司" for x, what in ((a, "甲"), (b, "乙"), (c, "丙"))}
    published.send(
        f"同址_{tag}_2019-03-31.csv", [f"{names[x]},{x},2019-02-03,{road}{n}" for x, n in ((a, "1号201房"), (b, "１号 201室（自编）"), (c, "2号"))]
    )
    holder = "统一社会信用代码,企业名称,股东名称,股东类型,股东证件摘要,认缴出资额（万元）,变动类型,生效日期"
    lines = [f"{x},{names[x]},演示某人,自然人,摘要{tag},10,设立,2019-02-03" for x in (a, c)]
    published.send_to("shareholders", f"股东_{tag}_2019-03-31.csv", [holder, *lines])
    published.publish()
    at_one = [[a, "same_address", 2, names[b]], [a, "same_holder", 2, names[c]], [b, "same_address", 2, names[a]]]
    assert shared(published, tag) == sorted([*at_one, [c, "same_address", 1, None], [c, "same_holder", 2, names[a]]])

    # One moves to the third's, whose owner there sells.
    published.send(f"迁_{tag}_2019-05-31.csv", [f"{names[b]},{b},2019-02-03,{road}2号"])
    published.send_to("shareholders", f"股东二_{tag}_2019-05-31.csv", [holder, f"{c},{names[c]},演示某人,自然人,摘要{tag},10,退出,2019-05-03"])
    published.publish()
    after = sorted([[a, "same_address", 1, None], [a, "same_holder", 1, None], [b, "same_address", 2, names[c]], [c, "same_address", 2, names[b]]])
    assert shared(published, tag) == after
    for step in ("silver", "gold", "publish"):
        published.step(step, ANEW)
    assert shared(published, tag) == after
    assert published.ask("leader", "SELECT DISTINCT common_key FROM lake.gold.archive_links") == [["***"]]

    ids = dict(published.ask("analyst", f"SELECT credit_code, subject_id FROM lake.gold.archive_subject WHERE subject_name LIKE '%{tag}%'"))
    of_two = f"common_kind = 'same_address' AND subject_id IN ('{ids[b]}', '{ids[c]}')"
    private = published.ask("analyst", "SELECT min(subject_id) FROM lake.gold.archive_private")[0][0]
    alone = f"UPDATE gold_tables.archive_links SET common_key = '0123456789abcdef', common_subjects = 1, common_subject_ids = NULL, common_subject_names = NULL WHERE {of_two} AND subject_id = '{ids[b]}'"
    other = f"UPDATE gold_tables.archive_links SET common_subjects = 1, common_subject_ids = NULL, common_subject_names = NULL WHERE {of_two} AND subject_id = '{ids[c]}'"
    for rule, *statements in (
        ("links_agree", f"UPDATE gold_tables.archive_links SET common_subjects = 3 WHERE {of_two} AND subject_id = '{ids[b]}'"),
        ("addresses_linked", alone, other),
        ("links_of_subjects", f"UPDATE gold_tables.archive_links SET subject_id = 'S0000000000000000' WHERE subject_id = '{ids[a]}' AND common_kind = 'same_address'"),
        ("private_conserved", f"DELETE FROM gold_tables.archive_private WHERE subject_id = '{private}'"),
        ("private_adds_up", f"UPDATE gold_tables.archive_private SET penalties_count = penalties_count + 1 WHERE subject_id = '{private}'"),
    ):  # fmt: skip
        published.step("silver", ANEW)
        done = published.step("gold", ANEW + SPOILED.format(statements=statements), check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        assert rule in done.stdout
        assert shared(published, tag) == after, "readers stay where they were"
    published.publish()
