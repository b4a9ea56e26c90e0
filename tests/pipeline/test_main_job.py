"""The main job on real input: files → Airflow → Spark → gates → dbt → publication → Trino, as users run it."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from pathlib import Path

import pytest

from catalog.contract import load_contracts
from catalog.derive import all_tables, checksum_since, contents_sql, table_name
from infra.settings import REPO

SAMPLES = sorted((REPO / "samples" / "registrations").glob("*.csv"))
LATER = sorted(p for p in (REPO / "samples" / "later").iterdir() if p.suffix == ".csv")
ACCOUNT = re.compile(r"^\| (\S+\.csv) \|.*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.M)


def sample_rows() -> list[dict[str, str]]:
    """The register's sample files, read without any of the project's code."""
    rows = []
    for path in SAMPLES:
        with path.open(encoding="utf-8", newline="") as f:
            rows += list(csv.DictReader(f))
    return rows


def test_every_row_that_was_delivered_is_accounted_for(published):
    readme = (REPO / "samples" / "README.md").read_text(encoding="utf-8")
    expected = {name: tuple(map(int, numbers)) for name, *numbers in ACCOUNT.findall(readme)}
    rows = published.ask("leader", "SELECT file_name, arrived, applied, superseded, duplicate, quarantined, status FROM lake.ops.deliveries")
    shown = {name: tuple(numbers) for name, *numbers, status in rows if status == "loaded"}
    assert {name: shown[name] for name in expected} == expected
    first = [shown[path.name] for path in SAMPLES]
    assert sum(account[0] for account in first) == len(sample_rows())
    assert all(arrived == sum(parts) for arrived, *parts in shown.values())
    # Other tests deliver too; their files have other names.
    names = ", ".join(f"'{p.name}'" for p in (*SAMPLES, *LATER))
    bronze = published.ask(
        "steward",
        f"""SELECT count(*), count(DISTINCT b.delivery_id), count(raw_line) FROM lake.bronze.registration_subjects b
        JOIN lake.ops.deliveries d ON d.delivery_id = b.delivery_id WHERE d.file_name IN ({names})""",
    )
    assert bronze == [[len(sample_rows()) + sum(e[0] for e in expected.values()), len(SAMPLES) + len(LATER), 1]]


def test_the_mart_counts_each_subject_once_by_year(published):
    expected: dict[int, set[tuple[str, str]]] = {}
    for row in sample_rows():
        expected.setdefault(int(row["注册日期"][:4]), set()).add((row["统一社会信用代码"].strip(), row["企业名称"].strip()))
    sql = "SELECT year(registration_month), sum(subjects) FROM lake.gold.mart_registrations_monthly WHERE year(registration_month) < 2018 GROUP BY 1"
    shown = dict(map(tuple, published.ask("leader", sql)))
    # The made-up subjects of the later deliveries are of 2018 and 2019.
    assert shown == {year: len(subjects) for year, subjects in expected.items() if year < 2018}


def test_history_is_told_in_business_time_whatever_came_first(published):
    """演示三号's capital in ten thousands: 30 in March, 3000 from May (arrived after June), 5000 from June."""
    sql = """SELECT CAST(effective_from AS varchar), CAST(registered_capital AS varchar), fact_outcome FROM lake.silver.subject_registration
        WHERE subject_name LIKE '广州市演示三号%' ORDER BY effective_from"""
    rows = published.ask("analyst", sql)
    assert [r[0] for r in rows] == ["2019-03-31", "2019-05-31", "2019-06-30"]
    assert [r[1] for r in rows] == ["300000.00", "30000000.00", "50000000.00"]
    assert {r[2] for r in rows} == {"applied"}


def test_a_correction_by_revision_stands_and_the_corrected_row_is_superseded(published):
    rows = published.ask(
        "analyst", "SELECT subject_name, former_names, value_kind FROM lake.gold.archive_subject WHERE subject_name LIKE '广州市演示正一号%'"
    )
    ((name, former, kind),) = rows
    assert former == [name.replace("演示正", "演示")], "the name of the superseded row was never in use"
    assert kind == "simulated"


def test_one_code_of_two_unlinked_subjects_goes_to_review(published):
    rows = published.ask(
        "analyst", "SELECT subject_id, subject_name, is_contested FROM lake.gold.archive_subject WHERE subject_name LIKE '广州市演示共用%'"
    )
    assert len({r[0] for r in rows}) == 2
    assert all(r[2] for r in rows)
    involved = published.ask(
        "steward", "SELECT names_involved FROM lake.silver.identity_review WHERE any_match(names_involved, n -> n LIKE '%演示共用%')"
    )
    assert len(involved[0][0]) == 2


def test_a_spoken_type_is_counted_as_often_as_it_became_a_fact(published):
    rows = published.ask(
        "steward", "SELECT source_text, mapping_state, applied_rows FROM lake.silver.mapping_status WHERE mapping_id IN ('ET-0001', 'ET-0007')"
    )
    shown = dict(map(tuple, published.ask("analyst", "SELECT enterprise_type, count(*) FROM lake.silver.subject_registration GROUP BY 1")))
    assert sorted(rows) == sorted([text, "in_use", shown[text]] for text in ("个体户", "国有企业"))


def test_a_district_never_comes_from_the_credit_code_alone(published):
    rows = published.ask(
        "leader",
        "SELECT district_name, count(*) FROM lake.gold.archive_subject WHERE district_confidence = 'exact' AND value_kind = 'observed'"
        " AND subject_name NOT LIKE '广州市测试%' GROUP BY 1",
    )
    shown = dict(map(tuple, rows))
    named = {
        name: len({(r["统一社会信用代码"], r["企业名称"]) for r in sample_rows() if re.match(rf"^(广东省?)?(广州市?)?{name}", r["注册地址"])})
        for name in ("天河区", "越秀区", "南沙区")
    }
    assert {name: shown[name] for name in named} == named


def test_views_carry_release_and_chinese_comments(published):
    release = published.ask("analyst", "SELECT max(release_id) FROM lake.ops.releases")[0][0]
    assert re.fullmatch(r"R\d{8}", release)
    # A view stays as long as what it shows does, and names the release that brought it.
    held = "SELECT table_version FROM lake.ops.releases WHERE table_name = 'gold_tables.archive_subject'"
    brought = published.ask("analyst", f"SELECT release_id FROM lake.ops.releases WHERE table_name = 'gold_tables.archive_subject' AND table_version IN ({held} AND release_id = '{release}')")  # fmt: skip
    ((shown,),) = published.ask("analyst", "SELECT DISTINCT release_id FROM lake.gold.archive_subject")
    assert [shown] in brought
    comments = {r[0]: r[3] for r in published.ask("analyst", "DESCRIBE lake.gold.archive_subject")}
    assert all(re.search("[\u4e00-\u9fff]", text or "") for text in comments.values()), comments


def test_trino_and_spark_hold_the_same_rows_also_through_the_pinned_view(published):
    contracts = all_tables(load_contracts())
    release = published.ask("analyst", "SELECT max(release_id) FROM lake.ops.releases")[0][0]
    rows = published.ask("analyst", f"SELECT table_name, table_version, row_count, checksum FROM lake.ops.releases WHERE release_id = '{release}'")
    versions = {name: (version, count, checksum) for name, version, count, checksum in rows}
    gold = [c for c in contracts.values() if c.layer == "gold"]
    assert len(gold) > 5
    with published.spark() as spark:
        for contract in gold:
            version, count, checksum = versions[table_name(contract)]
            since = checksum_since(checksum)
            beneath = spark.sql(contents_sql(contract, "spark", f"{table_name(contract)} VERSION AS OF {version}", since)).collect()[0]
            # As the steward: masks would change what is summed.
            above = published.ask("steward", contents_sql(contract, "trino", f"lake.gold.{contract.name}", since))[0]
            assert tuple(beneath) == tuple(above) == (count, checksum), contract.id


def test_no_step_leaves_rows_in_the_server_s_memory(published):
    """A cached table is built again at each write to it, by whomever: runs would become slower and slower."""
    release = published.ask("analyst", "SELECT max(release_id) FROM lake.ops.releases")[0][0]
    tables = published.ask("analyst", f"SELECT table_name, table_version FROM lake.ops.releases WHERE release_id = '{release}'")
    assert tables
    with published.spark() as spark:
        for table, version in tables:
            plan = spark.sql(f"EXPLAIN SELECT * FROM {table} VERSION AS OF {version}").collect()[0][0]
            assert "FileScan" in plan
            assert "InMemory" not in plan, table


@pytest.mark.long
def test_other_models_alone_are_reason_enough_for_a_run(published):
    """Gold is made of what silver holds: a changed model is built although nothing has arrived."""
    changed = "from spark_jobs import pipeline\npipeline.GOLD_CODE = (*pipeline.GOLD_CODE, 'README.md')"
    assert published.step("silver", check=False).returncode == 4
    assert published.step("silver", changed, check=False).returncode == 0
    # Nobody goes on with that run: the next one takes its place.
    assert published.step("silver", check=False).returncode == 4


@pytest.mark.long
def test_running_the_demo_again_loads_nothing_and_shows_the_same(published):
    sql = "SELECT sum(subjects), count(*), max(release_id) FROM lake.gold.mart_registrations_monthly"
    before = published.ask("leader", sql)
    again = published.lake("demo", "--small")
    assert "Loaded now: 0 rows of 0 deliveries" in again.stdout, again.stdout
    assert published.ask("leader", sql) == before
    with published.ledger() as ledger:
        assert ledger.execute("SELECT count(*) FROM sighting WHERE outcome = 'duplicate'").fetchone()[0] >= len(SAMPLES) + len(LATER)


def test_ingest_accounts_in_chinese_and_refuses_what_breaks_its_contract_alone(published, ingested):
    said = ingested
    assert "到达 2 = 应用 1 + 被取代 0 + 重复 0 + 隔离 1" in said
    assert "subject_name_present；例：第 3 行的“企业名称”" in said.replace("\n", "")
    assert "日期不明" in said
    assert "缺少的列：注册日期" in said.replace("\n", "")
    assert published.ask("steward", "SELECT subject_name FROM lake.gold.archive_subject WHERE credit_code = '91440101YTEXT00018'") == [
        ["广州市测试一号有限公司"]
    ]
    with published.ledger() as ledger:
        states = dict(ledger.execute("SELECT file_name, state FROM delivery WHERE file_name IN ('good.csv', 'bad.csv')").fetchall())
    assert states == {"good.csv": "loaded", "bad.csv": "refused"}


@pytest.mark.long
def test_a_restored_release_is_seen_until_another_one_is(published):
    state = "SELECT count(*), sum(fact_count) FROM lake.gold.archive_subject"
    now = published.ask("leader", state)
    newest, *_, first = [r["release_id"] for r in json.loads(published.lake("releases", "--json").stdout)]
    assert first in published.lake("publish", "--restore", first).stdout
    assert published.ask("leader", state)[0][0] < now[0][0]
    published.lake("publish", "--restore", newest)
    assert published.ask("leader", state) == now


@pytest.mark.long
def test_what_came_after_a_restored_release_comes_back(published):
    """An older release is restored, a delivery is sent again: nothing is lost, nothing doubled."""
    state = "SELECT count(*), sum(fact_count) FROM lake.gold.archive_subject"
    now = published.ask("leader", state)
    first = json.loads(published.lake("releases", "--json").stdout)[-1]["release_id"]
    published.lake("publish", "--restore", first)
    again = published.lake("ingest", "registration_subjects", str(LATER[0])).stdout
    assert "不再入湖" in again
    assert "到达 60 = 应用 60 + 被取代 0 + 重复 0 + 隔离 0" in again
    assert published.ask("leader", state) == now


def test_one_subject_s_archive(published):
    analyst = {"LAKE_USER": "analyst", "LAKE_PASSWORD": published.password("analyst")}
    said = published.lake("archive", "广州市演示正一号", env=analyst).stdout
    assert "主体档案" in said
    assert "***" in said, "the representative and the address are masked"
    assert "演示人一" not in said
    assert "2019-06-30" in said
    data = json.loads(published.lake("archive", "广州市演示正一号", "--json", env=analyst).stdout)
    code = data["archive"]["credit_code"]
    assert len(data["history"]) == 3
    steward = {"LAKE_USER": "steward", "LAKE_PASSWORD": published.password("steward")}
    assert "演示人一" in published.lake("archive", code, env=steward).stdout
    several = published.lake("archive", "广州市演示共用", env=analyst, check=False)
    assert several.returncode == 1
    assert "不止一个主体" in several.stderr


def test_lake_query_speaks_every_format(published):
    sql = "SELECT sum(subjects) AS subjects FROM lake.gold.mart_registrations_monthly"
    total = published.ask("analyst", sql)[0][0]
    analyst = {"LAKE_USER": "analyst", "LAKE_PASSWORD": published.password("analyst")}
    assert json.loads(published.lake("query", sql, "--format", "json", env=analyst).stdout) == {"subjects": total}
    assert published.lake("query", sql, "--format", "csv", env=analyst).stdout.splitlines() == ["subjects", str(total)]
    as_leader = published.lake("query", sql, "--user", "leader", env={"LAKE_PASSWORD": published.password("leader")})
    assert str(total) in as_leader.stdout


def test_the_readme_s_python_example_works(published, tmp_path):
    text = (REPO / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    assert code, "the README shows Python"
    certificate = tmp_path / "ca.pem"
    certificate.write_bytes((published.state / "secrets" / "ca.pem").read_bytes())
    program = code[1].replace("18443", str(published.ports["trino"])).replace("/path/to/ca.pem", str(certificate))
    environment = {"LAKE_PASSWORD": published.password("analyst"), "PATH": "/usr/bin:/bin"}
    python = str(Path(published.settings.program("lake", "python")))
    done = subprocess.run([python, "-P", "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_later_files_are_what_the_tests_take_them_for():
    """The names that the tests above look for are in the files."""
    text = "".join(io.TextIOWrapper(io.BytesIO(p.read_bytes()), encoding="gb18030" if p.name[0] in "47" else "utf-8").read() for p in LATER)
    assert all(name in text for name in ("广州市演示三号", "广州市演示正一号", "广州市演示共用甲"))
