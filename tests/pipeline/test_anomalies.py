"""Deliveries that are unlike what usually comes: told in ``ops`` without a rule, gone when they are withdrawn, judged again when the next one comes."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from infra.clock import china_day

HEADER = "监测编号,媒体,广告主,广告类别,监测日期,是否涉嫌违法"  # of a feed that comes each month: no week of it is short for holidays
FOUND = """SELECT anomaly_kind, source_column, CAST(observed_value AS double), anomaly_state, d.file_name
    FROM lake.ops.quality_anomalies a JOIN lake.ops.deliveries d USING (delivery_id) WHERE d.file_name LIKE '%{tag}%' ORDER BY 1, 2"""


def rows(tag, month, number, named=True):
    """Lines of made-up advertisements; not ``named``: of every other one nobody says in which medium."""
    return [
        f"GGJC{tag}{month:02}{n:03},{'' if not named and n % 2 else f'演示媒体{n % 7}'},广州市测试{n}号有限公司,{('食品', '服装')[n % 2]},2019-{1 + month % 9:02}-{1 + n % 28:02},{('是', '否')[n % 3 > 0]}"
        for n in range(number)
    ]


@pytest.mark.long
def test_a_drop_and_a_column_gone_half_empty_are_told_without_a_rule(published):
    tag, today = f"{random.SystemRandom().randrange(10**6):06}", china_day(dt.datetime.now(dt.UTC))

    def send(name, days_ago, lines):
        published.send_to("advertising", f"{name}_{tag}_{today - dt.timedelta(days=days_ago):%Y-%m-%d}.csv", [HEADER, *lines])

    def found():
        return published.ask("leader", FOUND.format(tag=tag))

    for month in range(1, 13):  # what was due before the feed was connected: compared with, not judged
        send(f"往常{month:02}", 30 * month, rows(tag, month, 120 + month % 5))
    published.publish()
    assert found() == []
    profiled = f"""SELECT count(*), count(DISTINCT delivery_id), min(profiled_records), max(empty_count) FROM lake.ops.column_profiles p
        JOIN lake.ops.deliveries d USING (delivery_id) WHERE d.file_name LIKE '%{tag}%' AND source_column = 'medium'"""
    assert published.ask("analyst", profiled) == [[12, 12, 120, 0]]
    send("骤减", 1, rows(tag, 20, 6))
    published.publish()
    ((kind, column, observed, state, name),) = found()
    assert (kind, column, observed, state) == ("volume_low", "全部", 6, "open")
    send("半空", 0, rows(tag, 21, 120, named=False))
    published.publish()
    told = {(k, c): (o, s) for k, c, o, s, _ in found()}
    assert told[("volume_low", "全部")] == (6, "recovered")
    assert told[("emptied", "medium")] == (0.5, "open")
    assert all(s == "open" or k == "volume_low" for (k, _), (_, s) in told.items())
    ((delivery,),) = published.ask("steward", f"SELECT delivery_id FROM lake.ops.deliveries WHERE file_name = '{name}'")
    published.lake("withdraw", delivery, "--reason", "测试", timeout=900)
    assert {k for k, *_ in found()} == {"emptied"}
    assert published.ask("analyst", f"SELECT count(*) FROM lake.ops.column_profiles WHERE delivery_id = '{delivery}'") == [[0]]
    with pytest.raises(Exception, match="Access Denied"):
        published.ask("leader", "SELECT count(*) FROM lake.ops.column_profiles")
    assert published.lake("check", timeout=900).returncode == 0


def test_no_profile_holds_what_stands_in_a_cell(published):
    """Counts, lengths, two digits and months: the longest text that a profile holds is a date's month or a rounded number."""
    texts = "SELECT max(length(least_value)), max(length(greatest_value)), count(*) > 0 FROM lake.ops.column_profiles"
    ((least, greatest, some),) = published.ask("steward", texts)
    assert some
    assert max(least, greatest) <= 20
    people = "SELECT count(*) FROM lake.ops.column_profiles WHERE source_column = 'complainant_phone' AND coalesce(longest_length, sampled_count) IS NOT NULL"
    assert published.ask("steward", people) == [[0]]
    twice = "SELECT delivery_id FROM lake.ops.column_profiles GROUP BY delivery_id, source_column HAVING count(*) > 1"
    assert published.ask("steward", twice) == []
