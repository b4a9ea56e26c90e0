"""What was forecast stays as it was published; the gates refuse what does not add up, or was changed."""

from __future__ import annotations

import datetime as dt
import json
import random

import pytest
from injuries import ANEW

VINTAGES = "SELECT forecast_origin, write_number, count(*), checksum(forecast_value) FROM lake.gold.economy_forecast GROUP BY 1, 2 ORDER BY 1"
COURSE = "SELECT max(forecast_origin), max(CASE WHEN series_month > forecast_origin THEN expected_basis END) FROM lake.gold.economy_monthly"
DOES_NOT_ADD_UP = """
from spark_jobs.analyse import hierarchy
hierarchy.coherent = lambda sums, told, missed: told
"""
SWAPS_DISTRICTS = """
from spark_jobs.analyse import months
laid = months.monthly
def swapped(*args):
    found = laid(*args)
    found.counted[:, [3, 4]] = found.counted[:, [4, 3]]
    return found
months.monthly = swapped
"""
CHANGES_WHAT_WAS_SAID = """
from spark_jobs.analyse import vintages
put_back = vintages.put_back
def changed(writer, contract, *args):
    brought = put_back(writer, contract, *args)
    if contract.name != "economy_forecast":
        return brought
    writer.spark.sql("UPDATE gold_tables.economy_forecast SET forecast_value = forecast_value + 1, forecast_high = forecast_high + 1, forecast_high_wide = forecast_high_wide + 1")
    return brought
vintages.put_back = changed
"""


FORGETS_A_DISTRICT = """
from spark_jobs.analyse import active
rows = active.rows
active.rows = lambda *args: (r for r in rows(*args) if (r.district, r.section) != ("天河区", "全部"))
"""
MISJUDGES_SUBJECTS = """
from spark_jobs.analyse import active, active_tables
write = active_tables._subjects
def misjudged(*args):
    judge = active.statuses
    active.statuses = lambda profiles: judge(profiles) * 0
    write(*args)
    active.statuses = judge
active_tables._subjects = misjudged
"""
MONTHS = "SELECT month_end, active_subjects, inactive_subjects, unclear_subjects FROM lake.gold.activity_monthly WHERE district_name = '全市' AND industry_section_name = '全部' ORDER BY 1"


def as_leader(published, *arguments):
    environment = {"LAKE_USER": "leader", "LAKE_PASSWORD": published.password("leader")}
    return json.loads(published.lake("analyse", "forecast", *arguments, "--json", env=environment).stdout)


def test_a_forecast_was_made_once_and_is_shown(published, first_wave):
    """Others have published since: that costs nothing, and changes nothing."""
    ((origin, number, rows, _),) = published.ask("leader", VINTAGES)
    ((newest,),) = published.ask("leader", "SELECT max(write_number) FROM lake.gold.economy_indicators")
    assert number < newest
    told = as_leader(published)
    assert told["forecast_origin"] == str(origin)
    assert len(told["expected"]) == rows
    assert as_leader(published, "--as-of", told["as_of"]) == told
    sums = "SELECT series_month, sum(forecast_value) FROM lake.gold.economy_forecast WHERE district_name <> '全市' AND industry_section_name <> '全部' GROUP BY 1 ORDER BY 1"
    city = [e["value"] for e in told["expected"] if (e["district"], e["section"]) == ("全市", "全部")]
    assert len(city) == 12
    assert city == pytest.approx([float(total) for _, total in published.ask("leader", sums)], abs=0.001)
    refused = published.lake("analyse", "forecast", "--as-of", "2019-12-31", check=False, env={"LAKE_USER": "leader", "LAKE_PASSWORD": published.password("leader")})  # fmt: skip
    assert refused.returncode != 0
    assert "没有预测" in refused.stderr


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_what_was_published_stays(published, first_wave):
    """A new month is forecast beside what was published; wrong sums, swapped counts, a changed forecast are refused; a rebuild, a withdrawal and a
    restored release leave both forecasts as they are."""
    before = published.ask("leader", VINTAGES)
    release = published.ask("leader", "SELECT max(release_id) FROM lake.ops.releases")[0][0]
    origin = before[-1][0]
    tag = random.SystemRandom().randrange(10**6)
    name = f"month-{tag}.csv"
    # The month after the last one, of which the samples have nobody: from now on it is no gap.
    published.send(name, [f"广州市测试预测{tag}号有限公司,,{origin + dt.timedelta(days=5)},广州市天河区体育西路2号"])
    published.step("ingest")
    for injury, says in ((DOES_NOT_ADD_UP, "全市应等于各区之和"), (SWAPS_DISTRICTS, "各月户数应等于登记情况月度表的合计")):
        published.step("silver")
        done = published.step("gold", injury, check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        assert says in done.stdout
        assert published.ask("leader", VINTAGES) == before
    for step in ("silver", "gold", "publish"):
        published.step(step)
    two = published.ask("leader", VINTAGES)
    assert two[:-1] == before
    assert len(two) == len(before) + 1
    assert published.ask("leader", COURSE) == [[two[-1][0], "vintage"]]

    published.step("silver", ANEW)
    done = published.step("gold", ANEW + CHANGES_WHAT_WAS_SAID, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "已发布的各期应保持原样" in done.stdout
    for step in ("silver", "gold", "publish"):
        published.step(step, ANEW)
    assert published.ask("leader", VINTAGES) == two

    published.lake("publish", "--restore", release)
    assert published.ask("leader", VINTAGES) == before
    for step in ("silver", "gold", "publish"):
        published.step(step)
    assert published.ask("leader", VINTAGES) == two
    assert published.ask("leader", COURSE) == [[two[-1][0], "vintage"]]

    ((delivery,),) = published.ask("operator", f"SELECT delivery_id FROM lake.ops.deliveries WHERE file_name = '{name}'")
    published.lake("withdraw", delivery, "--reason", "测试预测", timeout=900)
    assert published.ask("leader", VINTAGES) == two
    assert published.ask("leader", COURSE) == [[origin, "vintage"]], "the month is a gap again"


def test_who_is_active_is_told_of_the_city_and_its_parts(published, first_wave):
    """Of the samples only two subjects are told of by a source that would tell of all: the others are unknown, not idle."""
    leader = {"LAKE_USER": "leader", "LAKE_PASSWORD": published.password("leader")}
    told = json.loads(published.lake("analyse", "activity", "--json", env=leader).stdout)
    counts = ("active_subjects", "inactive_subjects", "unclear_subjects")
    at = {(r["district_name"], r["industry_section_name"]): [r[c] for c in counts] for r in told["told"]}
    city = at["全市", "全部"]
    for inside in (lambda d, s: d != "全市" and s == "全部", lambda d, s: d == "全市" and s != "全部", lambda d, s: d != "全市" and s != "全部"):
        assert [sum(column) for column in zip(*(v for k, v in at.items() if inside(*k)), strict=True)] == city
    named = published.ask("analyst", "SELECT activity_status, count(*) FROM lake.gold.activity_subject GROUP BY 1")
    assert dict(named) == {s: n for s, n in zip(("active", "inactive", "unknown"), city, strict=True) if n}
    assert city[2] > 3000
    text = published.lake("analyse", "activity", env=leader).stdout
    assert "状况不明" in text
    assert "docs/activity.zh.md" in text
    refused = published.lake("analyse", "development", check=False, env=leader)
    assert refused.returncode != 0
    assert "统计部门的季度序列" in refused.stderr
    with pytest.raises(Exception, match="Access Denied"):
        published.ask("leader", "SELECT count(*) FROM lake.gold.activity_subject")


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_month_of_activity_is_judged_once_and_as_it_is(published, first_wave):
    """A new month: sums without a district, subjects of another status than was counted are refused; then it is there, and the others are as they were."""
    before = published.ask("leader", MONTHS)
    tag = random.SystemRandom().randrange(10**6)
    published.send(f"active-{tag}.csv", [f"广州市测试活跃{tag}号有限公司,,{before[-1][0] + dt.timedelta(days=5)},广州市天河区体育西路3号"])
    published.step("ingest")
    for injury, says in ((FORGETS_A_DISTRICT, "各月全市的户数应等于各区之和"), (MISJUDGES_SUBJECTS, "应等于月度表中同一次判断的全市户数")):
        published.step("silver")
        done = published.step("gold", injury, check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        assert says in done.stdout
    for step in ("silver", "gold", "publish"):
        published.step(step)
    after = published.ask("leader", MONTHS)
    assert after[:-1] == before
    assert len(after) == len(before) + 1
    for step in ("silver", "gold", "publish"):
        published.step(step, ANEW)
    assert published.ask("leader", MONTHS) == after
