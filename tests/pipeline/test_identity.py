"""One subject, whatever becomes of its code (docs/decisions/0030): on the stack, with corrections, mistypings and decisions as deliveries."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest
from costs import Costs, costs_of_publication
from injuries import compacting
from recoded import CHANGES, PENALTIES, code

# What the day of `Codes.send_changes` costs: ten files of six feeds, two tables put together. Seen on 2026-12-01: 138, 656, 1093 and 60 jobs of 206, 883, 1370 and
# 89 stages, 536 files of 2.1 MB (829 and 1044 in gold before what subjects share and traders that became firms were told). A limit is some 15 % more, as a few checkpoints and a table that has to be set back come and go. Where a change makes a step cheaper, its
# limit goes down with it.
MOST = Costs(
    jobs={"ingest": 160, "silver": 755, "gold": 1255, "publish": 70},
    stages={"ingest": 240, "silver": 1020, "gold": 1575, "publish": 105},
    files=615,
    written=2_450_000,
)
DECISIONS = "判定编号,判定,代码一,名称一,代码二,名称二,判定理由,决定单位,决定日期"


def subjects(published, names):
    """(name, code, former codes, number of records) of the subjects of these names."""
    listed = ", ".join(f"'{n}'" for n in names)
    sql = f"SELECT subject_name, credit_code, former_codes, fact_count FROM lake.gold.archive_subject WHERE subject_name IN ({listed}) ORDER BY 1, 2"
    return published.ask("analyst", sql)


def parties(published, tag):
    """(number of the decision, basis, name of the subject) of whom penalties mean."""
    sql = f"""SELECT substr(decision_number, -2), party_basis, a.subject_name FROM lake.silver.penalties
        JOIN lake.silver.party ON party_key = subject_party LEFT JOIN lake.gold.archive_subject a USING (subject_id)
        WHERE decision_number LIKE '穗演示归〔{tag}〕%' ORDER BY 1"""
    return published.ask("analyst", sql)


def archive(published, wanted, *options, user="analyst"):
    """What ``./lake archive`` says to somebody, for programs."""
    account = {"LAKE_USER": user, "LAKE_PASSWORD": published.password(user)}
    return json.loads(published.lake("archive", wanted, "--json", *options, env=account).stdout)


def shared(published, name):
    """(code, how many are at the address, the others' names) of each subject of a name."""
    sql = f"""SELECT a.credit_code, l.common_subjects, array_join(l.common_subject_names, '、') FROM lake.gold.archive_links l
        JOIN lake.gold.archive_subject a USING (subject_id) WHERE a.subject_name = '{name}' AND l.common_kind = 'same_address' ORDER BY 1"""
    return published.ask("leader", sql)


def exits(published, it):
    """(status, when it left, when it was struck off) of the two of which one leaves and one comes back."""
    sql = f"""SELECT exit_status, CAST(ended_on AS varchar), CAST(revoked_on AS varchar) FROM lake.gold.archive_exit JOIN lake.gold.archive_subject USING (subject_id)
        WHERE credit_code IN ('{it.gone[0]}', '{it.back[0]}') ORDER BY credit_code = '{it.back[0]}'"""
    return published.ask("analyst", sql)


def exits_of_a_year(published, year):
    sql = f"SELECT exit_kind, sum(subjects) FROM lake.gold.mart_exits_monthly WHERE year(exit_month) = {year} GROUP BY 1"
    return dict(map(tuple, published.ask("analyst", sql)))


def events(told):
    return [(e["occurred_on"], e["event_name"], e["matter_number"], e["event_summary"]) for e in told["events"]]


def told(demands):
    """(the last figure of its number, lodged, last step, its result, open, recovered) of each demand."""
    shown = ("lodged_on", "last_step", "last_result", "is_open")
    return sorted((d["demand_number"][-1], *(d[c] for c in shown), d["recovered_amount"] and float(d["recovered_amount"])) for d in demands)


@pytest.mark.timeout(1500)
def test_a_subject_outlives_its_code(published, first_wave):
    it, tag, moved, wrong = first_wave, first_wave.tag, first_wave.moved, first_wave.wrong
    assert parties(published, tag) == [["0号", "code", moved], ["1号", "code", moved], ["2号", "code", wrong], ["3号", "name", wrong], ["4号", "unknown", None], ["5号", "unregistered", None]]  # fmt: skip
    short = f"""SELECT party_basis, subject_name FROM lake.silver.complaints JOIN lake.silver.party ON party_key = respondent_party
        LEFT JOIN lake.gold.archive_subject USING (subject_id) WHERE demand_number = '演示诉{tag}3'"""
    assert published.ask("analyst", short) == [["short_name", f"广州市{it.said}"]]
    of_moved = f"SELECT count(DISTINCT subject_id) FROM lake.silver.party WHERE key_value IN ('{it.old}', '{it.new}')"
    assert published.ask("analyst", of_moved) == [[2]]
    # The mistyped code is nobody else's; whether the other two are one company nobody has said.
    two = [[moved, *one] for one in sorted([[it.old, [], 1], [it.new, [], 1]])]
    assert subjects(published, [moved, wrong]) == [*two, [wrong, it.typed, [], 2]]
    review = f"SELECT review_kind, keys_involved FROM lake.silver.identity_review WHERE contains(keys_involved, '{it.old}')"
    assert published.ask("steward", review) == [["two_codes_of_one_name", sorted([it.old, it.new])]]
    # Each has its own penalty, beside what the register says.
    of_old = archive(published, it.old)
    demand = [
        ("2018-03-12", "诉求办理", f"演示诉{tag}1", "办理环节：初查；环节结果：受理"),
        ("2018-03-10", "被投诉举报", f"演示诉{tag}1", "诉求类型：投诉；问题类别：质量"),
    ]
    own = [("2019-03-01", "行政处罚", f"穗演示归〔{tag}〕0号", "处罚类别：警告"), ("2019-02-03", "设立登记", None, f"名称：{moved}")]
    assert events(of_old) == [*own, *demand]
    assert told(of_old["complaint"]) == [("1", "2018-03-10", "初查", "受理", True, None)]
    assert [(e["matter_number"], e["decision_count"]) for e in of_old["enforcement"]] == [(f"穗演示归〔{tag}〕0号", 1)]
    of_wrong = archive(published, it.typed)
    assert [e for _, e, *_ in events(of_wrong)] == ["行政处罚", "行政处罚", "设立登记"]
    assert (of_wrong["complaint"], of_wrong["property"]) == ([], [])
    assert exits(published, it) == [["revoked", None, "2018-04-20"]] * 2
    assert shared(published, moved) == [[c, 2, moved] for c in sorted([it.old, it.new])]
    assert shared(published, it.gone[1]) == [[it.gone[0], 2, it.back[1]]]
    counted = exits_of_a_year(published, 2018)
    moment = datetime.now(UTC).isoformat()

    it.send_changes(published)
    published.send_to("penalties", f"归属改_{tag}_2019-05-31.csv", [PENALTIES, f"穗演示归〔{tag}〕2号,{it.typed},{wrong},罚款,2019-03-01"])
    # Gold puts small files together on the way: all rows of these tables are judged and compared.
    assert costs_of_publication(published, {"gold": compacting("archive_timeline", "archive_enforcement")}).above(MOST) == {}
    assert published.ask("analyst", of_moved) == [[1]]
    # Who was struck off and then left counts in both ways, who is back in none.
    assert exits(published, it) == [["ended", "2018-05-20", "2018-04-20"], ["restored", None, None]]
    now_counted = exits_of_a_year(published, 2018)
    assert {k: now_counted.get(k, 0) - counted.get(k, 0) for k in now_counted | counted if now_counted.get(k, 0) != counted.get(k, 0)} == {"deregistered": 1, "revoked": -1}  # fmt: skip
    economy = json.loads(published.lake("analyse", "--as-of", "2018-12-31", "--json", env={"LAKE_USER": "leader", "LAKE_PASSWORD": published.password("leader")}).stdout)  # fmt: skip
    figures = {(f["indicator"], f["district"], f["section"]): f["value"] for f in economy["figures"]}
    assert economy["period_end"] == "2018-12-31"
    assert ("exits", "全市", "全部") not in figures, "of a year of which exits are told in one month alone it isn't known how many left"
    register = "SELECT count(*) - (SELECT count(*) FROM lake.gold.archive_exit WHERE ended_on < DATE '2019-01-01') FROM lake.gold.archive_subject WHERE registration_date < DATE '2019-01-01'"
    assert published.ask("leader", register) == [[figures["live_subjects", "全市", "全部"]]]
    assert parties(published, tag)[-1] == ["5号", "code", it.late]
    assert published.ask("analyst", short) == [["ambiguous", None]], "there are two of them now"
    assert subjects(published, [moved]) == [[moved, it.new, [it.old], 2]]
    assert published.ask("steward", review) == []
    assert shared(published, moved) == [[it.new, 1, None]], "who is one shares nothing with himself"
    links = "SELECT link_kind, count(*) FROM lake.silver.identity_link WHERE {} GROUP BY 1 ORDER BY 1"
    assert published.ask("steward", links.format(f"first_value = '{it.old}' AND link_kind = 'code_correction'")) == [["code_correction", 1]]
    assert published.ask("steward", links.format(f"first_value = '{it.unheard[0]}'")) == [["code_correction", 1]]
    assert published.ask("steward", links.format(f"first_value = '{it.shareholder[0]}'")) == []
    ids = f"SELECT key_value, key_id = subject_id, is_anchor FROM lake.silver.subject_key WHERE key_value IN ('{it.old}', '{it.new}') ORDER BY is_anchor"
    assert published.ask("steward", ids) == [[it.new, False, False], [it.old, True, True]]
    # The code of before leads to the subject, whose timeline has the penalties of both codes, and the change.
    joined = archive(published, it.old)
    assert joined["archive"]["credit_code"] == it.new
    assert [e for _, e, *_ in events(joined)] == ["变更登记", "变更登记", "行政处罚", "行政处罚", "设立登记"]
    assert joined["complaint"] == [], "it was said of somebody else since"
    late = archive(published, it.later)
    assert [e for _, e, *_ in events(late)] == ["设立登记", "行政处罚"], "the penalty waited for its subject"
    # A penalty that was put right: its last statement stands; what was known before is told from the rows.
    now = archive(published, it.typed)
    assert {(e[2][-2:], e[3]) for e in events(now) if e[1] == "行政处罚"} == {("2号", "处罚类别：罚款"), ("3号", "处罚类别：警告")}
    assert told(now["complaint"]) == [("1", "2018-03-10", "办结", "调解成功", False, 80.0), ("2", "2018-03-10", "初查", "受理", True, None)]
    assert [e[1] for e in events(now)] == ["行政处罚", "行政处罚", "设立登记", "诉求办理", "诉求办理", "诉求办理", "被投诉举报", "被投诉举报"]
    known = archive(published, it.typed, "--known-at", moment)
    assert events(known) == events(of_wrong)
    assert {k: v for k, v in known["archive"].items() if v != of_wrong["archive"][k]} == {}
    # Before the change had come the two codes were two subjects; who may read ties is told so.
    apart = archive(published, it.old, "--known-at", moment, user="steward")
    assert (apart["archive"]["credit_code"], apart["archive"]["fact_count"]) == (it.old, 1)
    assert events(apart) == events(of_old)
    early = {"LAKE_USER": "analyst", "LAKE_PASSWORD": published.password("analyst")}
    none = published.lake("archive", it.later, "--known-at", moment, env=early, check=False)
    assert none.returncode == 1
    assert "那时还不知道" in none.stderr


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_decision_splits_a_subject_until_it_is_withdrawn(published):
    chance = random.Random(random.SystemRandom().randrange(10**9))
    tag = chance.randrange(10**6)
    old, new = code(chance), code(chance)
    moved = f"广州市测试判定{tag}有限公司"
    for n, of in enumerate((old, new)):
        published.send(f"判{n}_{tag}_2019-0{n + 3}-28.csv", [f"{moved},{of},2019-02-03,广州市天河区一路1号"])
    published.send_to("registration_changes", f"判码_{tag}_2019-04-30.csv", [CHANGES, f"{new},{moved},统一社会信用代码更正,{old},{new},2019-04-15"])
    published.publish()
    assert subjects(published, [moved]) == [[moved, new, [old], 2]]

    decision = f"SF{tag},不是同一主体,{old},,{new},,演示,登记注册处,2019-05-01"
    published.send_to("identity_decisions", f"判定_{tag}_2019-05-31.csv", [DECISIONS, decision])
    published.publish()
    assert [row[1] for row in subjects(published, [moved])] == sorted([old, new])
    ties = f"SELECT link_kind, is_applied FROM lake.silver.identity_link WHERE first_value IN ('{old}', '{new}') ORDER BY 1"
    assert published.ask("steward", ties) == [["code_correction", False], ["decided_apart", False], ["same_name", False]]

    delivery = published.ask("steward", f"SELECT delivery_id FROM lake.ops.deliveries WHERE file_name = '判定_{tag}_2019-05-31.csv'")[0][0]
    published.lake("withdraw", delivery, "--reason", "演示", timeout=900)
    assert subjects(published, [moved]) == [[moved, new, [old], 2]]
    assert published.step("silver", check=False).returncode == 4, "nothing is left to do"


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_the_gate_stops_codes_that_come_together_without_a_statement(published):
    """A rule of names that joins checked codes, too: only the gate sees it."""
    chance = random.Random(random.SystemRandom().randrange(10**9))
    tag, one, other = chance.randrange(10**6), code(chance), code(chance)
    name = f"广州市测试同名{tag}有限公司"
    published.send(f"同名_{tag}_2019-03-31.csv", [f"{name},{one},2019-02-03,广州市天河区一路1号", f"{name},{other},2019-02-03,广州市天河区一路1号"])
    published.step("ingest")
    injury = "from spark_jobs.identity import links; links._Resolution.codes = lambda self, root: set()"
    done = published.step("silver", injury, check=False)
    assert done.returncode == 3
    assert "codes_joined_by_statement" in done.stdout
    published.publish()
    assert len(subjects(published, [name])) == 2
