"""What follows from a contract is exactly this."""

import re
from dataclasses import replace

import pytest

from catalog.contract import load_contracts
from catalog.derive import (
    all_tables,
    bronze_columns,
    checksum_since,
    checksum_sql,
    column_mask,
    contents_sql,
    create_table_sql,
    event_sql,
    header_bindings,
    physical_columns,
    quarantine_of,
    records_of,
    required_headers,
    spark_schema,
    statement_order_sql,
    statistics_columns,
    table_name,
    tracked,
    trino_rules,
    view_comments,
)
from catalog.properties import Kind

ROLES = ["analyst", "leader", "steward", "supervisor", "district", "operator", "publisher"]


@pytest.fixture(scope="module")
def contracts():
    return load_contracts()


def test_create_table_sql_is_exact(contracts):
    assert (
        create_table_sql(contracts["silver.ref_area"], {"delta.logRetentionDuration": "interval 30 days", "delta.appendOnly": "false"})
        == """\
CREATE TABLE IF NOT EXISTS silver_tables.ref_area (
  area_code STRING NOT NULL COMMENT '行政区划代码：县级及县级以上行政区划的六位数字代码',
  area_name STRING NOT NULL COMMENT '行政区划名称：该代码在有效期内的行政区划名称',
  parent_area_code STRING COMMENT '上级行政区划代码：所属上一级行政区划的代码；省级为空',
  start_year INT NOT NULL COMMENT '启用年份：该代码与名称开始有效的年份（含）',
  end_year INT COMMENT '停用年份：该代码与名称停止有效的年份（不含）；为空表示现行有效',
  successors STRING COMMENT '变更去向：变更后的区划，JSON 数组，元素为 code（代码）、time（停用之前部分划出的年份，仅部分划出时有）、desc（变更说明编号）'
)
USING DELTA
COMMENT '行政区划代码（含历史）：GB/T 2260 县级及县级以上行政区划代码，1981 年以来各代码的有效期和变更去向。\
每行是一个行政区划代码与名称的一段有效期，自启用年份（含）至停用年份（不含）。'
TBLPROPERTIES ('delta.appendOnly' = 'false', 'delta.logRetentionDuration' = 'interval 30 days')"""
    )


def test_text_in_sql_is_quoted(contracts):
    sql = create_table_sql(contracts["silver.ref_area"], {"it's": "a\\b"})
    assert r"TBLPROPERTIES ('it\'s' = 'a\\b')" in sql


def test_no_properties_no_clause(contracts):
    assert "TBLPROPERTIES" not in create_table_sql(contracts["silver.ref_area"], {})


def test_table_names(contracts):
    assert table_name(contracts["bronze.registration_subjects"]) == "bronze.registration_subjects"
    assert table_name(contracts["gold.archive_subject"]) == "gold_tables.archive_subject"
    assert table_name(contracts["ops.releases"]) == "ops_tables.releases"
    assert table_name(contracts["silver.ref_area"]) == "silver_tables.ref_area"


def test_spark_schema(contracts):
    assert spark_schema(contracts["gold.mart_registrations_monthly"]) == (
        "registration_month DATE NOT NULL, district_code STRING, district_name STRING NOT NULL, subject_category STRING NOT NULL, "
        "enterprise_type STRING NOT NULL, industry_section STRING, industry_section_name STRING NOT NULL, subjects BIGINT NOT NULL, "
        "subjects_with_capital BIGINT NOT NULL, registered_capital_total DECIMAL(28,2), marked_subjects BIGINT NOT NULL, as_of DATE NOT NULL, "
        "value_kind STRING NOT NULL"
    )


def test_a_quarantine_is_bronze_with_reasons(contracts):
    feed = contracts["bronze.registration_subjects"]
    quarantine = quarantine_of(feed)
    assert quarantine.id == "silver.registration_subjects_quarantine"
    assert [c.name for c in quarantine.columns] == [*(c.name for c in bronze_columns(feed)), "reasons"]
    assert quarantine.column("reasons").required
    assert (quarantine.kind, quarantine.layer) == (Kind.QUARANTINE, "silver")
    assert table_name(quarantine) == "silver_tables.registration_subjects_quarantine"
    assert spark_schema(quarantine) == f"{spark_schema(feed)}, reasons ARRAY<STRING> NOT NULL"
    assert (quarantine.inputs, quarantine.readers, quarantine.retention_years) == ((feed.id,), feed.readers, feed.retention_years)
    assert list(view_comments(quarantine)["columns"])[-2:] == ["reasons", "release_id"]
    for text in (quarantine.chinese, quarantine.description, quarantine.grain, quarantine.purpose, quarantine.limitations):
        assert re.search(r"[\u4e00-\u9fff]", text)
    assert quarantine.chinese == "商事登记主体基本信息（隔离）"
    assert quarantine.grain.startswith("每行是")


def test_a_quarantine_has_its_own_rules_not_those_of_the_feed(contracts):
    quarantine = quarantine_of(contracts["bronze.registration_subjects"])
    assert {(r.id, r.metric, r.columns, r.operator, r.threshold, r.severity) for r in quarantine.rules} == {
        ("registration_subjects_quarantine_reasons_present", "nullValues", ("reasons",), "mustBe", 0, "fail"),
        ("registration_subjects_quarantine_key", "duplicateValues", ("delivery_id", "row_number"), "mustBe", 0, "fail"),
    }
    assert quarantine.keys == ("delivery_id", "row_number")


def test_only_a_feed_has_a_quarantine(contracts):
    with pytest.raises(ValueError, match=r"silver\.ref_area is no feed"):
        quarantine_of(contracts["silver.ref_area"])


def test_all_tables_are_the_declared_ones_and_what_follows_from_feeds(contracts):
    tables = all_tables(contracts)
    feeds = {c.name: c for c in contracts.values() if c.layer == "bronze"}
    records = {f"silver.{name}" for name, c in feeds.items() if c.record_key}
    assert set(tables) == {*contracts, *records, *(f"silver.{name}_quarantine" for name in feeds)}
    assert "silver.penalties" in records
    assert "silver.registration_subjects" not in records
    assert list(tables) == sorted(tables)
    assert [identity for identity, c in tables.items() if identity != c.id] == []
    assert all_tables(tables) == tables, "a quarantine has no quarantine of its own, and records have no records"


def test_a_quarantine_is_clear_for_the_steward_alone(contracts):
    rules = trino_rules(all_tables(contracts).values(), ROLES)
    assert access(rules, "steward", "lake", "silver", "registration_subjects_quarantine") == ({"SELECT"}, {})
    assert set(access(rules, "operator", "lake", "silver", "registration_subjects_quarantine")[1]) == {
        "legal_representative",
        "registered_address",
        "raw_line",
    }
    masks = access(rules, "operator", "lake", "silver", "registration_subjects_quarantine")[1]
    assert masks["raw_line"] == "CAST(CASE WHEN raw_line IS NOT NULL THEN '***' END AS varchar)"
    for group in ("analyst", "leader", "supervisor", "nobody"):
        assert access(rules, group, "lake", "silver", "registration_subjects_quarantine") == (set(), {})
    for group in ROLES:
        assert access(rules, group, "lake", "silver_tables", "registration_subjects_quarantine")[0] <= {"SELECT", "GRANT_SELECT"}
        assert (access(rules, group, "lake", "silver_tables", "registration_subjects_quarantine")[0] != set()) == (group == "publisher")


def test_a_checksum_covers_every_stored_column_in_both_engines(contracts):
    for contract in all_tables(contracts).values():
        for engine in ("spark", "trino"):
            sql = checksum_sql(contract, engine)
            named = [sql.find(text) for text in (canonical(c, engine) for c in physical_columns(contract))]
            assert -1 not in named, (contract.id, engine)
            assert named == sorted(named), "each column has its place, so that two exchanged values are seen"
            assert sql.count("'\u2400')") >= len(named), "NULL is told from the empty text"


def canonical(column, engine):
    """What stands for a value, by type; the same text in both engines."""
    text, name = ("STRING" if engine == "spark" else "varchar"), column.name
    if column.type == "TIMESTAMP":
        return (
            f"coalesce(CAST(unix_millis({name}) AS STRING), "
            if engine == "spark"
            else f"coalesce(CAST(CAST(to_unixtime({name}) * 1000 AS bigint) AS "
        )
    if column.type.startswith("ARRAY"):
        size = "size" if engine == "spark" else "cardinality"
        return f"coalesce(concat(CAST({size}({name}) AS {text}), '[', array_join({name}, '\u241e', "
    return f"coalesce(CAST({name} AS {text}), "


def test_checksum_sql_is_exact(contracts):
    area = contracts["silver.ref_area"]
    two = replace(area, columns=(area.column("area_code"), area.column("end_year")))
    assert checksum_sql(two, "spark") == (
        "concat('crc32:', coalesce(CAST(sum(crc32(CAST(concat_ws('\u241f', coalesce(CAST(area_code AS STRING), '\u2400'), "
        "coalesce(CAST(end_year AS STRING), '\u2400')) AS BINARY))) AS STRING), '0'))"
    )
    assert checksum_sql(two, "trino") == (
        "concat('crc32:', coalesce(CAST(sum(crc32(to_utf8(concat_ws('\u241f', coalesce(CAST(area_code AS varchar), '\u2400'), "
        "coalesce(CAST(end_year AS varchar), '\u2400'))))) AS varchar), '0'))"
    )


@pytest.mark.parametrize("engine", ["spark", "trino"])
def test_the_contents_of_a_tracked_table_are_its_keys_and_what_a_run_wrote(contracts, engine):
    archive = contracts["gold.archive_subject"]
    whole, part = (contents_sql(archive, engine, "t", since) for since in (None, 7))
    assert whole == f"SELECT count(*), {checksum_sql(archive, engine)} FROM t"
    every, new = part.split(" CROSS JOIN ")
    for name in ("subject_id", "write_number"):
        assert f"CAST({name} AS" in every
    assert "subject_name" not in every
    assert checksum_sql(archive, engine) in new
    assert "WHERE write_number >= 7)" in new
    assert "';7:'" in part
    # Where a run wrote all of it, the same text comes of one look.
    every = contents_sql(archive, engine, "t", 0)
    assert every.count("FROM t") == 1
    assert f"';0:', {checksum_sql(archive, engine)})" in every
    assert "CAST(write_number AS" in every


def test_only_a_tracked_table_has_contents_since_a_run(contracts):
    assert tracked(contracts["silver.subject_registration"])
    assert not tracked(contracts["silver.ref_area"])
    with pytest.raises(ValueError, match="ref_area does not say"):
        contents_sql(contracts["silver.ref_area"], "spark", "t", 7)


@pytest.mark.parametrize(("checksum", "since"), [("rows-crc32:12;45:crc32:6", 45), ("rows-crc32:12;0:crc32:0", 0), ("crc32:12", None), (None, None)])
def test_a_checksum_says_since_which_run_it_adds_up_in_full(checksum, since):
    assert checksum_since(checksum) == since


def test_what_is_looked_for_by_range_has_statistics(contracts):
    archive = statistics_columns(contracts["gold.archive_subject"])
    assert {"subject_id", "registration_date", "write_number"} <= set(archive)
    assert not {"subject_name", "business_scope", "quality_marks"} & set(archive)


@pytest.mark.parametrize("engine", ["spark", "trino"])
@pytest.mark.parametrize("kind", ["DOUBLE", "FLOAT"])
def test_a_checksum_over_binary_fractions_is_refused(contracts, engine, kind):
    archive = contracts["gold.archive_subject"]
    fraction = replace(archive, columns=(*archive.columns[:2], replace(archive.columns[2], type=kind)))
    with pytest.raises(NotImplementedError, match=r"credit_code: .*use a decimal"):
        checksum_sql(fraction, engine)


def test_bronze_is_text_whatever_is_declared(contracts):
    feed = contracts["bronze.registration_subjects"]
    assert feed.column("registration_date").type == "DATE"
    columns = bronze_columns(feed)
    assert [(c.name, c.type, c.required) for c in columns if not c.reserved] == [
        (name, "STRING", False)
        for name in (
            "subject_name",
            "credit_code",
            "registration_date",
            "enterprise_type",
            "legal_representative",
            "registered_capital_text",
            "business_scope",
            "province_name",
            "region_name",
            "registered_address",
            "industry_name",
            "registration_authority",
            "supervising_authority",
        )
    ]
    assert [(c.name, c.type, c.required) for c in columns if c.reserved] == [
        ("delivery_id", "STRING", True),
        ("row_number", "BIGINT", True),
        ("sheet_name", "STRING", False),
        ("line_number", "BIGINT", False),
        ("arrived_at", "TIMESTAMP", True),
        ("raw_line", "STRING", False),
    ]
    assert spark_schema(feed).startswith("subject_name STRING, credit_code STRING, registration_date STRING, ")
    # Classification stays with the text.
    assert [c.name for c in columns if c.personal] == ["legal_representative", "registered_address", "raw_line"]


def test_only_a_feed_has_a_bronze_shape(contracts):
    with pytest.raises(ValueError, match=r"silver\.ref_area is no feed"):
        bronze_columns(contracts["silver.ref_area"])


def test_headers_bind_by_name_chinese_name_and_synonym(contracts):
    feed = header_bindings(contracts["bronze.registration_subjects"])
    assert feed["统一社会信用代码"] == "credit_code"
    assert feed["法人代表"] == feed["法定代表人"] == feed["legal_representative"] == "legal_representative"
    assert not {"delivery_id", "到达时间", "raw_line"} & set(feed), "a delivery cannot bring a reserved column"
    assert required_headers(contracts["bronze.registration_subjects"]) == ("subject_name", "credit_code", "registration_date", "registered_address")
    area = header_bindings(contracts["silver.ref_area"])
    assert [area[h] for h in ("code", "name", "parent_code", "start_year", "end_year", "successors")] == [
        "area_code",
        "area_name",
        "parent_area_code",
        "start_year",
        "end_year",
        "successors",
    ]


def test_view_comments_cover_the_view(contracts):
    comments = view_comments(contracts["gold.mart_registrations_monthly"])
    assert comments["view"].startswith("市场主体登记情况（月）：")
    assert list(comments["columns"])[-3:] == ["as_of", "value_kind", "release_id"]
    assert comments["columns"]["value_kind"] == (
        "数值性质：数值是观测、估计、预测还是模拟得出（observed=观测值；estimated=估计值；projected=预测值；simulated=模拟值）"
    )
    # A projection brings its own release column, once.
    assert list(view_comments(contracts["ops.releases"])["columns"]).count("release_id") == 1


# --- access rules: evaluated as Trino does (first match wins, whole-name patterns, nothing matching is denied) -----------


def access(rules, group, catalog, schema, table):
    """(privileges, masks by column) of a user of the group."""
    for rule in rules["tables"]:
        wanted = {"group": group, "catalog": catalog, "schema": schema, "table": table}
        if all(re.fullmatch(rule.get(key, ".*"), value) for key, value in wanted.items()):
            return set(rule["privileges"]), {c["name"]: c["mask"] for c in rule.get("columns", [])}
    return set(), {}


@pytest.fixture(scope="module")
def rules(contracts):
    return trino_rules(contracts.values(), ROLES)


@pytest.mark.parametrize("group", ["analyst", "leader", "steward", "operator"])
@pytest.mark.parametrize("schema", ["silver_tables", "gold_tables", "ops_tables", "silver_pinned", "gold_pinned"])
@pytest.mark.parametrize("table", ["mart_registrations_monthly", "mart_registrations_monthly$history", "ref_area", "releases"])
def test_tables_beneath_are_hidden(rules, group, schema, table):
    assert access(rules, group, "lake", schema, table) == (set(), {})
    assert access(rules, group, "lake_publish", schema, table) == (set(), {})


@pytest.mark.parametrize("group", ["analyst", "leader", "steward", "operator"])
def test_the_publishers_catalog_is_the_publishers(rules, group):
    for schema, table in (("gold", "mart_registrations_monthly"), ("bronze", "registration_subjects"), ("ops", "releases")):
        assert access(rules, group, "lake_publish", schema, table) == (set(), {})


def test_hidden_schemas_are_denied_by_a_rule_not_only_by_silence(rules):
    denials = [rule for rule in rules["tables"] if rule["privileges"] == []]
    assert {"catalog": "lake|lake_publish", "schema": ".*_(tables|pinned)", "privileges": []} in denials
    first_reader = next(i for i, rule in enumerate(rules["tables"]) if rule.get("group") not in (None, "publisher"))
    assert all(rules["tables"].index(rule) < first_reader for rule in denials)


def test_the_publisher_makes_views_and_writes_no_table(rules):
    assert access(rules, "publisher", "lake_publish", "gold", "anything")[0] == {"SELECT", "GRANT_SELECT", "OWNERSHIP"}
    assert access(rules, "publisher", "lake_publish", "gold_pinned", "anything")[0] == {"SELECT", "GRANT_SELECT", "OWNERSHIP"}
    assert access(rules, "publisher", "lake_publish", "gold_tables", "anything")[0] == {"SELECT", "GRANT_SELECT"}
    assert access(rules, "publisher", "lake", "bronze", "registration_subjects")[0] == set()
    assert not {"INSERT", "DELETE", "UPDATE"} & {p for rule in rules["tables"] for p in rule["privileges"]}


FEEDS = {c.id for c in load_contracts().values() if c.layer == "bronze"}
THEMES = {
    "gold.archive_complaint",
    "gold.archive_credit",
    "gold.archive_enforcement",
    "gold.archive_exit",
    "gold.archive_property",
    "gold.archive_relations",
}
GOLD = THEMES | {
    f"gold.{n}"
    for n in (
        "activity_monthly",
        "archive_links",
        "archive_private",
        "archive_subject",
        "archive_timeline",
        "economy_backtest",
        "economy_forecast",
        "economy_indicators",
        "economy_monthly",
        "mart_exits_monthly",
        "mart_registrations_monthly",
        "mart_subject_marks_monthly",
        "trademark_alerts",
        "trademark_monthly",
        "trademark_ranking",
    )
}
CITY_WIDE = {
    f"gold.{n}"
    for n in (
        "activity_outcome",
        "activity_weights",
        "development_index",
        "development_leads",
        "development_test",
        "economy_headlines",
        "economy_map",
    )
}
# What is said of each subject is for those who look after it.
OF_EACH = {"gold.activity_subject", "gold.trademark_marks", "gold.trademark_rights"}
# Not for those who look after single subjects.
PAIRS = {"gold.trademark_pairs"}
SENT = {
    "ops.rectification_items",
    "ops.deliveries",
    "ops.delivery_calendar",
    "ops.reconciliation",
    "ops.quality_scores",
    "ops.quality_anomalies",
    "ops.trademark_feedback",
}
OPS = SENT | {"ops.delivery_findings", "ops.quality_results", "ops.releases"}
CODES = {"silver.ref_area", "silver.ref_industry", "silver.ref_quality_rule"}
FACTS = {"silver.subject_registration", "silver.subject_key", "silver.party"}
MAPPINGS = {"silver.mapping_use", "silver.mapping_status", "silver.unmapped_value"}
PROBLEMS = {"silver.quality_problem", "ops.quality_problems", "ops.rectification_records", "ops.rectification_events"}
PROFILES = {"ops.column_profiles"}
# Stewards and operators keep the lake in order, and read the same.
KEEPERS = (
    GOLD
    | CITY_WIDE
    | OF_EACH
    | PAIRS
    | OPS
    | CODES
    | FACTS
    | MAPPINGS
    | PROBLEMS
    | PROFILES
    | FEEDS
    | {"silver.identity_link", "silver.identity_review"}
)


@pytest.mark.parametrize(
    ("group", "readable"),
    [
        ("analyst", GOLD | CITY_WIDE | OF_EACH | PAIRS | OPS | PROFILES | CODES | FACTS),
        ("leader", GOLD | CITY_WIDE | OPS | (CODES - {"silver.ref_area"})),
        ("steward", KEEPERS),
        ("operator", KEEPERS),
        (
            "supervisor",
            GOLD | CITY_WIDE | OF_EACH | FACTS | (CODES - {"silver.ref_area"}) | {"silver.identity_link", "silver.identity_review"} | SENT,
        ),
        ("nobody", set()),
    ],
)
def test_readers_read_what_the_contract_says(contracts, rules, group, readable):
    granted = {name for name, c in contracts.items() if access(rules, group, "lake", c.layer, c.name)[0]}
    assert granted == readable
    assert all(access(rules, group, "lake", c.layer, c.name)[0] <= {"SELECT"} for c in contracts.values())


def district_rule(rules, group, table):
    (found,) = [r for r in rules["tables"] if r.get("group") == group and r["table"] == table]
    return found


def test_a_district_office_reads_the_rows_of_its_district_alone(contracts):
    rules = trino_rules(contracts.values(), ROLES, ["440106", "440111", "440106"])
    offices = {r["group"] for r in rules["tables"] if "district" in r.get("group", "")}
    assert offices == {"district_440106", "district_440111"}
    for group in offices:
        granted = {i for i, c in contracts.items() if access(rules, group, "lake", c.layer, c.name)[0]}
        assert granted == GOLD | OF_EACH
        assert all("filter" in r for r in rules["tables"] if r.get("group") == group)
    own = district_rule(rules, "district_440106", "archive_subject")
    assert own["filter"] == "district_code = '440106' OR supervising_district_code = '440106'"
    assert {c["name"] for c in own["columns"]} == {"legal_representative", "registered_address"}
    assert (
        district_rule(rules, "district_440106", "archive_complaint")["filter"] == "subject_id IN (SELECT subject_id FROM lake.gold.archive_subject)"
    )
    assert access(rules, "district", "lake", "gold", "archive_subject") == (set(), {}), "nobody reads all of it by the role alone"


def test_an_archive_shows_people_to_the_steward_alone(rules):
    assert access(rules, "steward", "lake", "gold", "archive_subject")[1] == {}
    for group in ("analyst", "leader", "supervisor", "operator"):
        assert set(access(rules, group, "lake", "gold", "archive_subject")[1]) == {"legal_representative", "registered_address"}


def test_bronze_history_is_not_readable(rules):
    assert access(rules, "steward", "lake", "bronze", "registration_subjects$history") == (set(), {})


def test_personal_columns_are_masked_for_all_but_the_steward(rules):
    assert access(rules, "steward", "lake", "bronze", "registration_subjects") == ({"SELECT"}, {})
    masks = access(rules, "operator", "lake", "bronze", "registration_subjects")[1]
    assert masks == {
        name: f"CAST(CASE WHEN {name} IS NOT NULL THEN '***' END AS varchar)" for name in ("legal_representative", "registered_address", "raw_line")
    }


def test_a_mask_has_the_type_of_its_column(contracts):
    assert column_mask(contracts["gold.mart_registrations_monthly"].column("subjects")) == "CAST(NULL AS bigint)"
    assert column_mask(contracts["gold.archive_subject"].column("capital_rate_year")) == "CAST(NULL AS integer)"
    assert column_mask(contracts["ops.releases"].column("published_at")) == "CAST(NULL AS timestamp(3) with time zone)"


def test_roles_must_be_known(contracts):
    with pytest.raises(ValueError, match="publisher is missing"):
        trino_rules(contracts.values(), ["analyst"])
    with pytest.raises(ValueError, match=r"gold\.activity_monthly: readers leader are no roles"):
        trino_rules(contracts.values(), [role for role in ROLES if role != "leader"])


def test_an_event_says_its_columns_in_the_words_of_a_reader(contracts):
    of = {(e.feed, e.event): event_sql(contracts[f"bronze.{e.feed}"], e) for e in contracts["gold.archive_timeline"].events}
    ended = of["registration_cancellations", "退出或恢复登记"]
    assert (ended["party"], ended["occurred_on"]) == ("subject_party", "exited_on")
    assert "concat('退出类型：', CASE exit_kind WHEN 'deregistered' THEN '注销' " in ended["summary"]
    fined = of["penalties", "行政处罚"]["summary"]
    assert "concat('罚款金额：', concat(format_number(fine_amount, 2), ' 元'))" in fined
    assert "concat('出资比例：', concat(format_number(holding_ratio * 100, 2), '%'))" in of["shareholders", "股东出资变动"]["summary"]
    assert "CASE WHEN is_suspected THEN '是' WHEN NOT is_suspected THEN '否' END" in of["advertising", "广告监测"]["summary"]
    lodged = of["complaints", "被投诉举报"]
    assert lodged["party"] == "respondent_party"
    assert "'Asia/Shanghai'" in lodged["occurred_on"], "of a time the day in China, whatever the session's clock"


def test_statements_of_an_exchange_feed_are_ordered_by_when_its_source_changed_them(contracts):
    assert statement_order_sql(records_of(contracts["bronze.other_penalties"])).startswith(
        "coalesce(unix_millis(source_changed_at), CAST(source_revision"
    )
    assert statement_order_sql(records_of(contracts["bronze.penalties"])).startswith("CAST(source_revision")
