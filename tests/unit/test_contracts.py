"""The contracts are valid, and everything that must not pass does not."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from open_data_contract_standard.model import SchemaProperty

from catalog.contract import CONTRACTS, FIELDS, RESERVED, Contract, ContractError, _of_whole_text, load_contracts, load_fields, resolved
from catalog.derive import records_of
from catalog.properties import Kind
from spark_jobs.refine import districts

MART = "gold/mart_registrations_monthly.yaml"
FEED = "bronze/registration_subjects.yaml"
AREA = "silver/ref_area.yaml"
TIMELINE = "gold/archive_timeline.yaml"


@pytest.fixture(scope="module")
def contracts():
    return load_contracts()


# --- valid ------------------------------------------------------------------------------------------------------------


def test_every_file_is_a_contract_and_every_contract_is_named_by_its_path(contracts):
    files = {f"{path.parent.name}.{path.stem}" for path in CONTRACTS.rglob("*") if path.is_file()}
    assert files == set(contracts)
    assert {"bronze.registration_subjects", "silver.ref_area", "gold.mart_registrations_monthly"} <= files


def test_names_over_all_declarations(contracts):
    snake = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    names = [name for c in contracts.values() for name in (c.name, *(column.name for column in c.columns))] + list(load_fields())
    assert [name for name in names if not snake.fullmatch(name) or len(name) > 40] == []
    # A name that differs from another only by its underscores or a plural s is the same thing written twice.
    folded: dict[str, set[str]] = {}
    for name in load_fields():
        folded.setdefault(name.replace("_", "").removesuffix("s"), set()).add(name)
    assert [group for group in folded.values() if len(group) > 1] == []


def test_chinese_names_are_chinese_and_distinct(contracts):
    tables = [c.chinese for c in contracts.values()]
    assert len(set(tables)) == len(tables)
    fields = [field.zh for field in load_fields().values()]
    assert len(set(fields)) == len(fields), "two fields of one Chinese name: use one of them, or name the difference"
    for contract in contracts.values():
        for column in contract.columns:
            assert re.search(r"[\u4e00-\u9fff]", column.chinese), f"{contract.id}.{column.name}"
            assert re.search(r"[\u4e00-\u9fff]", column.meaning), f"{contract.id}.{column.name}"


def test_no_field_is_without_use(contracts):
    used = {column.name for c in contracts.values() for column in (*c.columns, *c.derived_columns)} | {"release_id", "reasons"}
    reserved = {name for columns in RESERVED.values() for name, _, _ in columns}
    assert sorted(set(load_fields()) - used - reserved) == []


def test_every_table_has_its_reserved_columns(contracts):
    for contract in contracts.values():
        names = [column.name for column in contract.columns]
        assert set(names) >= {name for name, _, _ in RESERVED[contract.kind]}, contract.id
        assert len(set(names)) == len(names)


def test_a_feed_is_keyed_by_delivery_and_row_and_states_its_rules_itself(contracts):
    feed = contracts["bronze.registration_subjects"]
    assert feed.keys == ("delivery_id", "row_number")
    assert {rule.id for rule in feed.rules if rule.severity == "quarantine"} == {
        "subject_name_present",
        "subject_name_legible",
        "columns_aligned",
        "subject_identifiable",
        "credit_code_no_resident_id",
        "registration_date_present",
        "registration_date_real",
        "registration_date_not_future",
    }


def test_a_mart_has_rules_from_its_columns(contracts):
    mart = contracts["gold.mart_registrations_monthly"]
    rules = {rule.id: rule for rule in mart.rules}
    assert rules["mart_registrations_monthly_key"].columns == (
        "registration_month", "district_name", "subject_category", "enterprise_type", "industry_section_name",
    )  # fmt: skip
    assert rules["subjects_present"].severity == "fail"
    assert rules["value_kind_known"].dimension == "规范性"
    assert rules["mart_registrations_monthly_rows"].operator == "mustBeGreaterThan"


def test_a_fact_gets_identity_and_both_times(tmp_path):
    # The key of a fact is its delivery and row.
    problems = broken(tmp_path, AREA, lambda c: set_custom(c, "kind", "fact") or [p.pop("primaryKey", None) for p in table(c)["properties"]])
    assert problems == []
    fact = load_contracts(tmp_path / "contracts", tmp_path / "fields.yaml")["silver.ref_area"]
    assert fact.kind is Kind.FACT
    reserved = ["subject_id", "effective_from", "known_at", "delivery_id", "row_number", "value_kind", "write_number"]
    assert [column.name for column in fact.columns][-7:] == reserved


@pytest.mark.parametrize(
    ("file", "pattern", "message"),
    [
        (FEED, "([0-9]{4})", "exactly the named groups y, m and d"),
        (FEED, "(?P<y>[0-9]{4})(?P<m>[0-9]{2})", "exactly the named groups y, m and d"),
        (FEED, "(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?P<h>[0-9]{2})", "exactly the named groups y, m and d"),
        (FEED, "(?P<y>[0-9]{4}", "fileNameDate is no regular expression"),
        (MART, "(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})", "fileNameDate belongs to a feed"),
    ],
)
def test_a_pattern_of_dates_in_file_names_is_checked(tmp_path, file, pattern, message):
    problems = broken(tmp_path, file, lambda c: set_custom(c, "fileNameDate", pattern))
    assert [message in p and p.startswith(file) for p in problems] == [True], problems


def test_a_pattern_of_dates_in_file_names_is_kept(tmp_path):
    pattern = "_(?P<d>[0-9]{2})(?P<m>[0-9]{2})(?P<y>[0-9]{4})"
    assert broken(tmp_path, FEED, lambda c: set_custom(c, "fileNameDate", pattern)) == []
    contracts = load_contracts(tmp_path / "contracts", tmp_path / "fields.yaml")
    assert contracts["bronze.registration_subjects"].file_name_date == pattern
    assert {c.layer for c in contracts.values() if c.file_name_date} == {"bronze"}


def test_the_values_of_districts_are_those_that_are_found():
    found = [value for value in vars(districts).values() if isinstance(value, districts.District)]
    assert set(load_fields()["district_reason"].allowed) == {district.reason for district in found}
    assert {district.confidence for district in found} <= set(load_fields()["district_confidence"].allowed)


def test_personal_columns_are_classified(contracts):
    feed = contracts["bronze.registration_subjects"]
    assert [column.name for column in feed.columns if column.personal] == ["legal_representative", "registered_address", "raw_line"]


def properties(contract: Contract) -> dict[str | None, SchemaProperty]:
    (table,) = resolved(contract).schema_ or []
    return {p.name: p for p in table.properties or []}


def test_resolved_contract_states_what_the_file_inherits(contracts):
    by_name = properties(contracts["gold.mart_registrations_monthly"])
    assert by_name["subjects"].businessName == "市场主体数"
    assert by_name["subjects"].physicalType == "BIGINT"
    assert by_name["as_of"].required is True
    assert properties(contracts["bronze.registration_subjects"])["registration_date"].physicalType == "STRING"


# --- broken: each fault is found, and its message names the file and says what to do ----------------------------------


def broken(tmp_path: Path, file: str, change: Callable[[dict[str, Any]], Any], fields: Callable[[dict[str, Any]], Any] | None = None) -> list[str]:
    """Problems of the real contracts after one change to one of them (and one to the dictionary)."""
    declared = "".join(p.read_text(encoding="utf-8") for layer in ("silver", "ops") for p in (CONTRACTS / layer).iterdir())
    named = set(re.findall(r"(?:bronze|silver)\.(\w+)", declared))
    others = [p.name for p in (CONTRACTS / "bronze").iterdir() if p.name != Path(file).name and p.stem not in named]
    # The timeline names most feeds; without it there are no archives of themes, nor what is counted from these.
    gold = {p.stem: p.read_text(encoding="utf-8") for p in (CONTRACTS / "gold").iterdir()}
    feeds = "|".join(Path(name).stem for name in others)
    on = [name for name, text in gold.items() if "tellsOf" in text or re.search(rf"silver\.({feeds})\b", text)]
    for name in on:  # which grows: what rests on what rests on them
        on += [other for other, text in gold.items() if other not in on and re.search(rf"gold\.{name}\b", text)]
    resting = [f"{name}.yaml" for name in on]
    others = [] if file == TIMELINE or Path(file).name in resting else [*others, Path(TIMELINE).name, *resting]
    shutil.copytree(CONTRACTS, tmp_path / "contracts", ignore=shutil.ignore_patterns(*others))
    shutil.copy(FIELDS, tmp_path / "fields.yaml")
    for path, edit in ((tmp_path / "contracts" / file, change), (tmp_path / "fields.yaml", fields)):
        if edit is not None:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            edit(content)
            path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    try:
        load_contracts(tmp_path / "contracts", tmp_path / "fields.yaml")
    except ContractError as error:
        return error.problems
    return []


def event_of(contract: dict[str, Any], feed: str) -> dict[str, Any]:
    return next(e for e in custom(contract, "events") if e["feed"] == feed)


def column(contract: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p for p in contract["schema"][0]["properties"] if p["name"] == name)


def set_custom(holder: dict[str, Any], name: str, value: Any) -> None:
    kept = [p for p in holder.get("customProperties", []) if p["property"] != name]
    holder["customProperties"] = [*kept, {"property": name, "value": value}]


def custom(holder: dict[str, Any], name: str) -> Any:
    return next(p["value"] for p in holder["customProperties"] if p["property"] == name)


def event(contract: dict[str, Any], **changes: Any) -> None:
    first = custom(contract, "events")[0]
    assert first["feed"] == "registration_changes"
    first.update(changes)


def drop_custom(holder: dict[str, Any], name: str) -> None:
    holder["customProperties"] = [p for p in holder["customProperties"] if p["property"] != name]


def rule(contract: dict[str, Any], name: str) -> dict[str, Any]:
    return column(contract, name)["quality"][0]


def table(contract: dict[str, Any]) -> dict[str, Any]:
    return contract["schema"][0]


FAULTS: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "id": (MART, lambda c: c.update(id="gold.other"), "write 'gold.mart_registrations_monthly'"),
    "version": (MART, lambda c: c.update(version="1"), "write it as 1.0.0"),
    "unknown top key": (MART, lambda c: c.update(ownner="x"), "'ownner' was unexpected"),
    "misspelt nested key": (MART, lambda c: column(c, "subjects").update(requried=True), "'requried' was unexpected"),
    "no Chinese table name": (MART, lambda c: table(c).pop("businessName"), "schema/0/businessName: a Chinese text is missing"),
    "no grain": (MART, lambda c: table(c).pop("dataGranularityDescription"), "dataGranularityDescription: a Chinese text is missing"),
    "no grain sentence": (MART, lambda c: table(c).update(dataGranularityDescription="按年"), "start the grain sentence with 每行是"),
    "no owner": (MART, lambda c: c.pop("team"), "team/name: a Chinese text is missing"),
    "no English name": (MART, lambda c: drop_custom(c, "englishName"), "englishName: Field required"),
    "no supplying department": (MART, lambda c: drop_custom(c, "supplyingDepartment"), "supplyingDepartment: Field required"),
    "unknown custom property": (MART, lambda c: set_custom(c, "colour", "red"), "colour: Extra inputs are not permitted"),
    "repeated custom property": (MART, lambda c: c["customProperties"].append({"property": "kind", "value": "mart"}), "kind is given twice"),
    "sharing without condition": (MART, lambda c: drop_custom(c, "sharingCondition"), "sharingCondition is stated exactly where"),
    "unknown sharing": (MART, lambda c: set_custom(c, "sharing", "共享"), "Input should be '无条件共享'"),
    "budget of a mart": (MART, lambda c: set_custom(c, "quarantineBudget", 0.2), "quarantineBudget belongs to a feed"),
    "budget of everything": (FEED, lambda c: set_custom(c, "quarantineBudget", 1.0), "less than 1"),
    "wrong layer for the kind": (MART, lambda c: set_custom(c, "kind", "feed"), "feed does not belong into gold; use analysis or mart"),
    "no update cycle": (MART, lambda c: c.update(slaProperties=[{"property": "retention", "value": "永久"}]), "is no update cycle"),
    "no retention": (MART, lambda c: c.update(slaProperties=[{"property": "frequency", "value": "每日"}]), "state the retention"),
    "nobody reads": (MART, lambda c: c.pop("roles"), "nobody may read the table"),
    "unknown reader": (MART, lambda c: c["roles"].append({"role": "public"}), "'public' is no reading role"),
    "analyst reads bronze": (FEED, lambda c: c["roles"].append({"role": "analyst"}), "analyst may not read bronze"),
    "lineage to nowhere": (MART, lambda c: set_custom(c, "inputs", ["silver.nothing"]), "silver.nothing has no contract"),
    "column name": (MART, lambda c: column(c, "subjects").update(name="主体数"), "name the column in ASCII snake_case"),
    "column not in the dictionary": (MART, lambda c: column(c, "subjects").update(name="number_of_firms"), "not in the field dictionary"),
    "column without a type": (MART, lambda c: column(c, "subjects").pop("logicalType"), "column subjects: has no logicalType"),
    "other type": (MART, lambda c: column(c, "subjects").update(physicalType="INT"), "type 'INT' differs from 'BIGINT' in fields.yaml"),
    "other logical type": (MART, lambda c: column(c, "subjects").update(logicalType="string"), "'string' does not fit BIGINT; write 'integer'"),
    "other Chinese name": (MART, lambda c: column(c, "subjects").update(businessName="户数"), "Chinese name '户数' differs"),
    "unknown classification": (MART, lambda c: column(c, "subjects").update(classification="公开"), "classification '公开' is unknown"),
    "laxer classification": (FEED, lambda c: column(c, "legal_representative").update(classification="一般"), "may only be stricter"),
    "code list without edition": (MART, lambda c: drop_custom(column(c, "district_code"), "codeListEdition"), "are given together"),
    "column twice": (MART, lambda c: table(c)["properties"].append(dict(column(c, "subjects"))), "column subjects: declared twice"),
    "no key": (AREA, lambda c: [p.pop("primaryKey", None) for p in table(c)["properties"]], "the table has no key"),
    "nullable key": (AREA, lambda c: column(c, "area_code").pop("required"), "a key column cannot be empty"),
    "key positions": (AREA, lambda c: column(c, "start_year").update(primaryKeyPosition=3), "key positions [1, 3]"),
    "header twice": (FEED, lambda c: column(c, "business_scope").update(synonyms=[{"synonym": "成立日期"}]), "header 成立日期 already stands for"),
    "feed brings a reserved column": (
        FEED,
        lambda c: table(c)["properties"].append({"name": "raw_line", "logicalType": "string"}),
        "a delivery cannot bring it",
    ),
    "feed brings what is derived": (
        "bronze/complaints.yaml",
        lambda c: table(c)["properties"].append({"name": "present_category", "logicalType": "string"}),
        "derived from object_category; a delivery cannot bring it",
    ),
    "feed with a key": (
        FEED,
        lambda c: column(c, "credit_code").update(primaryKey=True, primaryKeyPosition=1),
        "a feed's key is delivery and row number",
    ),
    "exchange without the time of a change": (
        "bronze/control_totals.yaml",
        lambda c: c["customProperties"].append({"property": "exchange", "value": {"table": "share.totals", "overlapMinutes": 5}}),
        "need a column source_changed_at; add it",
    ),
    "exchange of no record": (
        "bronze/registration_subjects.yaml",
        lambda c: c["customProperties"].append({"property": "exchange", "value": {"table": "share.subjects", "overlapMinutes": 5}}),
        "exchange needs a recordKey",
    ),
    "exchange from anything": (
        "bronze/control_totals.yaml",
        lambda c: c["customProperties"].append({"property": "exchange", "value": {"table": "share.t; DROP TABLE x", "overlapMinutes": 5}}),
        "String should match pattern",
    ),
    "days of another unit": (
        "bronze/control_totals.yaml",
        lambda c: c["slaProperties"].append({"property": "latency", "value": 2, "unit": "h"}),
        "whole number (unit: d)",
    ),
    "rule severity": (AREA, lambda c: rule(c, "area_code").update(severity="error"), "severity 'error' is unknown"),
    "rule dimension": (AREA, lambda c: set_custom(rule(c, "area_code"), "dimension", "美观性"), "Input should be '规范性'"),
    "rule without message": (AREA, lambda c: rule(c, "area_code").pop("description"), "a Chinese text is missing"),
    "rule without id": (AREA, lambda c: rule(c, "area_code").pop("id"), "give the rule an id"),
    "rule without bound": (AREA, lambda c: rule(c, "area_code").pop("mustBe"), "quality/0: not ODCS"),
    "rule with a bound that is not used": (
        AREA,
        lambda c: rule(c, "area_code").update(mustBeBetween=[0, 1], mustBe=None) or rule(c, "area_code").pop("mustBe"),
        "state exactly one of mustBe, mustBeGreaterThan",
    ),
    "rule id twice": (AREA, lambda c: rule(c, "area_code").update(id="ref_area_rows"), "the rule id is used twice"),
    "rule argument": (AREA, lambda c: rule(c, "area_code").update(arguments={"regex": "x"}), "takes no argument regex"),
    "rule pattern": (AREA, lambda c: rule(c, "area_code").update(arguments={"pattern": "("}), "pattern is no regular expression"),
    "rule pattern of a part": (AREA, lambda c: rule(c, "area_code").update(arguments={"pattern": "[0-9]{6}"}), "write '^([0-9]{6})$'"),
    "rule says nothing": (AREA, lambda c: rule(c, "area_code").pop("arguments"), "say what is valid"),
    "rule in the wrong place": (AREA, lambda c: rule(c, "area_code").update(metric="rowCount", arguments={}), "belongs to the table"),
    "rule of another column": (
        AREA,
        lambda c: table(c)["quality"][0].update(metric="duplicateValues", arguments={"properties": ["nothing"]}),
        "nothing is no column of this table",
    ),
    "event of no feed": (TIMELINE, lambda c: event(c, feed="nothing"), "nothing is no feed with a recordKey"),
    "event of what is not shared": (TIMELINE, lambda c: event(c, feed="risk_classes", day="assessed_on"), "records of risk_classes are not shared"),
    "event in no section": (TIMELINE, lambda c: event(c, section="news"), "news is no section of an archive"),
    "event without a day": (TIMELINE, lambda c: event(c, day="change_item"), "change_item is no column of registration_changes with a date"),
    "event of nobody": (TIMELINE, lambda c: event(c, party="subject_name"), "subject_name is no column of registration_changes that says who"),
    "event that says nothing": (TIMELINE, lambda c: event(c, says=["nothing"]), "nothing is no column of registration_changes"),
    "event that says too much": (TIMELINE, lambda c: event(c, says=["content_before"]), "content_before is 个人信息; remove it"),
    "event through a feed without a number": (
        TIMELINE,
        lambda c: event_of(c, "complaint_steps").update(through=["annual_reports"]),
        "has no event that says its number",
    ),
    "event through others without its number": (TIMELINE, lambda c: event_of(c, "complaint_steps").pop("number"), "state the number, too"),
    "event through a number that may change": (
        TIMELINE,
        lambda c: event_of(c, "complaints").update(number="respondent_name"),
        "no part of its recordKey",
    ),
    "number that is no column": (TIMELINE, lambda c: event_of(c, "penalties").update(number="penalty"), "number: penalty is no text column"),
    "theme of a feed without events": ("gold/archive_credit.yaml", lambda c: custom(c, "tellsOf").append("inspectors"), "inspectors has no events"),
    "district office without a district": (
        "ops/releases.yaml",
        lambda c: c["roles"].append({"role": "district", "access": "read"}),
        "needs a column district_code",
    ),
    "event said twice": (TIMELINE, lambda c: custom(c, "events").append(dict(custom(c, "events")[0])), "is stated twice; keep one"),
    "event without lineage": (TIMELINE, lambda c: custom(c, "inputs").remove("silver.penalties"), "silver.penalties is missing; add it"),
    "table rule quarantines": (AREA, lambda c: table(c)["quality"][0].update(severity="quarantine"), "cannot set a row aside"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_contract_is_refused(tmp_path, fault):
    file, change, message = FAULTS[fault]
    problems = broken(tmp_path, file, change)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith(file) for problem in problems), "a fault of one file is reported there only"


@pytest.mark.parametrize(
    ("pattern", "whole"),
    [
        ("^[0-9]{20}$", True),
        ("^(甲|乙(丙|丁))$", True),
        ("^(?i:ab|cd)$", True),
        (r"^[|(\]]+$", True),
        ("^[]|]$", True),
        ("^(?!.*[0-9]{7})", True),
        ("^(?!.*(甲|乙))", True),
        ("[0-9]{20}", False),
        ("^[0-9]{20}", False),
        ("[0-9]{20}$", False),
        ("^甲|乙$", False),
        (r"^甲\$", False),
        ("^(甲)", False),
        ("(?!甲)", False),
        ("^(?!甲)乙", False),
        ("^(?=甲)", False),
        ("^", False),
    ],
)
def test_a_pattern_is_about_the_whole_text(pattern, whole):
    """`[0-9]{20}` would let 21 digits pass: rows are searched for it."""
    assert _of_whole_text(pattern) is whole


def test_a_difference_with_a_reason_is_allowed(tmp_path):
    def change(contract):
        subjects = column(contract, "subjects")
        subjects["physicalType"] = "INT"
        set_custom(subjects, "exception", "上游系统只给整型")

    assert broken(tmp_path, MART, change) == []


def test_a_field_of_the_dictionary_is_checked(tmp_path):
    problems = broken(tmp_path, MART, lambda c: None, lambda f: f["subjects"].update(type="NUMBER", unit="户"))
    assert any("fields.yaml: subjects: type" in p for p in problems), problems
    assert any("fields.yaml: subjects: unit: Extra inputs" in p for p in problems), problems


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": "nothing"}, "derived: nothing is no field that a delivery can bring"),
        ({"of": "present_category_basis"}, "derived: present_category_basis is no field that a delivery can bring"),
        ({"code_list": "nothing"}, "derived.code_list: Input should be"),
        ({"gives": "name"}, "derived.gives: Input should be"),
    ],
)
def test_what_a_field_is_derived_from_is_checked(tmp_path, change, message):
    problems = broken(tmp_path, MART, lambda c: None, lambda f: f["present_category"]["derived"].update(change))
    assert any(f"fields.yaml: present_category: {message}" in p for p in problems), problems


def test_what_is_derived_is_as_confidential_as_what_it_is_derived_from(tmp_path):
    complaints = "bronze/complaints.yaml"
    assert broken(tmp_path, complaints, lambda c: column(c, "object_category").update(classification="个人信息")) == []
    feed = load_contracts(tmp_path / "contracts", tmp_path / "fields.yaml")["bronze.complaints"]
    classes = {c.name: c.classification for c in records_of(feed).columns}
    assert (classes["present_category"], classes["respondent_district_code"]) == ("个人信息", "一般")


def test_a_reserved_column_without_a_dictionary_entry_is_found(tmp_path):
    problems = broken(tmp_path, MART, lambda c: None, lambda f: f.pop("value_kind"))
    assert problems == ["fields.yaml: value_kind: the reserved column has no entry; add one"]


def test_a_key_given_twice_in_a_file_is_refused(tmp_path):
    broken(tmp_path, MART, lambda c: None)
    path = tmp_path / "contracts" / MART
    path.write_text(path.read_text(encoding="utf-8") + "version: 2.0.0\n", encoding="utf-8")
    with pytest.raises(ContractError, match="key 'version' is given twice"):
        load_contracts(tmp_path / "contracts", tmp_path / "fields.yaml")


def test_all_problems_are_told_at_once(tmp_path):
    def change(contract):
        contract["version"] = "one"
        contract.pop("roles")
        column(contract, "subjects")["classification"] = "公开"

    assert len(broken(tmp_path, MART, change)) == 3
