"""Everything that follows from a contract: table definitions, bronze shape, header names, access rules, comments, dbt properties.

Pure functions of contracts made by catalog.contract; nothing here reads a file or talks to an engine.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalog.contract import CHANGED_AT, RECORD_STATE, Column, Contract, Rule, implied_rules
from catalog.properties import Event, Kind

READ_CATALOG = "lake"  # read only, for everybody
PUBLISH_CATALOG = "lake_publish"  # the same tables; only the publisher may use it, to create views
PUBLISHER = "publisher"
STEWARD = "steward"
DISTRICT = "district"
VIEW_SCHEMAS = ("silver", "gold", "ops")
PINNED_SCHEMAS = ("silver_pinned", "gold_pinned")  # between readers' views and tables: the version that is shown, and nothing else

MASK_TEXT = "***"
THROUGH = "through_party"
MOST_SAID = 120  # characters of one column in the summary of an event
WRITE_NUMBER = "write_number"  # of the run that last wrote or changed a row
TRINO_TYPES = {"STRING": "varchar", "INT": "integer", "TIMESTAMP": "timestamp(3) with time zone", "ARRAY<STRING>": "array(varchar)"}


def table_schema(contract: Contract) -> str:
    """Schema of the table itself: `bronze`, else `<layer>_tables` (the layer's own name holds the readers' views)."""
    return "bronze" if contract.layer == "bronze" else f"{contract.layer}_tables"


def table_name(contract: Contract) -> str:
    """`schema.table` of the table itself, e.g. `gold_tables.archive_subject`."""
    return f"{table_schema(contract)}.{contract.name}"


def bronze_columns(contract: Contract) -> tuple[Column, ...]:
    """Columns of a feed's bronze table: every delivered column as nullable text, then the reserved ones as they are.

    Raises ValueError for a contract that is no feed.
    """
    if contract.kind is not Kind.FEED:
        raise ValueError(f"{contract.id} is no feed and has no bronze shape")
    return physical_columns(contract)


def physical_columns(contract: Contract) -> tuple[Column, ...]:
    """Columns as stored. In bronze, delivered columns are nullable text whatever their declared type is."""
    if contract.kind is not Kind.FEED:  # a quarantine has the shape of bronze already
        return contract.columns
    return tuple(c if c.reserved else _as_text(c) for c in contract.columns)


def view_columns(contract: Contract) -> tuple[Column, ...]:
    """Columns of the readers' view: the table's and, where it shows a version of it, `release_id`. A copy of the ledger (ops) is of no release."""
    columns = physical_columns(contract)
    if contract.layer == "bronze":
        raise ValueError(f"{contract.id} is read directly and has no view")
    if contract.kind is Kind.PROJECTION:
        return columns
    return (*columns, contract.release_column)


def quarantine_of(feed: Contract) -> Contract:
    """The table of a feed's rows that were set aside: the columns of bronze and the ids of the rules that they failed.

    It lies in silver, so that it is released and restored with the facts and the account of a delivery adds up at every release.
    """
    columns = (*bronze_columns(feed), feed.reasons_column)
    name = f"{feed.name}_quarantine"
    rules = (
        Rule(f"{name}_reasons_present", "nullValues", ("reasons",), {}, "mustBe", 0, "fail", "完整性", "隔离的记录必须有原因"),
        Rule(
            f"{name}_key",
            "duplicateValues",
            feed.keys,
            {"properties": list(feed.keys)},
            "mustBe",
            0,
            "fail",
            "一致性",
            "同一批次的同一行只能隔离一次",
        ),
    )
    return replace(
        feed,
        layer="silver",
        name=name,
        kind=Kind.QUARANTINE,
        chinese=f"{feed.title}（隔离）",
        english=f"{feed.english}, quarantined",
        description="没有满足隔离性质量规则的到达记录，连同原因，等待供数部门整改",
        grain="每行是一条被隔离的到达记录",
        purpose="供数据管理员交回供数部门整改，并核对记录账",
        limitations="只随新的到达数据变化；整改后重新报送的记录是新的到达记录",
        inputs=(feed.id,),
        columns=columns,
        rules=rules,
        record_key=(),
    )


def records_of(feed: Contract) -> Contract:
    """The table of a feed's typed records: the columns of the feed, what code lists say to them, and what became of each row in the history
    of its record.

    Of the rows of one ``record_id``, those whose outcome is ``applied`` are the record's history; the last of them, by ``effective_from``, is
    how the record stands: not at all where its ``fact_state`` is ``withdrawn``. Raises ValueError for a feed that a module of its own refines.
    """
    if not feed.record_key:
        raise ValueError(f"{feed.id} has no recordKey: a module of its own refines its rows")
    own = [replace(c, required=False, synonyms=()) for c in feed.columns if not c.reserved and c.name != RECORD_STATE]
    columns = [*own, *feed.derived_columns, *feed.record_columns]
    return replace(
        feed,
        layer="silver",
        kind=Kind.RECORD,
        chinese=feed.title,
        english=feed.english.removesuffix(" as delivered"),
        description=f"{feed.description.split('，')[0]}，逐条类型化、标准化，并保留每条记录的历次陈述",
        grain="每行是一条没有被隔离的到达记录；同一来源记录的历次陈述各占一行",
        purpose="查询来源记录现在和以往任一业务日期的内容，或截至某日所知的内容",
        limitations=f"只含没有被隔离的记录；记录去向为“应用”的才构成历史，事实状态为“已撤销”的此后不再成立。{feed.limitations}",
        readers=feed.record_readers,
        sharing=feed.record_sharing[0],
        sharing_condition=feed.record_sharing[1],
        inputs=(feed.id,),
        columns=tuple(columns),
        rules=tuple(implied_rules(feed.name, columns)),
        record_key=(),
    )


def silver_of(feed: Contract) -> tuple[Contract, ...]:
    """The tables of silver that follow from a feed: its quarantine, and its typed records where it has a recordKey."""
    return (quarantine_of(feed), *((records_of(feed),) if feed.record_key else ()))


def all_tables(contracts: Mapping[str, Contract]) -> dict[str, Contract]:
    """The declared contracts and what follows from each feed, by id."""
    derived = [c for feed in contracts.values() if feed.kind is Kind.FEED for c in silver_of(feed)]
    return dict(sorted({**contracts, **{c.id: c for c in derived}}.items()))


def tracked(contract: Contract) -> bool:
    """Whether each row of the table says which run wrote it: what a run has changed is then found without a look at the rest."""
    return any(c.name == WRITE_NUMBER for c in contract.columns)


def statistics_columns(contract: Contract) -> tuple[str, ...]:
    """Of which columns of a tracked table the files have a least and a largest value: keys, dates, numbers.

    By default the first 32 columns have, most of them texts in no order, of which nobody looks for a range.
    """
    return tuple(c.name for c in contract.columns if c.name in contract.keys or c.type in ("DATE", "TIMESTAMP", "INT", "BIGINT"))


def checksum_sql(contract: Contract, engine: str) -> str:
    """An aggregate over all stored columns whose value is the same text in Spark and in Trino, whatever the order of rows.

    Each row becomes one text (NULL is told from '' by a mark), that text's CRC-32 a number; the numbers are added: ``crc32:71882…``.
    It finds what an engine misreads or a disk loses, not what somebody forges; a cryptographic digest of each row took twice the time.
    ``engine`` is ``spark`` or ``trino``.
    """
    return _checksum(physical_columns(contract), engine)


def contents_sql(contract: Contract, engine: str, source: str, since: int | None) -> str:
    """A query of the number of rows and the checksum of ``source``, a version of the contract's table: one row, two columns.

    With ``since``, of a tracked table: a sum over key and write number of every row, which says what rows there are, and a sum over all
    columns of those written by run ``since`` or later: ``rows-crc32:<sum>;<since>:<sum>``. What was written before was compared then.
    """
    if since is None:
        return f"SELECT count(*), {checksum_sql(contract, engine)} FROM {source}"  # noqa: S608 - names come from contracts
    if not tracked(contract):
        raise ValueError(f"{contract.id} does not say which run wrote a row")
    identity = _checksum([c for c in contract.columns if c.name in (*contract.keys, WRITE_NUMBER)], engine)
    if since == 0:  # all of it: one look does
        return f"SELECT count(*), concat('rows-', {identity}, ';0:', {checksum_sql(contract, engine)}) FROM {source}"  # noqa: S608
    return (
        f"SELECT a.n, concat('rows-', a.s, ';{since:d}:', b.s) FROM (SELECT count(*) AS n, {identity} AS s FROM {source}) AS a"  # noqa: S608
        f" CROSS JOIN (SELECT {checksum_sql(contract, engine)} AS s FROM {source} WHERE {WRITE_NUMBER} >= {since:d}) AS b"
    )


def checksum_since(checksum: str | None) -> int | None:
    """The ``since`` of a checksum that `contents_sql` made with it; None for any other."""
    found = re.fullmatch(r"rows-crc32:\d+;(\d+):crc32:\d+", checksum or "")
    return int(found[1]) if found else None


def _checksum(columns: Iterable[Column], engine: str) -> str:
    texts = [f"coalesce({_canonical(c, engine)}, '\u2400')" for c in columns]
    row = f"concat_ws('\u241f', {', '.join(texts)})"
    octets, text = (f"CAST({row} AS BINARY)", "STRING") if engine == "spark" else (f"to_utf8({row})", "varchar")
    return f"concat('crc32:', coalesce(CAST(sum(crc32({octets})) AS {text}), '0'))"


def _canonical(column: Column, engine: str) -> str:
    name, spark = column.name, engine == "spark"
    if column.type == "TIMESTAMP":
        return f"CAST(unix_millis({name}) AS STRING)" if spark else f"CAST(CAST(to_unixtime({name}) * 1000 AS bigint) AS varchar)"
    if column.type == "ARRAY<STRING>":
        # The number of items tells [] from [''], the separator that no text has tells ['a,b'] from ['a', 'b'].
        size = f"CAST({'size' if spark else 'cardinality'}({name}) AS {'STRING' if spark else 'varchar'})"
        return f"concat({size}, '[', array_join({name}, '\u241e', '\u2400'), ']')"
    if column.type in ("DOUBLE", "FLOAT"):
        raise NotImplementedError(f"{column.name}: a checksum over binary fractions differs between engines; use a decimal")
    return f"CAST({name} AS {'STRING' if spark else 'varchar'})"


def trino_type(column: Column) -> str:
    """The type under which Trino shows a stored column, e.g. ``varchar``, ``decimal(20, 2)``, ``array(varchar)``."""
    names = {"STRING": "varchar", "INT": "integer", "TIMESTAMP": "timestamp(3) with time zone", "ARRAY<STRING>": "array(varchar)"}
    return names.get(column.type, column.type.lower().replace(",", ", "))


def spark_schema(contract: Contract) -> str:
    """The stored columns as a Spark DDL string, e.g. `area_code STRING NOT NULL, end_year INT`."""
    return ", ".join(f"{c.name} {c.type}{' NOT NULL' if c.required else ''}" for c in physical_columns(contract))


def create_table_sql(contract: Contract, properties: Mapping[str, str]) -> str:
    """Spark SQL that creates the Delta table if it is not there, with Chinese comments and the given table properties."""
    lines = ",\n".join(
        f"  {c.name} {c.type}{' NOT NULL' if c.required else ''} COMMENT {_spark_text(column_comment(c))}" for c in physical_columns(contract)
    )
    sql = f"CREATE TABLE IF NOT EXISTS {table_name(contract)} (\n{lines}\n)\nUSING DELTA\nCOMMENT {_spark_text(table_comment(contract))}"
    if properties:
        sql += "\nTBLPROPERTIES (" + ", ".join(f"{_spark_text(k)} = {_spark_text(v)}" for k, v in sorted(properties.items())) + ")"
    return sql


def header_bindings(contract: Contract) -> dict[str, str]:
    """Header text → column: each column's name, Chinese name and synonyms. A header that is not here is unknown."""
    return {header: column.name for column in contract.columns for header in column.headers}


def required_headers(contract: Contract) -> tuple[str, ...]:
    """Columns of a feed without which a delivery is refused."""
    return tuple(c.name for c in contract.columns if c.required and not c.reserved)


def column_comment(column: Column) -> str:
    """What a reader sees beside a column: Chinese name, meaning, allowed values."""
    allowed = "；".join(f"{value}={label}" for value, label in column.allowed)
    return f"{column.chinese}：{column.meaning}" + (f"（{allowed}）" if allowed else "")


def table_comment(contract: Contract) -> str:
    """What a reader sees beside a table: Chinese name, description, grain."""
    return f"{contract.chinese}：{contract.description}。{contract.grain}。"


def view_comments(contract: Contract) -> dict[str, Any]:
    """Comments of the readers' view: `{"view": text, "columns": {column: text}}`. Replacing a view drops them, so set them again."""
    return {"view": table_comment(contract), "columns": {c.name: column_comment(c) for c in view_columns(contract)}}


def trino_rules(contracts: Iterable[Contract], roles: Sequence[str], districts: Iterable[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Table rules for file-based access control: `{"tables": [...]}`; a role is the group of that name, people of a district office are those of a group
    for each of the ``districts`` (`district_group`), and read its rows alone.

    First match wins, and what matches no rule is denied: system tables and other catalogs need rules of their own beside these.
    Order: the publisher; then nobody else beneath the views or in the publisher's catalog; then each table for its readers,
    first the steward in clear, then the others with masks.
    Raises ValueError when a contract names a reader that is not among `roles`, or `roles` lacks the publisher.
    """
    if PUBLISHER not in roles:
        raise ValueError(f"role {PUBLISHER} is missing; without it nobody can publish")
    views = "|".join((*VIEW_SCHEMAS, *PINNED_SCHEMAS))
    both = f"{READ_CATALOG}|{PUBLISH_CATALOG}"
    # OWNERSHIP creates and replaces views; what lies beneath them is only read, and GRANT_SELECT lets a view pass that reading on.
    rules: list[dict[str, Any]] = [
        _rule(PUBLISHER, PUBLISH_CATALOG, views, ".*", ["SELECT", "GRANT_SELECT", "OWNERSHIP"]),
        _rule(PUBLISHER, READ_CATALOG, views, ".*", ["SELECT", "GRANT_SELECT"]),
        _rule(PUBLISHER, both, "|".join(f"{s}_tables" for s in VIEW_SCHEMAS), ".*", ["SELECT", "GRANT_SELECT"]),
        {"catalog": PUBLISH_CATALOG, "privileges": []},
        {"catalog": both, "schema": ".*_(tables|pinned)", "privileges": []},
    ]
    offices = sorted(set(districts))
    for contract in sorted(contracts, key=lambda c: c.id):
        unknown = sorted(set(contract.readers) - set(roles))
        if unknown:
            raise ValueError(f"{contract.id}: readers {', '.join(unknown)} are no roles; known are {', '.join(roles)}")
        columns = bronze_columns(contract) if contract.layer == "bronze" else view_columns(contract)
        masks = [{"name": c.name, "mask": column_mask(c)} for c in columns if c.personal]
        # Without personal columns one rule serves all readers.
        everywhere = [r for r in contract.readers if r != DISTRICT]
        clear = [r for r in everywhere if r == STEWARD or not masks]
        masked = [r for r in everywhere if r not in clear]
        if clear:
            rules.append(_rule("|".join(sorted(clear)), READ_CATALOG, contract.layer, contract.name, ["SELECT"]))
        if masked:
            rules.append(_rule("|".join(sorted(masked)), READ_CATALOG, contract.layer, contract.name, ["SELECT"]) | {"columns": masks})
        for code in offices if DISTRICT in contract.readers else ():
            own = _rule(district_group(code), READ_CATALOG, contract.layer, contract.name, ["SELECT"]) | {"filter": district_filter(contract, code)}
            rules.append(own | ({"columns": masks} if masks else {}))
    return {"tables": rules}


def district_group(code: str) -> str:
    """The group of a district office's people: of the district with this code (GB/T 2260)."""
    return f"{DISTRICT}_{code}"


def district_filter(contract: Contract, code: str) -> str:
    """Trino expression of the rows of a table that a district office reads: what is registered in its district or supervised by it; of tables that tell of
    subjects what is of those."""
    columns = {c.name for c in contract.columns}
    if "district_code" in columns:
        either = [f"{name} = '{code}'" for name in ("district_code", "supervising_district_code") if name in columns]
        return " OR ".join(either)
    return f"subject_id IN (SELECT subject_id FROM {READ_CATALOG}.gold.archive_subject)"  # noqa: S608 - of which it reads its own, too


def column_mask(column: Column) -> str:
    """Trino expression that stands for a personal column: text shows only that there is a value, anything else shows nothing."""
    if column.type == "STRING":
        return f"CAST(CASE WHEN {column.name} IS NOT NULL THEN '{MASK_TEXT}' END AS varchar)"
    return f"CAST(NULL AS {TRINO_TYPES.get(column.type, column.type.lower())})"


def statement_order_sql(records: Contract) -> str:
    """What is said of one record and business day, in order, by columns of its typed records: what stands is last.

    Of one day and revision what is said of the later day stands: a removal after the listing that it ends. (No date is ten million days after
    1900.) A source that says when it changed a row says by that what stands, and goes before a file of the same day that doesn't.
    """
    order = "CAST(source_revision AS BIGINT) * 10000000 + datediff(occurred_on, DATE '1900-01-01')"
    return f"coalesce(unix_millis({CHANGED_AT}), {order})" if any(c.name == CHANGED_AT for c in records.columns) else order


def event_sql(feed: Contract, event: Event) -> dict[str, str]:
    """An event of a feed as Spark SQL over its typed records: ``party``, ``occurred_on``, ``matter`` and ``summary`` (``名称：值；…``), beside its texts.

    The party of an event that is told through other feeds is in a column `THROUGH`, which whoever works it out has to add.
    """
    columns = {c.name: c for c in (*feed.columns, *feed.derived_columns)}
    day = f"CAST(convert_timezone(current_timezone(), 'Asia/Shanghai', CAST({event.day} AS TIMESTAMP_NTZ)) AS DATE)"
    on = event.day if columns[event.day].type == "DATE" else day
    says = ", ".join(f"concat('{c.chinese}：', {_said(c)})" for c in (columns[name] for name in event.says))
    said = {"party": THROUGH if event.through else event.party, "matter": event.number or "CAST(NULL AS STRING)"}
    return said | {"section": event.section, "event": event.event, "occurred_on": on, "summary": f"concat_ws('；', {says})"}


def label_sql(column: Column) -> str | None:
    """What a reader is shown in the place of a code or of yes and no, as SQL of either engine; None for any other column."""
    name = column.name
    if column.allowed:
        cases = " ".join(f"WHEN {_quoted(value)} THEN {_quoted(label)}" for value, label in column.allowed)
        return f"CASE {name} {cases} ELSE {name} END"
    if column.type == "BOOLEAN":
        return f"CASE WHEN {name} THEN '是' WHEN NOT {name} THEN '否' END"
    return None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _said(column: Column) -> str:
    """A value in the words of a reader; NULL where there is none."""
    name = column.name
    if (label := label_sql(column)) is not None:
        return label
    if column.reader == "ratio":
        return f"concat(format_number({name} * 100, 2), '%')"
    if column.type.startswith("DECIMAL"):
        return f"concat(format_number({name}, 2), ' 元')"
    return f"nullif(left(CAST({name} AS STRING), {MOST_SAID}), '')"


def stated_groups(archive: Contract) -> list[dict[str, Any]]:
    """Of an archive the columns that one record decides together, by which of them, and (Spark SQL) where a record says something of it."""
    return [
        {"by": g.by, "columns": [g.by, *g.beside], "condition": f"{g.by} <> '{g.nothing}'" if g.nothing else f"{g.by} is not null"}
        for g in archive.stated
    ]


def timeline_feeds(contracts: Mapping[str, Contract]) -> list[dict[str, Any]]:
    """Of each feed that brings events into the timeline: its name, the order of statements, its events in theirs (`event_sql`), and ``through``: where its
    records don't say who is meant, the feeds that do, with their columns ``number`` and ``party``, and ``number``, its own column of the same."""
    told: dict[str, list[Event]] = {}
    for e in (e for contract in contracts.values() for e in contract.events):
        told.setdefault(e.feed, []).append(e)

    def through(names: Sequence[str]) -> list[dict[str, Any]]:
        by_number = {name: next(e for e in told[name] if e.number) for name in names}
        return [{"name": name, "number": e.number, "party": e.party} for name, e in sorted(by_number.items())]

    return [
        {
            "name": name,
            "order": statement_order_sql(records_of(contracts[f"bronze.{name}"])),
            "events": [{"number": number} | event_sql(contracts[f"bronze.{name}"], e) for number, e in enumerate(events)],
            "through": through(events[0].through),
            "number": events[0].number,
        }
        for name, events in told.items()
    ]


def dbt_sources(contracts: Iterable[Contract]) -> dict[str, Any]:
    """dbt sources: the declared tables of silver, of which gold is made, and the records that the timeline tells of, grouped by their schema."""
    declared = list(contracts)
    told = {e.feed for c in declared for e in c.events}
    of_feeds = [records_of(c) for c in declared if c.kind is Kind.FEED and c.name in told]
    by_schema: dict[str, list[Contract]] = {}
    for contract in sorted([*declared, *of_feeds], key=lambda c: c.id):
        if contract.layer == "silver":
            by_schema.setdefault(table_schema(contract), []).append(contract)
    return {
        "version": 2,
        "sources": [
            {
                "name": schema,
                "schema": schema,
                "tables": [
                    {"name": c.name, "description": table_comment(c)} | ({} if c.kind is Kind.RECORD else {"columns": _dbt_columns(c)}) for c in group
                ],
            }
            for schema, group in by_schema.items()
        ],
    }


def dbt_model_yml(contract: Contract) -> dict[str, Any]:
    """dbt properties of a gold model: comment, columns with types, and its key as a data test.

    The contract's other rules are judged by Great Expectations at the gate; dbt stops at once where a model has doubled its rows.
    """
    tests = [
        {
            "unique_key": {
                "name": rule.id,
                "arguments": {"columns": list(rule.columns)} | ({"tracked": True} if tracked(contract) else {}),
                "config": _dbt_severity(rule),
            }
        }
        for rule in contract.rules
        if rule.metric == "duplicateValues"
    ]
    model = {"name": contract.name, "description": table_comment(contract), "config": {"contract": {"enforced": True}}}
    return {"version": 2, "models": [model | ({"data_tests": tests} if tests else {}) | {"columns": _dbt_columns(contract)}]}


def _as_text(column: Column) -> Column:
    return Column(
        name=column.name,
        chinese=column.chinese,
        meaning=column.meaning,
        type="STRING",
        classification=column.classification,
        synonyms=column.synonyms,
    )


def _rule(group: str, catalog: str, schema: str, table: str, privileges: list[str]) -> dict[str, Any]:
    return {"group": group, "catalog": catalog, "schema": schema, "table": table, "privileges": privileges}


def _spark_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _dbt_columns(contract: Contract) -> list[dict[str, Any]]:
    return [{"name": c.name, "description": column_comment(c), "data_type": c.type.lower()} for c in physical_columns(contract)]


def _dbt_severity(rule: Rule) -> dict[str, str]:
    return {"severity": "error" if rule.severity == "fail" else "warn"}
