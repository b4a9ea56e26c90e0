"""The sandbox city: the same seed gives the same bytes, what was delivered is what the truth says, and it shares nothing with the pipeline."""

import ast
import csv
import datetime as dt
import hashlib
import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from catalog.contract import load_contracts
from infra.settings import REPO
from samples.city import make as making
from samples.city.deliveries import delivery
from samples.city.dirt import KINDS
from samples.city.feeds import FEEDS
from samples.city.make import make
from samples.city.parameters import parameters, stated
from spark_jobs.ingest import formats, land, readers
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.registration import INPUTS, refine_columns

SUBJECTS, YEARS, SEED = 4000, 2, 11
PIPELINE = ("catalog", "dags", "dbt", "expectations", "infra", "spark_jobs", "superset")


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    target = tmp_path_factory.mktemp("city") / "one"
    make(parameters(SUBJECTS, YEARS, SEED, cadence="monthly"), target)
    return target


def deliveries(city, feed):
    """Files of a feed in the order of their business days, with what their manifests say; the corrected one in the place of the wrong one."""
    found = {}
    for path in sorted((city / "deliveries" / feed).iterdir()):
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
    make(parameters(SUBJECTS, YEARS, SEED, cadence="monthly"), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(city)


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
        # Of a small city the noise counts: 400 stands for the number behind a share.
        noise = 0.0 if name.startswith("stock") else 4 * (claim["published"] * max(1 - claim["published"], 0.1) / 400) ** 0.5
        assert abs(claim["made"] - claim["published"]) <= 0.02 * claim["published"] + noise, (name, claim)


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
    assert files
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
    for feed in FEEDS.values():
        sent = sum(says["rows"] for path, says in deliveries(city, feed.name) if "_全量" not in path.name)
        if feed.name != "control_totals":
            assert stated_totals[feed.chinese] == sent + unsent[feed.name], feed.name


def test_damage_stands_where_the_truth_says_and_a_rule_sees_what_it_can_see_and_nothing_else(city, tmp_path):
    """The one feed that the pipeline takes today, through its own reader and rules."""
    contract, feed = load_contracts()["bronze.registration_subjects"], FEEDS["registration_subjects"]
    p = parameters(SUBJECTS, YEARS, SEED, cadence="monthly")
    damage = {(delivery(p, feed, d["period"]).as_of.isoformat(), d["record"]): d for d in truth(city, "damage") if d["feed"] == feed.name}
    seen, harmed = Counter(), Counter()
    for path, says in deliveries(city, feed.name):
        records = list(land.records(contract, path, tmp_path))
        texts = {c: [(values or {}).get(c) for _, values, _ in records] for c in INPUTS}
        refined = refine_columns(texts, [dt.date(2026, 1, 1)] * len(records), [None] * len(records))
        for place, (number, values, _) in enumerate(records):
            known = damage.pop((says["as_of"], number), None)
            set_aside = values is None or bool(refined["reasons"][place])
            if known is None or KINDS[known["kind"]] != "visible":
                assert not set_aside, (path.name, number, values)
            else:
                harmed[known["kind"]] += 1
                seen[known["kind"]] += set_aside or bool(refined["quality_marks"][place])
    assert damage == {}
    assert seen == harmed
    assert sum(seen.values()) > 10


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
        assert "range" not in entry or entry["status"] != "published", name


def test_squats_bear_on_a_living_company_and_say_how(city):
    subjects = {s["subject"]: s for s in truth(city, "subjects")}
    squats = truth(city, "squats")
    assert len(squats) >= 40
    for s in squats:
        owner = subjects[s["target_subject"]]
        assert owner["died"] is None or owner["died"] > s["filed"]
        assert s["target_trade_name"] in owner["first_name"]
        assert (s["mark"] == s["target_trade_name"]) == (s["style"] == "identical")


@pytest.mark.parametrize(("subjects", "years", "cadence"), [(1999, 1, "real"), (2000, 0, "real"), (2000, 1, "weekly")])
def test_what_is_no_city_is_refused(subjects, years, cadence):
    with pytest.raises(ValueError, match="主体"):
        parameters(subjects, years, 1, cadence=cadence)
