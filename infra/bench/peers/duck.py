"""DuckDB: the same in one process for each step, Parquet files between them; the refinement in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from infra.bench.peers.common import ARRIVED, CODES, COLUMNS, deliveries, export, headers, main
from spark_jobs.identity.keys import KEY_KIND, KEY_VALUE, linked_groups
from spark_jobs.refine.batches import refine_batches

BATCH = 10_000
LATEST = ("credit_code", "registration_number", "identifier_kind", "identifier_check", "subject_name", "quality_marks")
STATED = {
    "kind": (("enterprise_type", "enterprise_type_code"), "enterprise_type IS NOT NULL"),
    "category": (("subject_category", "category_basis"), "subject_category <> 'unknown'"),
    "ownership": (("ownership_group",), "ownership_group <> 'unknown'"),
    "representative": (("legal_representative",), "legal_representative IS NOT NULL"),
    "capital": (("registered_capital_text", "registered_capital", "capital_amount", "capital_unit", "capital_currency", "capital_rate", "capital_rate_year", "capital_status"), "capital_status <> 'not_stated'"),
    "industry": (("industry_section", "industry_basis"), "industry_section IS NOT NULL"),
    "registrar": (("registration_authority",), "registration_authority IS NOT NULL"),
    "supervisor": (("supervising_authority", "supervising_district_code"), "supervising_authority IS NOT NULL"),
    "place": (("registered_address", "district_code", "district_name", "district_confidence", "district_reason"), "registered_address IS NOT NULL"),
    "scope": (("business_scope", "scope_truncated"), "business_scope IS NOT NULL"),
    "province": (("province_name",), "province_name IS NOT NULL"),
    "region": (("region_name",), "region_name IS NOT NULL"),
}  # fmt: skip


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '{os.environ['BENCH_MEMORY'].upper()}B'; SET threads = {os.cpu_count()}; SET TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = '{folder / 'tmp'}'")
    return connection


def land(folder: Path, listed: Path) -> None:
    (folder / "bronze").mkdir()
    connection = _connect(folder)
    for number, (path, as_of, revision) in enumerate(deliveries(listed)):
        names = ", ".join(f"'{n}': 'VARCHAR'" for n in headers(path))
        connection.execute(
            f"""COPY (SELECT * REPLACE (nullif(subject_name, '') AS subject_name), 'D{number:05}' AS delivery_id, row_number() OVER () AS row_number, DATE '{as_of}' AS business_date,
                {revision} AS source_revision, TIMESTAMPTZ '{ARRIVED}' AS arrived_at, NULL::VARCHAR AS raw_line, true AS simulated
            FROM read_csv('{path}', header = true, columns = {{{names}}}, ignore_errors = true, auto_detect = false, delim = ',', quote = '"', escape = '"', null_padding = false))
            TO '{folder}/bronze/{number:05}.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"""  # noqa: S608 - our own paths
        )


def _refined(job: tuple[str, int, str]) -> None:
    source, group, target = job
    table = pq.ParquetFile(source).read_row_group(group)
    table = table.set_column(table.schema.get_field_index("arrived_at"), "arrived_at", table["arrived_at"].cast(pa.timestamp("us", "UTC")))
    pq.write_table(pa.Table.from_batches(list(refine_batches(iter(table.to_batches(BATCH))))), target, compression="zstd")


def refine(folder: Path, listed: Path) -> None:
    (folder / "refined").mkdir()
    jobs = [
        (str(path), group, f"{folder}/refined/{path.stem}-{group:04}.parquet")
        for path in sorted((folder / "bronze").glob("*.parquet"))
        for group in range(pq.ParquetFile(path).num_row_groups)
    ]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_refined, jobs))
    connection = _connect(folder)
    revisions = [(f"D{n:05}", r) for n, (_, _, r) in enumerate(deliveries(listed))]
    connection.execute("CREATE TABLE revisions (delivery_id VARCHAR, source_revision INT)")
    connection.executemany("INSERT INTO revisions VALUES (?, ?)", revisions)
    connection.execute(
        f"""CREATE VIEW refined AS SELECT *, arrived_at AS known_at, {KEY_KIND} AS key_kind, {KEY_VALUE} AS key_value
            FROM read_parquet('{folder}/refined/*.parquet') JOIN revisions USING (delivery_id) WHERE len(reasons) = 0;
        CREATE TABLE small AS SELECT delivery_id, row_number, key_kind, key_value, normalized_name, registration_date, effective_from, source_revision, content_hash, known_at FROM refined;
        CREATE TABLE several AS SELECT key_kind, key_value FROM small GROUP BY ALL HAVING count(DISTINCT normalized_name) > 1 AND count(DISTINCT registration_date) > 1;
        CREATE TABLE groups (key_kind VARCHAR, key_value VARCHAR, normalized_name VARCHAR, registration_date DATE, earliest_name VARCHAR)"""  # noqa: S608
    )
    states: dict[tuple[str, str], list[tuple[str, object, object]]] = {}
    for kind, value, name, date, first in connection.execute("SELECT key_kind, key_value, normalized_name, registration_date, min(effective_from) FROM small JOIN several USING (key_kind, key_value) GROUP BY ALL").fetchall():  # fmt: skip
        states.setdefault((kind, value), []).append((name, date, first))
    for (kind, value), of_key in states.items():
        connection.executemany("INSERT INTO groups VALUES (?, ?, ?, ?, ?)", [(kind, value, name, date, earliest) for (name, date), earliest in linked_groups(of_key).items()])  # fmt: skip
    connection.execute(
        f"""CREATE TABLE contested AS SELECT key_kind, key_value FROM groups GROUP BY ALL HAVING count(DISTINCT earliest_name) > 1;
        CREATE TABLE assigned AS SELECT s.*, 'S' || substr(sha256(CASE WHEN c.key_value IS NULL THEN s.key_kind || ':' || s.key_value ELSE 'uscc_name:' || s.key_value || '|' || g.earliest_name END), 1, 16) AS subject_id, c.key_value IS NOT NULL AS contested
            FROM small s LEFT JOIN contested c USING (key_kind, key_value)
            LEFT JOIN groups g ON g.key_kind = s.key_kind AND g.key_value = s.key_value AND g.normalized_name = s.normalized_name AND g.registration_date IS NOT DISTINCT FROM s.registration_date;
        CREATE TABLE judged AS
            WITH numbered AS (SELECT delivery_id, row_number, subject_id, effective_from, content_hash, source_revision,
                row_number() OVER (PARTITION BY subject_id, effective_from, content_hash ORDER BY source_revision DESC, known_at, delivery_id, row_number) AS copy,
                max(struct_pack(r := source_revision, h := content_hash)) OVER (PARTITION BY subject_id, effective_from) AS winner FROM assigned)
            SELECT *, content_hash = winner.h AS wins,
                source_revision = winner.r AND len(list_distinct(list(CASE WHEN source_revision = winner.r THEN content_hash END) OVER (PARTITION BY subject_id, effective_from))) > 1 AS is_conflict FROM numbered;
        CREATE TABLE standing AS SELECT subject_id, effective_from, lag(content_hash) OVER (PARTITION BY subject_id ORDER BY effective_from) AS before FROM judged WHERE wins AND copy = 1;
        COPY (SELECT f.*, j.subject_id, j.is_conflict, CASE WHEN j.copy > 1 THEN 'duplicate' WHEN NOT j.wins THEN 'superseded' WHEN s.before = j.content_hash THEN 'duplicate' ELSE 'applied' END AS fact_outcome,
                'simulated' AS value_kind
            FROM refined f JOIN judged j USING (delivery_id, row_number)
            LEFT JOIN standing s ON j.wins AND j.copy = 1 AND s.subject_id = j.subject_id AND s.effective_from = j.effective_from)
        TO '{folder}/facts.parquet' (FORMAT parquet, COMPRESSION zstd);
        COPY (SELECT DISTINCT subject_id FROM assigned WHERE contested) TO '{folder}/keys.parquet' (FORMAT parquet)"""  # noqa: S608
    )


def archive(folder: Path, listed: Path) -> None:
    connection = _connect(folder)

    def packed(columns: tuple[str, ...]) -> str:
        return f"struct_pack({', '.join(f'{c} := {c}' for c in columns)})"

    last = ", ".join(
        f"arg_max({packed(columns)}, effective_from) FILTER (WHERE {condition}) AS {name}" for name, (columns, condition) in STATED.items()
    )
    out = ", ".join(f"{name}.{column}" for name, (columns, _) in STATED.items() for column in columns)
    connection.execute(
        f"""CREATE VIEW sections AS SELECT code, arg_max(name, edition) AS title FROM read_csv('{CODES}/gbt4754_industries.csv', all_varchar = true) WHERE level = 'section' GROUP BY code;
        COPY (WITH subjects AS (
            SELECT subject_id, arg_max({packed(LATEST)}, effective_from) AS latest, arg_max(registration_date, effective_from) AS registration_date, {last},
                list_distinct(list(subject_name ORDER BY effective_from)) AS names, max(effective_from) AS effective_from, count(*) AS fact_count, CAST(count_if(is_conflict) AS BIGINT) AS conflict_count,
                min(known_at) AS first_known_at, max(known_at) AS known_at, max(value_kind) AS value_kind
            FROM read_parquet('{folder}/facts.parquet') WHERE fact_outcome = 'applied' GROUP BY subject_id)
        SELECT subject_id, {", ".join(f"latest.{c}" for c in LATEST)}, registration_date, {out}, coalesce(sections.title, '未分配') AS industry_section_name,
            k.subject_id IS NOT NULL AS is_contested, list_filter(names, lambda n: n <> latest.subject_name) AS former_names, effective_from, fact_count, conflict_count, first_known_at, known_at, value_kind
        FROM subjects LEFT JOIN read_parquet('{folder}/keys.parquet') k USING (subject_id) LEFT JOIN sections ON sections.code = industry.industry_section)
        TO '{folder}/archive.parquet' (FORMAT parquet, COMPRESSION zstd)"""  # noqa: S608
    )


def marts(folder: Path, listed: Path) -> None:
    source = f"read_parquet('{folder}/archive.parquet')"
    _connect(folder).execute(
        f"""COPY (SELECT date_trunc('month', registration_date) AS registration_month, max(district_code), coalesce(district_name, '未分配'), subject_category, coalesce(enterprise_type, '未填写'), max(industry_section), industry_section_name,
            count(*), count(registered_capital), sum(registered_capital), count_if(len(quality_marks) > 0) FROM {source} GROUP BY 1, 3, 4, 5, 7) TO '{folder}/monthly.parquet' (FORMAT parquet);
        COPY (SELECT date_trunc('month', registration_date), district_name, mark, count(*) FROM (SELECT *, unnest(quality_marks) AS mark FROM {source}) GROUP BY ALL) TO '{folder}/marks.parquet' (FORMAT parquet)"""  # noqa: S608
    )


def show(folder: Path, listed: Path) -> None:
    found = _connect(folder).execute(f"SELECT {', '.join(COLUMNS)} FROM read_parquet('{folder}/archive.parquet') ORDER BY subject_id")  # noqa: S608
    export(folder, iter(found.fetchone, None))


if __name__ == "__main__":
    main({"land": land, "refine": refine, "archive": archive, "marts": marts, "export": show})
