"""Dashboards as code: complete, consistent, and saying of a column what its contract says."""

from __future__ import annotations

import copy
import re
import uuid

import pytest

from catalog.contract import load_contracts
from catalog.derive import column_comment, view_columns
from infra import dashboards
from infra.services.superset import assets

FILES = assets.load(dashboards.FOLDER)
CONTRACTS = load_contracts()
ADDRESS = f"trino://superset:{dashboards.MASK}@127.0.0.1:1/lake"


def of_kind(kind, among=FILES):
    return {path: content for path, content in among.items() if assets.kind(path) == kind}


def complete():
    return assets.complete(copy.deepcopy(FILES), CONTRACTS, ADDRESS, {"verify": "/ca.pem"})


def datasets():
    return {asset["uuid"]: asset for asset in of_kind("datasets", complete()).values()}


def names_in(value):
    """Every text in a chart's parameters that stands where Superset expects a column or a metric."""
    keys = ("x_axis", "metric", "metrics", "groupby", "x_axis_sort", "timeseries_limit_metric")
    found = [value.get(key) for key in keys] + [f["subject"] for f in value.get("adhoc_filters", [])]
    flat = [name for entry in found for name in (entry if isinstance(entry, list) else [entry])]
    return {name for name in flat if isinstance(name, str)}


def test_files_are_where_their_kind_belongs_and_have_ids_of_their_own():
    assert set(map(assets.kind, FILES)) == {"databases", "datasets", "charts", "dashboards"}
    uuids = [content["uuid"] for content in FILES.values()]
    assert len(set(uuids)) == len(uuids)
    for path, content in FILES.items():
        assert re.fullmatch(r"[a-z0-9_/]+\.yaml", path)
        assert str(uuid.UUID(content["uuid"])) == content["uuid"]
        assert content["version"] == assets.VERSION


def test_no_password_is_in_git():
    for path, content in FILES.items():
        assert "sqlalchemy_uri" not in content, path
        assert "password" not in str(content).lower(), path


def test_the_database_passes_on_the_user_and_writes_nothing():
    database = FILES[assets.DATABASE]
    assert database["impersonate_user"] is True
    assert [database[k] for k in ("allow_ctas", "allow_cvas", "allow_dml", "allow_csv_upload")] == [False] * 4


@pytest.mark.parametrize("path", of_kind("datasets"))
def test_a_datasets_columns_are_those_of_its_contract(path):
    dataset = complete()[path]
    contract = CONTRACTS[f"{dataset['schema']}.{dataset['table_name']}"]
    plain = {c["column_name"]: c for c in dataset["columns"] if c["expression"] is None}
    assert list(plain) == [c.name for c in view_columns(contract)]
    for column in view_columns(contract):
        assert plain[column.name]["verbose_name"] == column.chinese
        assert plain[column.name]["description"] == column_comment(column)
    labels = {c["column_name"]: c["expression"] for c in dataset["columns"] if c["expression"] is not None}
    assert set(labels) == {f"{c.name}_label" for c in view_columns(contract) if c.allowed or c.type in ("BOOLEAN", "ARRAY<STRING>")}
    for column in view_columns(contract):
        for value, label in column.allowed:
            assert f"WHEN '{value}' THEN '{label}'" in labels[f"{column.name}_label"]


def test_a_dataset_that_repeats_its_contract_is_refused():
    for repeated in ({"columns": []}, {"description": "又说一遍"}):
        files = {path: content | repeated for path, content in of_kind("datasets").items()}
        with pytest.raises(ValueError, match="come from the contract"):
            assets.complete(files, CONTRACTS, ADDRESS, {})


def test_a_timestamp_with_zone_is_offered_for_no_time_filter():
    columns = assets.dataset_columns(CONTRACTS["ops.releases"])
    assert {c["column_name"] for c in columns if c["type"].startswith("TIMESTAMP") and c["is_dttm"]} == set()
    assert any(c["type"].startswith("TIMESTAMP") for c in columns)


@pytest.mark.parametrize("path", of_kind("charts"))
def test_a_chart_asks_only_for_what_its_dataset_has(path):
    chart = FILES[path]
    dataset = datasets()[chart["dataset_uuid"]]
    known = {c["column_name"] for c in dataset["columns"]} | {m["metric_name"] for m in dataset["metrics"]}
    assert names_in(chart["params"]) <= known
    assert chart["params"]["viz_type"] == chart["viz_type"]


@pytest.mark.parametrize("path", of_kind("charts"))
def test_a_chart_answers_a_written_question_of_a_named_reader(path):
    assert re.match(r"读者：[^。]+。问题：.+？", FILES[path]["description"])
    assert re.search(r"[\u4e00-\u9fff]", FILES[path]["slice_name"])


def test_no_number_is_shortened():
    for path, chart in of_kind("charts").items():
        assert "SMART_NUMBER" not in str(chart), path
        if chart["viz_type"] == "echarts_timeseries_bar":
            assert chart["params"]["y_axis_format"] == ",d", path


@pytest.mark.parametrize("path", of_kind("dashboards"))
def test_a_dashboards_parts_fit_together(path):
    board = FILES[path]
    nodes = {key: node for key, node in board["position"].items() if isinstance(node, dict)}
    assert re.fullmatch(r"[a-z0-9-]+", board["slug"])
    for key, node in nodes.items():
        assert node["id"] == key
        for child in node.get("children", []):
            assert key in nodes[child]["parents"]
    reached = {child for node in nodes.values() for child in node.get("children", [])}
    assert set(nodes) - reached == {"ROOT_ID", "HEADER_ID"}
    for row in (n for n in nodes.values() if n["type"] == "ROW"):
        assert sum(nodes[c]["meta"]["width"] for c in row["children"]) == 12
    charts = {c["uuid"]: c["slice_name"] for c in of_kind("charts").values()}
    shown = [n["meta"] for n in nodes.values() if n["type"] == "CHART"]
    assert {m["uuid"]: m["sliceName"] for m in shown}.items() <= charts.items()
    assert len({m["chartId"] for m in shown}) == len(shown)
    for wanted in board["metadata"]["native_filter_configuration"]:
        for target in wanted["targets"]:
            assert target["column"]["name"] in {c["column_name"] for c in datasets()[target["datasetUuid"]]["columns"]}


def test_every_chart_is_on_a_dashboard():
    shown = {
        node["meta"]["uuid"]
        for board in of_kind("dashboards").values()
        for node in board["position"].values()
        if isinstance(node, dict) and node["type"] == "CHART"
    }
    assert shown == {chart["uuid"] for chart in of_kind("charts").values()}


def nodes_of(board, kind_of_node):
    return [node for node in board["position"].values() if isinstance(node, dict) and node["type"] == kind_of_node]


@pytest.mark.parametrize("path", of_kind("dashboards"))
def test_a_dashboard_states_the_limits_of_the_contracts_that_it_shows(path):
    board = FILES[path]
    said = "".join(node["meta"]["code"] for node in nodes_of(board, "MARKDOWN"))
    charts = {c["uuid"]: c for c in of_kind("charts").values()}
    shown = {charts[node["meta"]["uuid"]]["dataset_uuid"] for node in nodes_of(board, "CHART")}
    for dataset in (datasets()[identity] for identity in shown):
        for clause in CONTRACTS[f"{dataset['schema']}.{dataset['table_name']}"].limitations.split("；"):
            assert clause.strip() in said


def test_the_overview_says_what_is_estimated_and_what_is_simulated():
    board = FILES["dashboards/registrations.yaml"]
    first = board["position"][board["position"]["GRID_ID"]["children"][0]]["children"]
    said = "".join(board["position"][child]["meta"]["code"] for child in first)
    assert "行业按名称用语估计" in said
    assert "外币注册资金" in said
    assert "模拟" in said
    by_industry = FILES["charts/subjects_by_industry.yaml"]
    assert by_industry["params"]["x_axis"] == "industry_section_name"
    assert "估计" in by_industry["slice_name"]


@pytest.mark.parametrize("path", of_kind("dashboards"))
def test_filters_reach_the_charts_that_have_their_column_and_no_others(path):
    board = FILES[path]
    charts = {c["uuid"]: c for c in of_kind("charts").values()}
    # What sums up the others is read as it is.
    assert bool(board["metadata"]["native_filter_configuration"]) == (board["slug"] != "cockpit")
    # What only narrows another filter reaches no chart: the two may differ for a moment.
    narrowing = {parent for f in board["metadata"]["native_filter_configuration"] for parent in f["cascadeParentIds"]}
    for wanted in board["metadata"]["native_filter_configuration"]:
        # Numbers of charts change when they are imported, so a scope is said by fixed ids only.
        assert wanted["scope"]["excluded"] == []
        columns = {target["column"]["name"] for target in wanted["targets"]} or {"registration_month"}
        for node in nodes_of(board, "CHART"):
            chart = charts[node["meta"]["uuid"]]
            # What is told over time is not narrowed to one of its times.
            over_time = columns == {"period_name"} and chart["params"].get("x_axis") == "period_end"
            has = (
                wanted["id"] not in narrowing
                and not over_time
                and columns <= {c["column_name"] for c in datasets()[chart["dataset_uuid"]]["columns"]}
            )
            assert has == bool(set(node["parents"]) & set(wanted["scope"]["rootPath"])), (wanted["name"], chart["slice_name"])
            if has and wanted["filterType"] == "filter_time":
                assert [f["subject"] for f in chart["params"]["adhoc_filters"] if f["operator"] == "TEMPORAL_RANGE"] == ["registration_month"]
    assert {f["name"] for f in FILES["dashboards/registrations.yaml"]["metadata"]["native_filter_configuration"]} == {
        "登记月份",
        "所在区",
        "主体类别",
    }


# Rows are shown as they are of one subject alone.
OF_ONE_SUBJECT = {a["uuid"] for a in of_kind("datasets").values() if a["table_name"].startswith("archive_")}


@pytest.mark.parametrize("path", of_kind("charts"))
def test_a_chart_is_an_aggregate_of_few_rows(path):
    params = FILES[path]["params"]
    if FILES[path]["dataset_uuid"] in OF_ONE_SUBJECT and params["query_mode"] == "raw":
        assert 0 < params["row_limit"] <= 1000
        return
    assert params.get("query_mode", "aggregate") == "aggregate"
    assert not params.get("all_columns")
    assert params.get("metrics") or params["metric"]
    if FILES[path]["viz_type"] != "big_number_total":
        assert 0 < params["row_limit"] < 100_000


def test_what_deploys_is_data_only():
    assert {path.suffix for path in dashboards.FOLDER.rglob("*") if path.is_file()} == {".yaml"}


# ---- comparing with what Superset has -------------------------------------------------------------------------------


def exported():
    """What Superset would export after a deployment: numbers of its own, and more keys."""
    found = copy.deepcopy(list(complete().values()))
    for asset in found:
        asset.pop("is_managed_externally")
        asset["theme_uuid"] = None
        for node in asset.get("position", {}).values():
            if isinstance(node, dict) and node["type"] == "CHART":
                node["meta"]["chartId"] += 1000
        if "columns" in asset:
            asset["columns"].reverse()
    return found


def change(found, kind_key, alter):
    for asset in found:
        if kind_key in asset:
            alter(asset)
            return found
    raise AssertionError(kind_key)


def test_what_was_deployed_has_no_differences():
    assert assets.differences(complete(), exported()) == []


@pytest.mark.parametrize(
    ("key", "alter"),
    [
        ("slice_name", lambda a: a.update(slice_name="改过")),
        ("slice_name", lambda a: a["params"].update(viz_type="pie")),
        ("columns", lambda a: a["columns"].append({"column_name": "more"})),
        ("columns", lambda a: a["columns"].pop()),
        ("metrics", lambda a: a["metrics"][0].update(expression="COUNT(1)")),
        ("position", lambda a: a["position"].update({"CHART-more": {"type": "CHART", "meta": {}}})),
        ("slug", lambda a: a["metadata"]["native_filter_configuration"].pop()),
        ("slug", lambda a: a.update(published=False)),
        ("impersonate_user", lambda a: a.update(impersonate_user=False)),
        ("impersonate_user", lambda a: a.update(allow_dml=True)),
        ("impersonate_user", lambda a: a.update(sqlalchemy_uri=a["sqlalchemy_uri"].replace("127.0.0.1", "192.0.2.1"))),
        ("impersonate_user", lambda a: a["extra"]["engine_params"]["connect_args"].update(verify=False)),
    ],
)
def test_a_change_is_seen(key, alter):
    assert len(assets.differences(complete(), change(exported(), key, alter))) == 1


def test_what_is_missing_is_seen():
    assert len(assets.differences(complete(), exported()[1:])) == 1


def test_the_archive_is_read_back():
    whole = complete()
    archive = assets.bundle(whole)
    assert assets.unbundle(archive, "charts") == list(of_kind("charts", whole).values())
    assert assets.unbundle(archive, "databases") == [whole[assets.DATABASE]]
