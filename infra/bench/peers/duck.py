"""DuckDB: the same in one process for each step, Parquet files between them; the refinement in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.contract import CHANGED_AT
from infra.bench.peers.common import (
    ARRIVED,
    CHANGES,
    CODES,
    COLUMNS,
    REGISTER,
    Lot,
    Sent,
    applied,
    columns,
    contract,
    deliveries,
    export,
    feeds,
    held,
    lots,
    main,
    others,
    sheets,
)
from spark_jobs.identity import ties
from spark_jobs.identity.keys import KEY_KIND, KEY_VALUE, ORDER_OF_A_DAY, TRUSTED, linked_groups
from spark_jobs.identity.links import Key, Resolved, State, resolve
from spark_jobs.refine import batches
from spark_jobs.refine import records as records_of

BATCH = 10_000
# Of one day and revision, what is said of the later day stands.
ORDER = "CAST(source_revision AS BIGINT) * 10000000 + date_diff('day', DATE '1900-01-01', occurred_on)"
LATEST = ("subject_name", "quality_marks")
IDENTIFIER = ("credit_code", "registration_number", "identifier_kind", "identifier_check")
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
    connection = _connect(folder)
    for feed in feeds(listed):
        (folder / "bronze" / feed).mkdir(parents=True)
        for number, lot in enumerate(lots(deliveries(listed, feed))):
            connection.execute("CREATE OR REPLACE TABLE sent (delivery_id VARCHAR, filename VARCHAR, business_date DATE)")
            connection.executemany("INSERT INTO sent VALUES (?, ?, ?)", [(s.identity, str(s.path), s.as_of) for s in lot.sent])
            connection.execute(
                f"""COPY (SELECT * EXCLUDE (filename), row_number() OVER () AS row_number, TIMESTAMPTZ '{ARRIVED}' AS arrived_at, NULL::VARCHAR AS raw_line, true AS simulated
                FROM ({_source(connection, folder, feed, lot)})) TO '{folder}/bronze/{feed}/{number:05}.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"""  # noqa: S608 - our own paths
            )


def _source(connection: duckdb.DuckDBPyConnection, folder: Path, feed: str, lot: Lot) -> str:
    """A query of the records of files by the contract's names, each with its delivery and business date; what can't be split is left out."""
    if lot.form == "sheet":
        connection.register("sheets", sheets(lot))
        return "FROM sheets JOIN sent USING (delivery_id)"
    types = ", ".join(f"'{name}': 'VARCHAR'" for name in lot.headers)
    renamed = ", ".join(f'"{header}" AS {column}' for header, column in zip(lot.headers, columns(feed, lot.headers), strict=True))
    paths = [str(s.path) for s in lot.sent]
    if lot.form == "gb18030":
        paths = [_as_utf8(folder, s) for s in lot.sent]
        connection.executemany("UPDATE sent SET filename = ? WHERE delivery_id = ?", [(p, s.identity) for p, s in zip(paths, lot.sent, strict=True)])
    if lot.form == "json":
        read = f"read_json({paths}, columns = {{{types}}}, format = 'newline_delimited', ignore_errors = true, filename = true)"
    else:
        read = f"read_csv({paths}, header = true, columns = {{{types}}}, ignore_errors = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', null_padding = false, filename = true)"
    return f"SELECT {renamed}, sent.* FROM {read} AS said JOIN sent ON sent.filename = said.filename"  # noqa: S608


def _as_utf8(folder: Path, sent: Sent) -> str:
    """The file in UTF-8: what DuckDB needs for any other encoding of Chinese is an extension to be fetched from its maker."""
    target = folder / "utf8" / sent.path.name
    target.parent.mkdir(exist_ok=True)
    with sent.path.open(encoding="gb18030", newline="") as source, target.open("w", encoding="utf-8", newline="") as file:
        shutil.copyfileobj(source, file, 2**20)
    return str(target)


def _refined(job: tuple[str, str, int, str]) -> None:
    feed, source, group, target = job
    refine_batches = batches.refine_batches if feed == REGISTER else records_of.refine_batches(contract(feed))
    table = pq.ParquetFile(source).read_row_group(group)
    table = table.set_column(table.schema.get_field_index("arrived_at"), "arrived_at", table["arrived_at"].cast(pa.timestamp("us", "UTC")))
    pq.write_table(pa.Table.from_batches(list(refine_batches(iter(table.to_batches(BATCH))))), target, compression="zstd")


def _refine(folder: Path, names: list[str]) -> None:
    """The records of feeds as the lake's own functions type and judge them."""
    jobs = []
    for feed in names:
        (folder / "refined" / feed).mkdir(parents=True)
        for path in sorted((folder / "bronze" / feed).glob("*.parquet")):
            groups = range(pq.ParquetFile(path).num_row_groups)
            jobs += [(feed, str(path), group, f"{folder}/refined/{feed}/{path.stem}-{group:04}.parquet") for group in groups]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_refined, jobs))


def _good(connection: duckdb.DuckDBPyConnection, folder: Path, listed: Path, feed: str, more: str = "") -> None:
    """Make a view ``refined`` of the records of a feed that nothing sets aside, with the revision of their delivery and ``more`` columns."""
    files, sent = f"read_parquet('{folder}/refined/{feed}/*.parquet')", deliveries(listed, feed)
    good = dict(connection.execute(f"SELECT delivery_id, count(*) FROM {files} WHERE len(reasons) = 0 GROUP BY ALL").fetchall())  # noqa: S608
    over = set(held(feed, sent, good))
    connection.execute("CREATE OR REPLACE TABLE revisions (delivery_id VARCHAR, source_revision INT)")
    connection.executemany("INSERT INTO revisions VALUES (?, ?)", [(s.identity, s.revision) for s in sent if s.identity not in over])
    connection.execute(
        f"CREATE OR REPLACE VIEW refined AS SELECT *, arrived_at AS known_at{more} FROM {files} JOIN revisions USING (delivery_id) WHERE len(reasons) = 0"  # noqa: S608
    )


def refine(folder: Path, listed: Path) -> None:
    _refine(folder, [REGISTER])
    connection = _connect(folder)
    _good(connection, folder, listed, REGISTER, f", {KEY_KIND} AS key_kind, {KEY_VALUE} AS key_value")
    connection.execute(
        f"""CREATE TABLE small AS SELECT delivery_id, row_number, key_kind, key_value, normalized_name, registration_date, district_code, {TRUSTED} AS trusted, effective_from, source_revision, content_hash, known_at FROM refined;
        CREATE TABLE several AS SELECT key_kind, key_value FROM small GROUP BY ALL HAVING count(DISTINCT normalized_name) > 1 AND count(DISTINCT registration_date) > 1;
        CREATE TABLE groups (key_kind VARCHAR, key_value VARCHAR, normalized_name VARCHAR, registration_date DATE, earliest_name VARCHAR)"""  # noqa: S608 - our own expressions
    )
    states: dict[tuple[str, str], list[tuple[str, object, object]]] = {}
    for kind, value, name, date, first in connection.execute("SELECT key_kind, key_value, normalized_name, registration_date, min(effective_from) FROM small JOIN several USING (key_kind, key_value) GROUP BY ALL").fetchall():  # fmt: skip
        states.setdefault((kind, value), []).append((name, date, first))
    for (kind, value), of_key in states.items():
        connection.executemany("INSERT INTO groups VALUES (?, ?, ?, ?, ?)", [(kind, value, name, date, earliest) for (name, date), earliest in linked_groups(of_key).items()])  # fmt: skip
    connection.execute("CREATE TABLE tied (key_kind VARCHAR, key_value VARCHAR, normalized_name VARCHAR, contested BOOLEAN, anchor VARCHAR)")
    if rows := [(*key, name, key in found.contested, ":".join(anchor)) for found in [_tied(connection, folder)] for (key, name), anchor in found.anchors.items()]:  # fmt: skip
        connection.executemany("INSERT INTO tied VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute(
        """CREATE TABLE contested AS SELECT key_kind, key_value FROM groups GROUP BY ALL HAVING count(DISTINCT earliest_name) > 1;
        CREATE TABLE assigned AS SELECT s.*, 'S' || substr(sha256(CASE WHEN t.anchor IS NOT NULL THEN t.anchor WHEN c.key_value IS NULL THEN s.key_kind || ':' || s.key_value ELSE 'uscc_name:' || s.key_value || '|' || g.earliest_name END), 1, 16) AS subject_id, coalesce(t.contested, c.key_value IS NOT NULL) AS contested
            FROM small s LEFT JOIN contested c USING (key_kind, key_value) LEFT JOIN tied t USING (key_kind, key_value, normalized_name)
            LEFT JOIN groups g ON g.key_kind = s.key_kind AND g.key_value = s.key_value AND g.normalized_name = s.normalized_name AND g.registration_date IS NOT DISTINCT FROM s.registration_date"""
    )
    connection.execute(f"UPDATE assigned SET source_revision = {ORDER_OF_A_DAY}")  # noqa: S608 - our own expression
    _judge(connection)
    connection.execute(
        f"""COPY (SELECT f.*, subject_id, is_conflict, fact_outcome, 'simulated' AS value_kind FROM refined f JOIN outcomes USING (delivery_id, row_number))
            TO '{folder}/facts.parquet' (FORMAT parquet, COMPRESSION zstd);
        COPY (SELECT DISTINCT subject_id FROM assigned WHERE contested) TO '{folder}/keys.parquet' (FORMAT parquet)"""  # noqa: S608
    )


def _tied(connection: duckdb.DuckDBPyConnection, folder: Path) -> Resolved:
    """What ties say of the keys that have one, as the lake's own function resolves them."""
    changes, said = folder / "records" / f"{CHANGES}.parquet", []
    if changes.exists():
        columns = ", ".join(f"{expression} AS {name}" for name, expression in ties.SOURCES[CHANGES]._asdict().items())
        query = f"SELECT {columns}, epoch_us(known_at) AS known_at, '{CHANGES}/' || record_id AS link_evidence FROM '{changes}' WHERE fact_outcome = 'applied' QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY effective_from DESC) = 1 AND fact_state = 'active' AND length(content_before) BETWEEN 13 AND 40"  # noqa: S608
        names = (*ties.Source._fields, "known_at", "link_evidence")
        rows = [dict(zip(names, row, strict=True)) for row in connection.execute(query).fetchall()]
        said = [ties.statement_of(found) for row in rows if (found := ties.statement(row)) is not None]
    connection.execute("CREATE TABLE stated (key_kind VARCHAR, key_value VARCHAR)")
    if said:
        connection.executemany("INSERT INTO stated VALUES (?, ?)", [key for s in said for key in (s.first, s.second)])
    states = connection.execute(
        """WITH several AS (SELECT normalized_name, registration_date FROM small GROUP BY ALL HAVING count(DISTINCT key_kind || ':' || key_value) > 1),
            keys AS (FROM stated UNION SELECT key_kind, key_value FROM small JOIN several USING (normalized_name, registration_date))
        SELECT key_kind, key_value, normalized_name, registration_date, district_code, trusted, min(effective_from), epoch_us(min(known_at)) FROM small JOIN keys USING (key_kind, key_value) GROUP BY ALL"""
    ).fetchall()
    return resolve([State(Key(*row[:2]), *row[2:]) for row in states], said)


def _judge(connection: duckdb.DuckDBPyConnection) -> None:
    """Make a table ``outcomes`` of what becomes of each record in ``assigned``: the lake's rule of history (0010) in this engine's words."""
    connection.execute(
        """CREATE OR REPLACE TABLE judged AS
            WITH numbered AS (SELECT delivery_id, row_number, subject_id, effective_from, content_hash, source_revision,
                row_number() OVER (PARTITION BY subject_id, effective_from, content_hash ORDER BY source_revision DESC, known_at, delivery_id, row_number) AS copy,
                max(struct_pack(r := source_revision, h := content_hash)) OVER (PARTITION BY subject_id, effective_from) AS winner FROM assigned)
            SELECT *, content_hash = winner.h AS wins,
                source_revision = winner.r AND len(list_distinct(list(CASE WHEN source_revision = winner.r THEN content_hash END) OVER (PARTITION BY subject_id, effective_from))) > 1 AS is_conflict FROM numbered;
        CREATE OR REPLACE TABLE standing AS SELECT subject_id, effective_from, lag(content_hash) OVER (PARTITION BY subject_id ORDER BY effective_from) AS before FROM judged WHERE wins AND copy = 1;
        CREATE OR REPLACE TABLE outcomes AS SELECT delivery_id, row_number, j.subject_id, is_conflict,
                CASE WHEN copy > 1 THEN 'duplicate' WHEN NOT wins THEN 'superseded' WHEN before = content_hash THEN 'duplicate' ELSE 'applied' END AS fact_outcome
            FROM judged j LEFT JOIN standing s ON wins AND copy = 1 AND s.subject_id = j.subject_id AND s.effective_from = j.effective_from"""
    )


def records(folder: Path, listed: Path) -> None:
    names = others(listed)
    _refine(folder, names)
    (folder / "records").mkdir()
    connection = _connect(folder)
    for feed in names:
        _good(connection, folder, listed, feed)
        order = f"coalesce(epoch_ms({CHANGED_AT}), {ORDER})" if any(c.name == CHANGED_AT for c in contract(feed).columns) else ORDER
        connection.execute(
            f"CREATE OR REPLACE TABLE assigned AS SELECT delivery_id, row_number, record_id AS subject_id, effective_from, {order} AS source_revision, content_hash, known_at FROM refined"  # noqa: S608
        )
        _judge(connection)
        connection.execute(
            f"""COPY (SELECT f.*, is_conflict, fact_outcome, 'simulated' AS value_kind FROM refined f JOIN outcomes USING (delivery_id, row_number))
            TO '{folder}/records/{feed}.parquet' (FORMAT parquet, COMPRESSION zstd)"""  # noqa: S608
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
            SELECT subject_id, arg_max({packed(LATEST)}, effective_from) AS latest, coalesce(arg_max({packed(IDENTIFIER)}, effective_from) FILTER (WHERE {TRUSTED}), arg_max({packed(IDENTIFIER)}, effective_from)) AS identifier, arg_max(registration_date, effective_from) AS registration_date, {last},
                list_distinct(list(subject_name ORDER BY effective_from)) AS names, max(effective_from) AS effective_from, count(*) AS fact_count, CAST(count_if(is_conflict) AS BIGINT) AS conflict_count,
                min(known_at) AS first_known_at, max(known_at) AS known_at, max(value_kind) AS value_kind
            FROM read_parquet('{folder}/facts.parquet') WHERE fact_outcome = 'applied' GROUP BY subject_id)
        SELECT subject_id, {", ".join([f"latest.{c}" for c in LATEST] + [f"identifier.{c}" for c in IDENTIFIER])}, registration_date, {out}, coalesce(sections.title, '未分配') AS industry_section_name,
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
    connection = _connect(folder)

    def asked(query: str) -> Iterator[tuple[Any, ...]]:
        return iter(connection.execute(query).fetchone, None)

    export(folder, "archive.csv", asked(f"SELECT {', '.join(COLUMNS)} FROM read_parquet('{folder}/archive.parquet') ORDER BY subject_id"))  # noqa: S608
    if names := others(listed):
        export(folder, "records.csv", ((feed, *row) for feed in names for row in asked(applied(f"read_parquet('{folder}/records/{feed}.parquet')"))))


if __name__ == "__main__":
    main({"land": land, "refine": refine, "records": records, "archive": archive, "marts": marts, "export": show})
