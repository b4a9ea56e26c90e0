"""Deliveries that are withdrawn, reinstated and read again: as if they had never come, had always been there, had been read rightly at once."""

from __future__ import annotations

import random
from typing import Any

import pytest
from worlds import World, account, business, send

# A reader with a fault: it leaves out the first record of every file.
FORGETS = "from itertools import islice; from spark_jobs.ingest import land; all_of = land._rows; land._rows = lambda *a: islice(all_of(*a), 1, None)"


def identities(published: Any, tag: str) -> dict[str, str]:
    sql = f"SELECT file_name, delivery_id FROM lake.ops.deliveries WHERE file_name LIKE 'world-{tag}-%'"
    return dict(map(tuple, published.ask("steward", sql)))


def marts_follow(published: Any) -> None:
    """The marts, of which only the months that were touched are built anew, count what the archives hold."""
    archive = "SELECT date_trunc('month', registration_date), count(*), sum(cardinality(quality_marks)) FROM lake.gold.archive_subject GROUP BY 1"
    by_month = {m: (n, marks) for m, n, marks in published.ask("steward", archive)}
    monthly = dict(
        map(tuple, published.ask("steward", "SELECT registration_month, sum(subjects) FROM lake.gold.mart_registrations_monthly GROUP BY 1"))
    )
    marks = dict(
        map(tuple, published.ask("steward", "SELECT registration_month, sum(subjects) FROM lake.gold.mart_subject_marks_monthly GROUP BY 1"))
    )
    assert monthly == {m: n for m, (n, _) in by_month.items()}
    assert marks == {m: n for m, (_, n) in by_month.items() if n}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_withdrawn_is_as_if_it_had_never_come_and_may_come_back(published):
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    draw = random.Random(seed)
    world, a, b = World(seed), f"R{seed % 10**5:05}", f"Q{seed % 10**5:05}"
    whole, part = world.files(a), world.files(b)
    strays = draw.sample(range(len(whole)), 2)
    for file in draw.sample(whole, len(whole)):
        send(published, file)
    for n, file in enumerate(part):
        if n not in strays:
            send(published, file)
    first = published.publish(FORGETS)
    broken = business(published, a)

    # The reader is mended; what it left out comes back by reading the kept bytes again. Two deliveries are withdrawn in the same run.
    ids = identities(published, a) | identities(published, b)
    with published.ledger() as ledger:
        days = ledger.execute("SELECT min(arrived_at), max(arrived_at) FROM delivery WHERE file_name LIKE 'world-%'").fetchone()
        assert days
    said = published.lake(
        "replay", "registration_subjects", "--from", "2019-03-01", "--to", "2019-05-31", "--by", "business", "--reason", "reader mended"
    )
    assert "个有变化" in said.stdout
    everything = business(published, a)
    assert everything != broken
    assert {n: parts[0] for n, parts in account(published, a).items()} == {n: len(rows) for n, _, rows in whole}
    marts_follow(published)

    with published.ledger() as ledger:
        for n in strays:
            ledger.execute("UPDATE delivery SET state = 'withdrawn', reason = 'test' WHERE delivery_id = %s", (ids[whole[n][0]],))
    send(published, whole[strays[0]])  # the same bytes again don't bring it back
    published.publish()
    assert business(published, a) == business(published, b), f"seed {seed}"
    marts_follow(published)
    counted = account(published, a)
    assert all(counted[whole[n][0]][1] is None for n in strays), "no account in this release"
    sent = {n: len(rows) for i, (n, _, rows) in enumerate(part) if i not in strays}
    assert {n: parts[0] for n, parts in account(published, b).items()} == sent

    back = ids[whole[strays[0]][0]]
    said = published.lake("withdraw", back, "--undo", "--reason", "sent rightly after all").stdout
    assert "包含这个批次" in said
    said = published.lake("withdraw", back, check=False)
    assert (said.returncode, "没有写原因" in said.stderr) == (1, True)
    with published.ledger() as ledger:
        ledger.execute("UPDATE delivery SET state = 'landed', reason = NULL WHERE delivery_id = %s", (ids[whole[strays[1]][0]],))
    assert published.publish() > first
    assert business(published, a) == everything, f"seed {seed}"
    marts_follow(published)
    with published.ledger() as ledger:
        events = [r[0] for r in ledger.execute("SELECT event FROM delivery_event WHERE delivery_id = %s ORDER BY happened_at", (back,)).fetchall()]
    assert events == ["replay_asked", "replayed", "reinstated"]


@pytest.mark.long
def test_a_replay_that_can_t_be_read_any_more_changes_nothing(published):
    tag = f"P{random.SystemRandom().randrange(10**5):05}"
    (file, *_) = World(int(tag[1:])).files(tag)
    send(published, file)
    published.publish()
    before, counted = business(published, tag), account(published, tag)
    identity = identities(published, tag)[file[0]]
    with published.ledger() as ledger:
        ledger.execute("UPDATE delivery SET reading_wanted = reading + 1 WHERE delivery_id = %s", (identity,))
    refuses = "from spark_jobs.ingest import land\ndef refuse(*a): raise land.Refused('列名变了')\nland._rows = refuse"
    said = published.step("ingest", refuses).stdout
    assert "重放不成，保持原样：列名变了" in said
    assert published.step("silver", check=False).returncode == 4, "nothing to do"
    assert (business(published, tag), account(published, tag)) == (before, counted)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_delivery_with_too_many_bad_rows_is_held_back_alone_until_somebody_decides(published):
    """40 % bad: the delivery stops, and nothing else. 5 % bad: its bad rows are set aside."""
    tag = f"T{random.SystemRandom().randrange(10**5):05}"
    good = [f"广州市测试{tag}{n}号有限公司,,2019-03-0{n % 9 + 1},广州市天河区演示路{n}号" for n in range(60)]
    bad = [row.replace("2019-03-0", "日期不明") for row in good]
    published.send(f"many-{tag}.csv", [*good[:36], *bad[36:]])
    published.send(f"few-{tag}.csv", [*(r.replace("测试", "测试另") for r in good[:57]), *(r.replace("测试", "测试另") for r in bad[57:])])
    published.publish()
    sql = f"SELECT file_name, status, delivery_id, refusal, applied, quarantined FROM lake.ops.deliveries WHERE file_name LIKE '%-{tag}.csv'"
    few, many = sorted(published.ask("steward", sql))
    assert few[1:2] + few[4:] == ["loaded", 57, 3]
    assert many[1:2] + many[4:] == ["held", None, None]
    assert "60 条记录中有 24 条（40%）不合规则，超过上限 20%" in many[3]
    assert "注册日期" in many[3]
    count = f"SELECT count(*) FROM lake.gold.archive_subject WHERE subject_name LIKE '广州市测试%{tag}%'"
    assert published.ask("leader", count) == [[57]]
    aside = published.ask("steward", f"SELECT row_number, reasons FROM lake.silver.registration_subjects_quarantine WHERE delivery_id = '{few[2]}'")
    assert sorted(aside) == [[n, ["registration_date_real"]] for n in (58, 59, 60)]
    said = published.lake("accept", many[2], "--reason", "dates are asked for separately").stdout
    assert "包含这个批次" in said
    assert published.ask("leader", count) == [[57 + 36]]
    assert published.lake("accept", many[2], "--reason", "again", check=False).returncode == 1
