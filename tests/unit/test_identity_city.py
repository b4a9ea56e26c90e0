"""How well the register's subjects are told apart, against the truth of a city that is drawn afresh each time."""

import datetime as dt
import json
import math
import random
from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from catalog.contract import load_contracts
from catalog.derive import header_bindings
from samples.city.feeds import FEEDS
from samples.city.make import make
from samples.city.parameters import parameters
from spark_jobs.identity import known, ties
from spark_jobs.identity.links import CORRECTED, Key, State, resolve
from spark_jobs.identity.names import parse_name
from spark_jobs.identity.short_names import short_key
from spark_jobs.ingest import land
from spark_jobs.refine import records as records_of_feed
from spark_jobs.refine.parties import party
from spark_jobs.refine.registration import refine_columns

REGISTER, CHANGES = "registration_subjects", "registration_changes"
ARRIVED = dt.date(2026, 1, 20)
# Where a record names several, the one whose it is by the truth.
OTHERWISE = {"shareholders": "subject_party", "branches": "branch_party", "trademark_renewals": "former_registrant_party"}


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """The register's states and the parties of all other records, each with the true subject, and what the changes say of codes."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed and draw {seed}")
    p, folder = parameters(3000, 3, seed, draw=seed, cadence="monthly"), tmp_path_factory.mktemp("drawn")
    # Some codes are corrected in so small a city only if it happens often.
    make(replace(p, rates={**p.rates, "events.recode": 0.004}), folder / "city")
    whose = defaultdict(dict)
    for r in truth(folder, "records"):
        whose[r["feed"], r["part"], r["period"]][r["record"]] = r["subject"]
    sent = {d["file"]: d for d in truth(folder, "deliveries") if d["what"] != "repeated"}
    contracts = load_contracts()
    rows, statements, parties = [], [], []
    for feed in (name for name in FEEDS if f"bronze.{name}" in contracts):
        contract = contracts[f"bronze.{feed}"]
        meant = [c for c in contract.derived_columns if c.party and c.name == OTHERWISE.get(feed, c.name)]
        if feed != REGISTER and not (meant and contract.record_key):
            continue
        for path, as_of, records, texts in delivered(folder, feed):
            if (told := sent.get(str(path.relative_to(folder / "city")))) is None:
                continue
            of = whose[feed, int(path.stem[-2:]) - 1 if "_全量" in path.stem else 0, told["period"]]
            day = dt.date.fromisoformat(as_of)
            if feed == REGISTER:
                r = refine_columns(texts, [ARRIVED] * len(records), [day] * len(records))
            else:
                r = records_of_feed.refine_columns(contract, texts, [ARRIVED] * len(records))
            good = [i for i, (_, values, _) in enumerate(records) if values is not None and not r["reasons"][i]]
            if feed == REGISTER:
                rows += [(of[records[i][0]], state(r, i, day)) for i in good]
            for column in meant:
                said = [[None if c is None else r[c][i] for i in range(len(records))] for c in records_of_feed.party_columns(contract, column)]
                parties += [(feed, of[records[i][0]], party(*(c[i] for c in said))) for i in good if any(c[i] for c in said[:2])]
            if feed == CHANGES:
                columns = {"first_code": "content_before", "second_code": "content_after", "first_name": "subject_name", "day": "approved_on", "link_evidence": "record_id", "own": "credit_code"}  # fmt: skip
                found = [
                    ties.statement({"said": CORRECTED, "second_name": None, "known_at": 1} | {k: r[c][i] for k, c in columns.items()}) for i in good
                ]
                statements += [ties.statement_of(one) for one in found if one]
    return SimpleNamespace(rows=rows, statements=statements, parties=parties)


def truth(folder, name):
    return pq.read_table(folder / "city" / "truth" / f"{name}.parquet").to_pylist()


def delivered(folder, feed):
    contract = load_contracts()[f"bronze.{feed}"]
    for manifest in sorted((folder / "city" / "deliveries" / feed).glob("*.manifest.json")):
        path = manifest.with_name(manifest.name.removesuffix(".manifest.json"))
        records = list(land.records(contract, path, folder))
        texts = {c: [(values or {}).get(c) for _, values, _ in records] for c in header_bindings(contract).values()}
        yield path, json.loads(manifest.read_text())["as_of"], records, texts


def state(r, i, day):
    key = next((Key(r["identifier_kind"][i], v) for v in (r["credit_code"][i], r["registration_number"][i]) if v), None)
    key = key or Key("name", f"{r['normalized_name'][i]}|{r['district_code'][i] or ''}")
    trusted = key.kind == "uscc" and r["identifier_check"][i] in ("passed", "pilot")
    return State(key, r["normalized_name"][i], r["registration_date"][i], r["district_code"][i], trusted, day, 1)


def pairwise(rows, subject_of):
    """(precision, recall) over all pairs of records."""
    pairs = [
        sum(n * (n - 1) // 2 for n in Counter(of).values())
        for of in ([(who, subject_of(s)) for who, s in rows], [subject_of(s) for _, s in rows], [who for who, _ in rows])
    ]
    return pairs[0] / pairs[1], pairs[0] / pairs[2]


def test_records_of_one_subject_come_together_and_of_two_stay_apart(city):
    found = resolve([s for _, s in city.rows], city.statements)
    alone = pairwise(city.rows, lambda s: s.key)
    precision, recall = pairwise(city.rows, lambda s: found.anchors[s.key, s.name])
    print(f"{len(city.rows)} records, {len(city.statements)} corrections: by the key alone {alone}, with ties {(precision, recall)}")
    assert precision >= 0.999
    assert recall >= 0.98
    assert recall > alone[1], "ties are worth their trouble"


def test_no_subject_has_two_checked_codes_without_a_correction(city):
    found = resolve([s for _, s in city.rows], city.statements)
    corrected = {key for s in city.statements for key in (s.first, s.second)}
    codes = defaultdict(set)
    for _, s in city.rows:
        if s.trusted:
            codes[found.anchors[s.key, s.name]].add(s.key)
    assert [c for c in codes.values() if len(c) > 1 and not c <= corrected] == []
    assert any(len(c) > 1 for c in codes.values()), "some codes are corrected in this city"


def test_records_of_other_feeds_find_their_subject(city):
    """By each way in which a party is looked up, in how many of a hundred its subject is the right one."""
    found = resolve([s for _, s in city.rows], city.statements)
    votes, under, called, shortly = (
        defaultdict(Counter),
        defaultdict(set),
        defaultdict(lambda: defaultdict(set)),
        defaultdict(lambda: defaultdict(set)),
    )
    for who, s in city.rows:
        anchor = found.anchors[s.key, s.name]
        votes[anchor][who] += 1
        called[s.name][anchor].add(s.district)
        if parse_name(s.name).trade_name:
            shortly[short_key(s.name)][anchor].add((s.name, s.district))
    for row in found.keys:
        under[row.key].add(row.anchor)
    subject = {anchor: of.most_common(1)[0][0] for anchor, of in votes.items()}
    registered = {who for who, _ in city.rows}
    by_basis = defaultdict(Counter)
    for feed, true, said in city.parties:
        if said is None:  # what it says is taken for the name of a person, or says too little
            by_basis["nobody"]["missed" if true in registered else "right"] += 1
            continue
        row = {"key_kind": said.kind, "key_value": said.value, "is_trusted": said.trusted, "normalized_name": said.name, "short_name": said.short_name, "district_code": said.district}  # fmt: skip
        basis, anchor = known.belongs(row, under[Key(said.kind, said.value)], called[said.name], shortly[said.short_name])
        got = subject.get(anchor)
        right = got == true if got is not None else None if true in registered else True
        by_basis[basis][{True: "right", False: "wrong", None: "missed"}[right]] += 1
        assert feed != "trademark_applications" or true in registered or got is None, "a stranger is nobody of the city"
    for basis, of in sorted(by_basis.items()):
        given = of["right"] + of["wrong"]
        print(f"{basis}: {dict(of)}, right of those given {wilson(of['right'], given)}")
    total = sum(by_basis.values(), Counter())
    print(f"recall {total['right'] / total.total():.4f} {wilson(total['right'], total.total())}")
    assert total["wrong"] <= 0.001 * (total["right"] + total["wrong"])
    assert total["right"] >= 0.98 * total.total()
    assert by_basis["name"]["right"] > 100 < by_basis["short_name"]["right"], "each way is worth its trouble"


def wilson(right, of):
    """The 95 % interval of a share (E. B. Wilson, JASA 22, 1927)."""
    z, p = 1.96, right / max(of, 1)
    middle, half = p + z * z / 2 / max(of, 1), z * math.sqrt(p * (1 - p) / max(of, 1) + (z / 2 / max(of, 1)) ** 2)
    return tuple(round((middle + sign * half) / (1 + z * z / max(of, 1)), 4) for sign in (-1, 1))
