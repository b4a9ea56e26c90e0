"""The sandbox city: the same seed gives the same bytes, what was delivered is what the truth says, and it shares nothing with the pipeline."""

import ast
import csv
import datetime as dt
import hashlib
import json
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from catalog.contract import load_contracts
from catalog.derive import header_bindings
from infra.settings import REPO
from samples.city import make as making
from samples.city.deliveries import delivery
from samples.city.dirt import KINDS
from samples.city.feeds import DAILY, FEEDS, MONTHLY, QUARTERLY, WEEKLY
from samples.city.make import make
from samples.city.parameters import parameters, stated
from spark_jobs.ingest import formats, land, readers
from spark_jobs.punctuality import Came, punctuality
from spark_jobs.reconciliation import Held, Total, reconcile
from spark_jobs.refine import records as records_of_feed
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.registration import refine_columns

CONTRACTS = load_contracts()
SUBJECTS, YEARS, SEED = 4000, 2, 11
PIPELINE = ("catalog", "dags", "dbt", "expectations", "infra", "spark_jobs", "superset")


class Inline:
    """Takes the place of the pool of processes, so that what units do can be watched."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, unit):
        made = function(unit)
        return SimpleNamespace(result=lambda: made)


class Reading(dict):
    """Rates that remember which of them were asked for."""

    asked = None

    def __getitem__(self, name):
        Reading.asked.add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module")
def parts():
    """Small pieces, so that a small city has many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "SHARD", 1500)
        patch.setattr(making, "PARTS_OF", 3000)
        yield


@pytest.fixture(scope="module")
def city(tmp_path_factory, parts):
    target = tmp_path_factory.mktemp("city") / "one"
    make(parameters(SUBJECTS, YEARS, SEED, cadence="monthly"), target)
    return target


@pytest.fixture(scope="module")
def watched(tmp_path_factory, parts):
    """A city of three years whose rows were seen before they were soiled: by feed, days, subjects and columns; and the rates that were read."""
    rows, deliver = {}, making._deliver
    Reading.asked = set()

    def seen(p, made_rows, *more):
        rows.setdefault(made_rows.feed, []).append(made_rows)
        deliver(p, made_rows, *more)

    p = parameters(3000, 3, SEED, cadence="monthly")
    target = tmp_path_factory.mktemp("city") / "watched"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "ProcessPoolExecutor", Inline)
        patch.setattr(making, "_deliver", seen)
        make(replace(p, rates=Reading(p.rates)), target)
    return SimpleNamespace(rows=rows, city=target, population=making._city, asked=Reading.asked)


def column(rows, header):
    return [text for r in rows for text in r.columns[header].to_pylist()]


def deliveries(city, feed):
    """Files of a feed in the order of their business days, with what their manifests say; the corrected one in the place of the wrong one."""
    found = {}
    for path in sorted((city / "deliveries" / feed).glob("*")):
        if not path.name.endswith(".manifest.json") and "_重复" not in path.name:
            says = json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8"))
            found[path.name.partition(".")[0].removesuffix("_更正")] = (path, says)  # the corrected one sorts behind
    return list(found.values())


def truth(city, name):
    return pq.read_table(city / "truth" / f"{name}.parquet").to_pylist()


def imports(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_city_and_pipeline_import_nothing_of_each_other():
    for path in sorted((REPO / "samples" / "city").glob("*.py")):
        assert not [m for m in imports(path) if m.partition(".")[0] in PIPELINE], path
    for folder in PIPELINE:
        for path in sorted((REPO / folder).rglob("*.py")):
            assert not [m for m in imports(path) if m.partition(".")[0] == "samples"], path


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_seed_gives_the_same_bytes_however_the_work_is_cut_in_time(city, tmp_path, monkeypatch):
    monkeypatch.setattr(making, "WORKERS", 1)
    monkeypatch.setattr(making, "HELD", 1000)
    assert len(list((city / "deliveries" / "shareholders").glob("*_全量*.csv"))) > 1
    make(parameters(SUBJECTS, YEARS, SEED, cadence="monthly"), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(city)


def test_the_truth_says_whose_each_delivered_record_is(city):
    subjects = {s["subject"]: s for s in truth(city, "subjects")}
    damaged = {(d["feed"], d["part"], d["period"], d["record"]) for d in truth(city, "damage")}
    whose = {(r["feed"], r["part"], r["period"], r["record"]): r["subject"] for r in truth(city, "records")}
    for feed in ("penalties", "annual_reports", "registration_subjects"):
        checked = 0
        for d in truth(city, "deliveries"):
            if d["feed"] != feed or d["what"] not in ("on time", "late", "corrected") or not d["file"].endswith(".csv"):
                continue
            part = int(d["file"].split("_全量")[1][:2]) - 1 if "_全量" in d["file"] else 0
            text = (city / d["file"]).read_bytes().decode("gb18030" if FEEDS[feed].form == "gb18030" else "utf-8")
            for number, row in enumerate(csv.DictReader(text.splitlines()), start=1):
                place = (feed, part, d["period"], number)
                if place not in damaged:
                    s = subjects[whose[place]]
                    assert row["统一社会信用代码"] in (s["code"], s["first_code"]), place
                    checked += 1
        assert checked > 20, feed


def test_another_seed_gives_another_city(city, tmp_path):
    make(parameters(2000, 1, SEED + 1, cadence="monthly"), tmp_path / "other")
    names = {s["first_name"] for s in truth(tmp_path / "other", "subjects")}
    assert len(names & {s["first_name"] for s in truth(city, "subjects")}) < len(names) / 20


def test_a_filled_folder_is_left_alone(city):
    with pytest.raises(FileExistsError):
        make(parameters(2000, 1, 1), city)


def test_each_claim_is_met_within_two_percent_and_the_noise_of_its_number(city):
    says = json.loads((city / "city.json").read_text("utf-8"))["claims"]
    assert set(says) == {name for name, entry in stated().items() if entry.get("claim")}
    for name, claim in says.items():
        # Of a small city the noise counts; some have no number that tells it: means, and sums of few large amounts.
        share, number = claim["published"], claim["number"]
        noise = 4 * (share * (1 - share) / number) ** 0.5 if number else 0.0 if name.startswith("stock") else 0.08 * share
        assert abs(claim["made"] - share) <= 0.02 * share + noise, (name, claim)


def test_the_city_has_as_many_live_subjects_as_were_asked_for(city):
    last = dt.date(2023 + YEARS, 1, 1)
    assert sum(s["born"] < last and (s["died"] is None or s["died"] >= last) for s in truth(city, "subjects")) == SUBJECTS


def test_subjects_have_codes_with_both_check_digits_and_companies_names_of_their_own(city):
    subjects = truth(city, "subjects")
    codes = [s["code"] for s in subjects]
    assert {identify(c).check for c in codes} == {"passed"}
    assert len(set(codes)) == len(codes)
    names = Counter(s["name"] for s in subjects if s["kind"] != "个体工商户" and s["kind"] != "分支机构")
    assert [n for n, times in names.items() if times > 1] == []


@pytest.mark.parametrize("feed", list(FEEDS))
def test_each_delivery_is_read_and_has_as_many_records_as_it_says(city, tmp_path, feed):
    """By the pipeline's readers: whatever the form, with banners and footers around."""
    files = deliveries(city, feed)
    assert files or feed == "serious_list"  # of so few subjects perhaps none
    for path, says in files[:1] + files[-1:]:
        assert says["simulated"] is True
        assert says["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        with formats.found(path, tmp_path) as file:
            rows = [
                cells
                for sheet in readers.sheets(file, lambda text: text in FEEDS[feed].headers)
                for _, cells, _ in sheet.rows
                if cells is None or any(c.strip() for c in cells)
            ]
        # The header; in a spreadsheet two banners and two footers besides.
        assert len(rows) == says["rows"] + (5 if path.suffix in (".xlsx", ".xls") else 1), path.name


def test_what_the_source_took_down_was_delivered_or_is_noted_as_unsent(city):
    """The control totals, which departments state, against the files and the truth; nothing else is missing."""
    stated_totals = Counter()
    for path, _ in deliveries(city, "control_totals"):
        with path.open(encoding="utf-8", newline="") as file:
            for feed, _, number in list(csv.reader(file))[1:]:
                stated_totals[feed] += int(number)
    unsent = Counter(u["feed"] for u in truth(city, "unsent"))
    assert sum(unsent.values()) > 0
    lost = Counter()
    for d in truth(city, "deliveries"):
        lost[d["feed"]] += d["rows"] if d["what"] == "missing" else 0
    for feed in FEEDS.values():
        sent = sum(says["rows"] for path, says in deliveries(city, feed.name) if "_全量" not in path.name)
        if feed.name != "control_totals":
            assert stated_totals[feed.chinese] == sent + unsent[feed.name] + lost[feed.name], feed.name


def held_and_totals(city):
    """What the city has delivered and what its source systems say, as the pipeline would take it."""
    held = [
        Held(name, says["department"], dt.date.fromisoformat(says["as_of"]), says["revision"], says["rows"], True)
        for name in FEEDS
        for path in (city / "deliveries" / name).glob("*")
        if not path.name.endswith(".manifest.json") and "_重复" not in path.name
        for says in [json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8"))]
    ]
    totals = {}
    for path, _ in deliveries(city, "control_totals"):
        for row in csv.DictReader(path.open(encoding="utf-8")):
            totals[row["资源"], dt.date.fromisoformat(row["日期"])] = int(row["记录数"])
    return held, [Total(resource, day, records) for (resource, day), records in totals.items()]


def test_reconciliation_sees_every_record_that_was_never_sent_and_no_other(city):
    held, totals = held_and_totals(city)
    lines = reconcile(totals, held, CONTRACTS.values())
    assert {(line.resource, line.feed) for line in lines} <= {(f.chinese, f.name) for f in FEEDS.values()}
    assert {line.status for line in lines} <= {"matched", "short", "awaited"}
    told = {(t.resource, t.day) for t in totals}
    lost = Counter()
    for u in truth(city, "unsent"):
        if (FEEDS[u["feed"]].chinese, u["day"]) in told:
            lost[u["feed"], u["day"]] += 1
    never = {(d["feed"], d["as_of"]): d["rows"] for d in truth(city, "deliveries") if d["what"] == "missing"}
    found, unsent = 0, Counter()
    for line in lines:
        if line.status == "awaited":
            continue
        expected = sum(n for (feed, day), n in lost.items() if feed == line.feed and line.period_from <= day <= line.period_to)
        expected += sum(n for (feed, day), n in never.items() if feed == line.feed and line.period_from <= day < line.business_date)
        assert line.source_records - line.held_records == expected, line
        found, unsent[line.feed] = found + expected, unsent[line.feed] + expected
    assert found > 100
    assert len([feed for feed, n in unsent.items() if n]) > 5


def test_what_comes_late_or_never_is_told_with_its_department(city):
    feeds = [f for f in FEEDS.values() if f.cadence in (DAILY, WEEKLY, MONTHLY, QUARTERLY)]
    late, never, told, nothing = set(), set(), set(), set()
    for feed in feeds:
        contract = CONTRACTS[f"bronze.{feed.name}"]
        if feed.cadence in (DAILY, WEEKLY):  # the city of these tests sends monthly what comes daily or weekly
            contract = replace(contract, update_cycle="每月", days_allowed=5)
        entries = [d for d in truth(city, "deliveries") if d["feed"] == feed.name and d["what"] in ("on time", "late", "first wrong", "missing")]
        came = [Came(d["as_of"], d["sent"], False) for d in entries if d["what"] != "missing"]
        due = punctuality(contract, came, max((c.arrived_on for c in came), default=dt.date(2026, 1, 1)))
        told |= {(d.feed, d.business_date, d.status) for d in due if d.status in ("late", "missing")}
        assert {d.department for d in due} <= {contract.department}
        first, last = min((c.business_date for c in came), default=None), max((c.business_date for c in came), default=None)
        # What was due before the first delivery came is nobody's fault.
        connected = min((c.arrived_on for c in came), default=None)
        due_on = {c.business_date: c.business_date + dt.timedelta(days=contract.days_allowed) for c in came}
        late |= {(feed.name, c.business_date, "late") for c in came if c.arrived_on > due_on[c.business_date] >= connected}
        never |= {(feed.name, d["as_of"], "missing") for d in entries if d["what"] == "missing" and first < d["as_of"] < last}
        # Of a month in which nothing happened a small city sends no file; the calendar can't know.
        nothing |= {(d.feed, d.business_date, "missing") for d in due if d.business_date not in {e["as_of"] for e in entries}}
    assert told - nothing == late | never
    assert late
    assert never


@pytest.mark.parametrize("name", list(FEEDS))
def test_damage_stands_where_the_truth_says_and_a_rule_sees_what_it_can_see_and_nothing_else(city, tmp_path, name):
    """Through the pipeline's own readers and rules: what is visibly damaged is set aside or marked, and no clean row is either."""
    contract, feed = CONTRACTS[f"bronze.{name}"], FEEDS[name]
    bindings = header_bindings(contract)
    p = parameters(SUBJECTS, YEARS, SEED, cadence="monthly")
    never = {d["as_of"].isoformat() for d in truth(city, "deliveries") if d["feed"] == name and d["what"] == "missing"}
    damage = {
        (d["part"], as_of, d["record"]): d
        for d in truth(city, "damage")
        if d["feed"] == name and d["kind"] != "draft" and (as_of := delivery(p, feed, d["period"]).as_of.isoformat()) not in never
    }
    seen, harmed = Counter(), Counter()
    for path, says in deliveries(city, name):
        records = list(land.records(contract, path, tmp_path))
        texts = {c: [(values or {}).get(c) for _, values, _ in records] for c in bindings.values()}
        arrived = [dt.date(2026, 1, 20)] * len(records)
        if contract.record_key:
            refined = records_of_feed.refine_columns(contract, texts, arrived)
        else:
            refined = refine_columns(texts, arrived, [None] * len(records))
        for place, (number, values, _) in enumerate(records):
            part = int(path.stem[-2:]) - 1 if "_全量" in path.stem else 0
            known = damage.pop((part, says["as_of"], number), None)
            if known and known["kind"] in ("code_typo", "name_typo", "full_width", "date_impossible"):
                assert values[bindings[known["header"]]] == known["delivered"]
            set_aside = values is None or bool(refined["reasons"][place])
            if known is None or KINDS[known["kind"]] != "visible":
                assert not set_aside, (path.name, number, values, refined["reasons"][place])
                # Of the register some clean rows are marked: N/A in place of a type, say.
                assert not (contract.record_key and refined["quality_marks"][place]), (path.name, number, values, refined["quality_marks"][place])
            else:
                harmed[known["kind"]] += 1
                caught = set_aside or bool(refined["quality_marks"][place])
                assert caught, (known, values)
                seen[known["kind"]] += caught
    assert damage == {}
    assert seen == harmed


def test_a_drawn_city_has_other_parameters_within_their_ranges():
    calm, drawn, again = (parameters(2000, 1, 1, draw=d).rates for d in (None, 5, 5))
    assert drawn == again
    for name, entry in stated().items():
        if "range" in entry:
            low, high = entry["range"]
            assert low <= drawn[name] <= high, name
        else:
            assert drawn[name] == calm[name], name
    assert sum(drawn[n] != calm[n] for n, e in stated().items() if "range" in e) > 20


def test_each_number_has_its_source_and_published_ones_alone_are_claimed():
    for name, entry in stated().items():
        assert entry["status"] in ("published", "derived", "assumed"), name
        assert entry["source"], name
        assert not entry.get("claim") or entry["status"] != "assumed", name
        assert ("range" in entry) == (entry["status"] == "assumed") or name.startswith("dirt."), name


def test_each_rate_is_used(watched):
    assert set(stated()) - watched.asked == set()


def test_nothing_happens_to_a_subject_before_its_birth_or_after_its_exit(watched):
    c = watched.population
    free = {"registration_subjects", "registration_cancellations", "shareholders", "key_persons", "branches", "complaint_steps"}
    for feed, all_rows in watched.rows.items():
        for rows in all_rows:
            whose = rows.subject >= 0
            who, day = rows.subject[whose], rows.day[whose]
            assert (day >= np.minimum(c.born[who], c.parameters.start - 1)).all(), feed
            if feed not in free and not feed.startswith("trademark_"):
                late = {"inspection_results": 28}.get(feed, 0)  # made public after the visit
                assert (day <= c.died[who] + late).all(), feed


def test_numbers_of_documents_are_nobody_elses(watched):
    for feed, header in {
        "penalties": "决定书文号", "licences": "许可编号", "inspection_results": "任务编号", "advertising": "监测编号", "complaints": "登记编号",
        "trademark_applications": "申请号", "trademark_registrations": "注册号", "other_penalties": "文号", "other_licences": "证号", "court_enforcement": "案号", "public_opinion": "编号",
    }.items():  # fmt: skip
        numbers = column(watched.rows[feed], header)
        assert len(set(numbers)) == len(numbers), feed


def test_application_numbers_rise_with_the_day(watched):
    rows = watched.rows["trademark_applications"]
    by_number = sorted(zip(map(int, column(rows, "申请号")), column(rows, "申请日期"), strict=True))
    assert [d for _, d in by_number] == sorted(d for _, d in by_number)


def test_the_truth_of_holdings_is_what_the_feed_says(watched):
    said = Counter()
    for r in watched.rows["shareholders"]:
        for subject, investor, person, share, event, on in zip(
            r.subject, *(r.columns[h].to_pylist() for h in ("股东统一社会信用代码", "股东证件摘要", "出资比例", "变动类型", "生效日期")), strict=True
        ):
            said[int(subject), bool(investor), person, share, event == "退出", on] += 1
    told = Counter()
    for h in truth(watched.city, "holdings"):
        about = (h["company"], h["investor"] is not None, h["person"] or "", f"{h['share'] * 100:.2f}%")
        told[*about, False, str(h["since"])] += 1
        if h["until"] is not None and h["until"] < dt.date(2026, 1, 1):
            told[*about, True, str(h["until"])] += 1
    assert said == told


def test_shares_of_a_company_add_up_on_any_day(watched):
    holdings = truth(watched.city, "holdings")
    for day in (dt.date(2023, 1, 1), dt.date(2025, 12, 31)):
        whole = Counter()
        for h in holdings:
            if h["since"] <= day and (h["until"] is None or h["until"] > day):
                whole[h["company"]] += round(h["share"] * 10000)
        assert set(whole.values()) == {10000}


def test_rings_can_be_found_among_the_delivered_holdings(watched):
    edges = [(h["investor"], h["company"]) for h in truth(watched.city, "holdings") if h["investor"] is not None and h["until"] is None]
    size = len(watched.population)
    graph = csr_matrix((np.ones(len(edges)), tuple(np.array(edges).T)), shape=(size, size))
    _, label = connected_components(graph, connection="strong")
    by_ring = {}
    for r in truth(watched.city, "rings"):
        by_ring.setdefault(r["ring"], set()).add(label[r["company"]])
    assert len(by_ring) >= 3
    assert all(len(labels) == 1 for labels in by_ring.values())


def test_steps_follow_one_another(watched):
    rows = watched.rows
    steps = dict.fromkeys(("受理", "不予受理"))
    first = dict(zip(column(rows["complaint_steps"], "登记编号"), column(rows["complaint_steps"], "结果"), strict=True))
    assert steps.keys() <= set(first.values()) | {"受理"}
    results, disputed = {}, dict(zip(column(rows["complaints"], "登记编号"), column(rows["complaints"], "争议金额"), strict=True))
    for number, step, result, back in zip(*(column(rows["complaint_steps"], h) for h in ("登记编号", "环节", "结果", "挽回损失")), strict=True):
        results.setdefault(number, {})[step] = result
        if back:
            assert float(back) <= float(disputed[number]) + 0.01
    assert all(r.get("初查") != "不予受理" or "办结" not in r for r in results.values())
    decided = {}
    for number, step, day in zip(*(column(rows["enforcement_cases"], h) for h in ("案件编号", "环节", "环节日期")), strict=True):
        decided.setdefault(number, {})[step] = day
    assert all("执行完毕" not in s or s["处罚决定"] <= s["执行完毕"] for s in decided.values())
    for applied, done in zip(column(rows["credit_repairs"], "申请日期"), column(rows["credit_repairs"], "决定日期"), strict=True):
        assert applied < done
    for kind, fine in zip(column(rows["penalties"], "处罚类别"), column(rows["penalties"], "罚款金额（万元）"), strict=True):
        assert ("罚款" in kind) or float(fine) == 0


def test_a_change_lasts(watched):
    """What stood after a change is what the next full record says."""
    after = {}
    for r in watched.rows["registration_changes"]:
        for subject, on, item, new in zip(r.subject, r.day, r.columns["变更事项"].to_pylist(), r.columns["变更后内容"].to_pylist(), strict=True):
            after[int(subject), int(on), item] = new
    checked = Counter()
    for r in watched.rows["registration_subjects"]:
        for subject, on, capital, name, leader in zip(
            r.subject, r.day, *(r.columns[h].to_pylist() for h in ("注册资金", "企业名称", "法人代表")), strict=True
        ):
            for item, text in (("注册资本变更", capital), ("名称变更", name), ("法定代表人变更", leader)):
                if (int(subject), int(on), item) in after:
                    assert text == after[int(subject), int(on), item]
                    checked[item] += 1
    assert min(checked.values()) > 5


def test_a_listing_for_want_of_a_report_is_of_somebody_who_did_not_report(watched):
    in_time = set()
    for r in watched.rows["annual_reports"]:
        in_time |= {(int(s), text[:4]) for s, text in zip(r.subject, r.columns["报送日期"].to_pylist(), strict=True)}
    listed = 0
    for feed, header in (("abnormal_list", "列入"), ("individual_marks", "标记")):
        for r in watched.rows[feed]:
            for s, on, why in zip(r.subject, r.columns[f"{header}日期"].to_pylist(), r.columns[f"{header}原因"].to_pylist(), strict=True):
                if "年度报告" in why:
                    assert (int(s), on[:4]) not in in_time
                    listed += 1
    assert listed > 50


def test_bursts_are_as_the_truth_says(watched):
    added = Counter(d["burst"] for d in truth(watched.city, "demands") if d["burst"] >= 0)
    demands = {
        n: (s, c)
        for r in watched.rows["complaints"]
        for n, s, c in zip(r.columns["登记编号"].to_pylist(), r.subject, r.columns["商品服务类别"].to_pylist(), strict=True)
    }
    for b in truth(watched.city, "bursts"):
        expected = b["added_per_day"] * b["days"]
        assert abs(added[b["burst"]] - expected) < 5 * expected**0.5 + 3
        for d in truth(watched.city, "demands"):
            if d["burst"] == b["burst"]:
                subject, category = demands[d["demand"]]
                assert category == b["category"]
                assert b["subject"] is None or subject == b["subject"]


def test_no_simple_sign_gives_squats_or_nominees_away(watched):
    rows = watched.rows["trademark_applications"]
    squats = {s["application_number"] for s in truth(watched.city, "squats")}
    no_code = [n for n, code in zip(column(rows, "申请号"), column(rows, "申请人代码"), strict=True) if not code]
    assert 0 < sum(n in squats for n in no_code) < len(no_code) / 2
    assert any(code for n, code in zip(column(rows, "申请号"), column(rows, "申请人代码"), strict=True) if n in squats)
    assert len({len(n) for n in column(rows, "申请号")}) == 1
    # Honest persons hold several companies too.
    held, nominees = {}, set()
    for h in truth(watched.city, "holdings"):
        if h["person"]:
            held.setdefault(h["person"], set()).add(h["company"])
            nominees |= {h["person"]} if h["nominee_of"] else set()
    several = {p for p, companies in held.items() if len(companies) > 1}
    assert several - nominees
    assert nominees


def test_the_series_lead_as_the_truth_says(watched):
    by_series = {}
    for m in truth(watched.city, "macro"):
        by_series.setdefault((m["series"], m["lead_quarters"]), []).append((m["driving_state"], m["value"]))
    assert {lead for _, lead in by_series} == {0, 2}
    for series, pairs in by_series.items():
        assert np.corrcoef(np.array(pairs).T)[0, 1] > 0.7, series


def test_squats_bear_on_a_company_that_lives_and_say_how(city):
    subjects = {s["subject"]: s for s in truth(city, "subjects")}
    squats = truth(city, "squats")
    assert len(squats) >= 40
    for s in squats:
        owner = subjects[s["target_subject"]]
        assert owner["died"] is None or owner["died"] > s["filed"]
        assert s["target_trade_name"] in owner["first_name"] + owner["name"]
        assert (s["mark"] == s["target_trade_name"]) == (s["style"] == "identical")


@pytest.mark.parametrize(("subjects", "years", "cadence"), [(1999, 1, "real"), (2000, 0, "real"), (2000, 1, "weekly")])
def test_what_is_no_city_is_refused(subjects, years, cadence):
    with pytest.raises(ValueError, match="主体"):
        parameters(subjects, years, 1, cadence=cadence)
