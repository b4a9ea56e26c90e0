"""The main job on real input: files → Airflow → Spark → dbt → gate → publication → Trino, as users run it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path

from infra.settings import REPO

SAMPLES = sorted((REPO / "samples" / "registrations").glob("*.csv"))


def sample_rows() -> list[dict[str, str]]:
    """The sample files, read without any of the project's code."""
    rows = []
    for path in SAMPLES:
        with path.open(encoding="utf-8", newline="") as f:
            rows += list(csv.DictReader(f))
    return rows


def test_every_row_that_was_delivered_is_in_bronze(published):
    rows = published.ask("steward", "SELECT count(*), count(DISTINCT delivery_id), count(raw_line) FROM lake.bronze.registration_subjects")
    assert rows == [[len(sample_rows()), len(SAMPLES), 0]]


def test_the_mart_counts_each_subject_once_by_year(published):
    expected: dict[int, set[tuple[str, str]]] = {}
    for row in sample_rows():
        if row["企业名称"].strip() not in ("", "N/A", "-"):
            expected.setdefault(int(row["注册日期"][:4]), set()).add((row["统一社会信用代码"].strip(), row["企业名称"].strip()))
    shown = dict(map(tuple, published.ask("leader", "SELECT registration_year, sum(subjects) FROM lake.gold.mart_registrations_yearly GROUP BY 1")))
    # A subject that two files name under two dates counts once; the sample has none, so the years add up.
    assert shown == {year: len(subjects) for year, subjects in expected.items()}


def test_a_district_never_comes_from_the_credit_code_alone(published):
    rows = published.ask(
        "leader", "SELECT district_name, sum(subjects) FROM lake.gold.mart_registrations_yearly WHERE district_confidence = 'exact' GROUP BY 1"
    )
    shown = dict(map(tuple, rows))
    named = {
        name: sum(1 for r in sample_rows() if re.match(rf"^(广东省?)?(广州市?)?{name}", r["注册地址"])) for name in ("天河区", "越秀区", "南沙区")
    }
    assert {name: shown[name] for name in named} == named


def test_views_carry_release_and_chinese_comments(published):
    release = published.ask("analyst", "SELECT max(release_id) FROM lake.ops.releases")[0][0]
    assert re.fullmatch(r"R\d{8}", release)
    assert published.ask("analyst", "SELECT DISTINCT release_id FROM lake.gold.mart_registrations_yearly") == [[release]]
    comments = {r[0]: r[3] for r in published.ask("analyst", "DESCRIBE lake.gold.mart_registrations_yearly")}
    assert all(re.search("[\u4e00-\u9fff]", text or "") for text in comments.values()), comments


def test_trino_and_spark_hold_the_same_rows(published):
    sql = "SELECT registration_year, enterprise_type, district_name, district_confidence, subjects FROM {}"
    released = "SELECT max_by(table_version, release_id) FROM lake.ops.releases WHERE table_name = 'gold_tables.mart_registrations_yearly'"
    version = published.ask("analyst", released)[0][0]
    with published.spark() as spark:
        beneath = sorted(tuple(r) for r in spark.sql(sql.format(f"gold_tables.mart_registrations_yearly VERSION AS OF {version}")).collect())
    assert sorted(tuple(r) for r in published.ask("analyst", sql.format("lake.gold.mart_registrations_yearly"))) == beneath


def test_running_the_demo_again_loads_nothing_and_shows_the_same(published):
    before = published.ask("leader", "SELECT sum(subjects), count(*) FROM lake.gold.mart_registrations_yearly")
    again = published.lake("demo")
    assert "Loaded now: 0 rows of 0 deliveries" in again.stdout, again.stdout
    assert published.ask("leader", "SELECT sum(subjects), count(*) FROM lake.gold.mart_registrations_yearly") == before
    with published.ledger() as ledger:
        assert ledger.execute("SELECT count(*) FROM sighting WHERE outcome = 'duplicate'").fetchone()[0] >= len(SAMPLES)


def test_a_delivery_that_breaks_its_contract_is_refused_alone(published):
    inbox = published.state / "landing" / "inbox" / "registration_subjects"
    good = "企业名称,统一社会信用代码,注册日期,注册地址\n广州市测试一号有限公司,91440101MA5TEST018,2019-03-01,广州市天河区体育西路1号\n"
    bad = good.replace("注册日期", "日期不明")
    published.deliver(inbox / "good.csv", good.encode("gb18030"))
    published.deliver(inbox / "bad.csv", bad.encode())
    published.lake("run")
    with published.ledger() as ledger:
        states = dict(ledger.execute("SELECT file_name, state FROM delivery WHERE file_name IN ('good.csv', 'bad.csv')").fetchall())
        reason = ledger.execute("SELECT reason FROM delivery WHERE file_name = 'bad.csv'").fetchone()[0]
    assert states == {"good.csv": "loaded", "bad.csv": "refused"}
    assert "日期不明" in reason
    assert "注册日期" in reason
    name = published.ask("steward", "SELECT subject_name FROM lake.bronze.registration_subjects WHERE credit_code = '91440101MA5TEST018'")
    assert name == [["广州市测试一号有限公司"]]


def test_lake_query_speaks_every_format(published):
    sql = "SELECT sum(subjects) AS subjects FROM lake.gold.mart_registrations_yearly"
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
