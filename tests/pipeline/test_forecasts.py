"""What was forecast stays as it was published; the gates refuse what does not add up, or was changed."""

from __future__ import annotations

import json
import random

import pytest

VINTAGES = "SELECT forecast_origin, write_number, count(*), checksum(forecast_value) FROM lake.gold.economy_forecast GROUP BY 1, 2 ORDER BY 1"
# A code of its own: silver and gold are built anew.
ANEW = "pipeline.build_id = lambda *parts: 'another'\n"
# The last month is one that has only begun: the forecast is another.
A_MONTH_EARLIER = """
from dataclasses import replace
from spark_jobs.analyse import months
laid = months.monthly
def earlier(*args):
    found = laid(*args)
    return replace(found, months=found.months[:-1], counted=found.counted[:-1])
months.monthly = earlier
"""
DOES_NOT_ADD_UP = """
from spark_jobs.analyse import hierarchy
hierarchy.coherent = lambda sums, told, missed: told
"""
FORGETS_A_MONTH = """
from spark_jobs.analyse import months
counted = months.monthly
def less(*args):
    found = counted(*args)
    found.counted[3, 0] *= 0
    return found
months.monthly = less
"""
CHANGES_WHAT_WAS_SAID = """
from spark_jobs.analyse import build
put_back = build._put_back
def changed(writer, contracts, run, parent):
    put_back(writer, contracts, run, parent)
    writer.spark.sql("UPDATE gold_tables.economy_forecast SET forecast_value = forecast_value + 1, forecast_high = forecast_high + 1, forecast_high_wide = forecast_high_wide + 1")
build._put_back = changed
"""


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
    assert as_leader(published, "--as-of", "2019-12-31") == told
    sums = "SELECT series_month, sum(forecast_value) FROM lake.gold.economy_forecast WHERE district_name <> '全市' AND industry_section_name <> '全部' GROUP BY 1 ORDER BY 1"
    city = [e["value"] for e in told["expected"] if (e["district"], e["section"]) == ("全市", "全部")]
    assert len(city) == 12
    assert city == pytest.approx([float(total) for _, total in published.ask("leader", sums)], abs=0.001)
    refused = published.lake("analyse", "forecast", "--as-of", "1980-01-01", check=False, env={"LAKE_USER": "leader", "LAKE_PASSWORD": published.password("leader")})  # fmt: skip
    assert refused.returncode != 0
    assert "没有预测" in refused.stderr


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_gates_of_forecasts(published, first_wave):
    """A new month is forecast beside what was published; wrong sums, other counts, a changed vintage are refused; a rebuild keeps both vintages."""
    before = published.ask("leader", VINTAGES)
    tag = random.SystemRandom().randrange(10**6)
    for injury, says in (
        (A_MONTH_EARLIER + DOES_NOT_ADD_UP, "全市应等于各区之和"),
        (FORGETS_A_MONTH + A_MONTH_EARLIER, "各月户数应等于登记情况月度表的合计"),
    ):
        published.send(f"month-{tag}-{len(says)}.csv", [f"广州市测试预测{tag}号{len(says)}有限公司,,2019-03-02,广州市天河区体育西路2号"])
        published.step("ingest")
        published.step("silver")
        done = published.step("gold", injury, check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        assert says in done.stdout
        assert published.ask("leader", VINTAGES) == before
    for step in ("silver", "gold", "publish"):
        published.step(step, A_MONTH_EARLIER)
    two = published.ask("leader", VINTAGES)
    assert len(two) == 2
    assert two[1] == before[0], "the later origin was published first"
    published.step("silver", ANEW)
    done = published.step("gold", ANEW + CHANGES_WHAT_WAS_SAID, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "已发布的预测应保持原样" in done.stdout
    for step in ("silver", "gold", "publish"):
        published.step(step, ANEW)
    assert published.ask("leader", VINTAGES) == two
