"""Read what has changed in the exchange database (前置库) since the last time: each reading becomes a file in the feed's inbox.

The source is asked for rows that were changed after the last reading, less an overlap for changes that could not be seen yet. Once a day the
whole table is compared: what no time of change tells (a change that came later still, a row without a time, a row that is gone) is found by
that. Rows that bronze holds already are left out, so that a reading repeats nothing, and a later one finds what it has missed.

How far a feed has been read is no counter of its own: it follows from the readings whose deliveries were taken (docs/decisions/0026). A reading
that was cut, or whose delivery is refused because a column has changed, is made again.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from catalog.contract import CHANGED_AT, RECORD_STATE, Contract
from catalog.derive import header_bindings, table_name
from infra import clock
from infra.ledger import Pull, delivery_id
from infra.settings import HOST
from spark_jobs.ingest import pulled
from spark_jobs.ingest.pulled import Unreadable
from spark_jobs.ingest.tables import tidy
from spark_jobs.writing import Writer

MOST_ROWS = 200_000  # of one reading; what is more comes with the next
PARTS = 4  # connections that read at once; a power of two
FETCH_ROWS = 5_000
TRIES, WAIT_SECONDS = 4, 3
# A source that seems to have lost so many of its records has lost them by mistake: nobody is told that they are gone.
GONE_SHARE, GONE_FEW = 0.2, 20
GONE = "删除"
CONNECT_SECONDS, READ_SECONDS = 10, 300


class Database:
    """The exchange database, read by JDBC. ``feeds``: all that are read from it, so that one question tells the shapes of their tables.

    ``embedded``: it is the instance's own, for trying out; what is in it is made up. ``unreachable``: several tries in a row have failed.
    """

    def __init__(self, writer: Writer, feeds: Iterable[Contract]) -> None:
        self._writer, self._tables = writer, [feed.exchange.table for feed in feeds if feed.exchange]
        set_ = writer.context.settings.values["exchange"]
        self.embedded, self.unreachable = not set_["url"], False
        self._options = {
            "url": set_["url"] or f"jdbc:postgresql://{HOST}:{writer.context.settings.port('postgres')}/exchange",
            "user": set_["user"],
            # Its password is with the server (infra/services/spark).
            "driver": "org.postgresql.Driver",
            "fetchsize": str(FETCH_ROWS),
            "connectTimeout": str(CONNECT_SECONDS),
            "socketTimeout": str(READ_SECONDS),
        }

    @cached_property
    def shapes(self) -> dict[str, dict[str, str]]:
        """Type by column by table, of the tables that are there and may be read."""
        named = ", ".join(f"'{table}'" for table in self._tables)
        sql = (
            "SELECT table_schema || '.' || table_name AS name, column_name, data_type FROM information_schema.columns"  # noqa: S608 - names of contracts
            f" WHERE table_schema || '.' || table_name IN ({named}) ORDER BY ordinal_position"
        )
        found: dict[str, dict[str, str]] = {}
        for table, column, type_ in self._jdbc(query=sql).collect():
            found.setdefault(table, {})[column] = type_
        return found

    def row(self, expressions: str) -> list[str]:
        """The only row of ``SELECT expressions``, as text; an empty one for NULL."""
        return ["" if value is None else str(value) for value in self._jdbc(query=f"SELECT {expressions}").collect()[0]]

    def parts(self, query: str, conditions: list[str]) -> DataFrame:
        """The rows of a query, each condition read by a connection of its own."""
        return self._writer.spark.read.jdbc(
            self._options["url"], f"({query}) AS read", predicates=conditions, properties={k: v for k, v in self._options.items() if k != "url"}
        )

    def _jdbc(self, **what: str) -> DataFrame:
        return self._writer.spark.read.format("jdbc").options(**self._options, **what).load()


def pull(writer: Writer, database: Database, feed: Contract) -> bool:
    """Read the feed's rows from the exchange database into its inbox; return whether there may be more to read at once.

    Nothing is read while the delivery of the last reading waits to be taken. What can't be read is noted in the ledger, and stops no other feed.
    """
    taken = pulled.taken(writer.context.settings, writer.ledger, feed, database.embedded)
    if taken is None:
        return False
    reading = _Reading(writer, database, feed, taken)
    tries = 1 if database.unreachable else TRIES
    for attempt in range(1, tries + 1):
        try:
            if database.embedded and reading.table not in database.shapes:
                return False  # nobody has tried it out yet
            return reading.compare() if reading.comparison_is_due() else reading.changes()
        except Unreadable as error:
            problem = str(error)
            break
        except PySparkException as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            problem = (
                f"读不到前置库的表 {reading.table}：{lines[0] if lines else type(error).__name__}。请检查网络、账号和表名；下次运行会从原处再读。"
            )
            print(f"{feed.id}: 第 {attempt} 次没有读成：{problem}", flush=True)
            if attempt < tries:
                time.sleep(WAIT_SECONDS * attempt)
    else:
        database.unreachable = True  # for the other feeds one try will do
    print(f"{feed.id}: {problem}", flush=True)
    writer.ledger.note_pull(feed.name, "changes", problem=problem)
    return False


class _Reading:
    """One reading of a feed's table. ``taken``: the former readings whose rows the lake has."""

    def __init__(self, writer: Writer, database: Database, feed: Contract, taken: list[Pull]) -> None:
        assert feed.exchange
        self.writer, self.database, self.feed, self.taken = writer, database, feed, taken
        self.table, self.overlap = feed.exchange.table, dt.timedelta(minutes=feed.exchange.overlapMinutes)
        self.troubled = any(p.problem for p in writer.ledger.pulls(feed.name)[-1:])  # then a reading is noted also if it finds nothing

    # ---- what is read ----

    def changes(self) -> bool:
        """Deliver what was changed since the last reading; return whether there is more."""
        mark = max((p.upper_bound for p in self.taken if p.upper_bound), key=dt.datetime.fromisoformat, default=None)
        after = None if mark is None else dt.datetime.fromisoformat(mark) - self.overlap
        window = f"{self._changed} <= {self._now}" + ("" if after is None else f" AND {self._changed} > {self._at(after.isoformat(' '))}")
        later = f"{self._changed} <= {self._now}" + ("" if mark is None else f" AND {self._changed} > {self._at(mark)}")
        bound = f"SELECT {self._changed} FROM {self._from} WHERE {later} ORDER BY 1 LIMIT 1 OFFSET {MOST_ROWS}"  # noqa: S608 - names are quoted
        there, full, now = self.database.row(
            f"EXISTS (SELECT FROM {self._from} WHERE {window})::text AS a, ({bound})::text AS b, {self._now}::text AS c"
        )
        if there != "true" and not self.troubled:
            return False
        upper = full or now
        rows = self._read(f"{window} AND {self._changed} <= {self._at(upper)}")
        held = self._held(after)
        self._deliver("changes", upper, rows if held is None else rows.join(held, self._same(rows, held), "left_anti"), ())
        return bool(full)

    def compare(self) -> bool:
        """Deliver what the whole table says otherwise than the lake, and what the lake has and the table lacks.

        What stands in the lake is what has the latest time of change. So a row that the table states with an earlier one (by a clock that is
        behind, after a backup was brought back) or with none is given the time of the comparison: from then on it is known to stand.
        """
        (now,) = self.database.row(f"{self._now}::text AS now")
        rows, held = self.writer.hold(self._read("true"), "compared_rows"), self._held(None)
        if held is None:
            self._deliver("comparison", now, rows, ())
            return True
        keys = list(self.feed.record_key)
        content = [name for name in self._columns.values() if name in held.columns and name not in (*keys, CHANGED_AT)]
        states = self.writer.hold(self._standing(held, keys, content), "compared_keys")
        said = rows.select(*[F.coalesce(name, F.lit("")).alias(name) for name in rows.columns])
        gone = states.where("NOT is_gone").join(said.select(*keys), keys, "left_anti").select(*keys, _after(F.lit(now)).alias(CHANGED_AT)).collect()
        known = states.where("NOT is_gone").count()
        fresh = (
            said.join(states, keys, "left")
            .where(F.col("is_gone").isNull() | F.col("is_gone") | F.col("is_unclear") | (F.col("stands") != F.struct(F.lit(0), *content)))
            .withColumn(
                CHANGED_AT, F.when(_millis(F.col(CHANGED_AT)) > F.coalesce("last_millis", F.lit(0)), F.col(CHANGED_AT)).otherwise(_after(F.lit(now)))
            )
        ).select(*said.columns)
        if len(gone) > max(GONE_FEW, GONE_SHARE * known):
            self._deliver("changes", now, fresh, ())
            problem = (
                f"前置库的表 {self.table} 少了 {len(gone):,} 条记录（已有 {known:,} 条），多半是误清空或只恢复了一部分，没有当作删除处理。"
                "请与供数部门核对；确属删除的，请分批删除，或以状态列说明。"
            )
            print(f"{self.feed.id}: {problem}", flush=True)
            self.writer.ledger.note_pull(self.feed.name, "comparison", problem=problem)
        else:
            self._deliver("comparison", now, fresh, [{**row.asDict(), RECORD_STATE: GONE} for row in gone])
        return True

    def _standing(self, held: DataFrame, keys: list[str], content: list[str]) -> DataFrame:
        """How each record stands in the lake: its last time of change, what it says then, whether it is gone, whether several things were said at once."""
        of_record = Window.partitionBy(*keys)
        last = (
            held.withColumn("millis", _millis(F.col(CHANGED_AT)))
            .withColumn("last_millis", F.max("millis").over(of_record))
            .where("millis = last_millis")
        )
        return last.groupBy(*keys).agg(
            F.max("last_millis").alias("last_millis"),
            F.max_by(F.struct(F.lit(0), *content), "pull_id").alias("stands"),
            F.max_by(F.col(RECORD_STATE).isin(self._words_for_gone), "pull_id").alias("is_gone"),
            (F.count_distinct(F.struct(RECORD_STATE, *content)) > 1).alias("is_unclear"),
        )

    def comparison_is_due(self) -> bool:
        """Once a day, from the day after the first reading on, or when somebody has asked for it."""
        today = clock.china_day(dt.datetime.now(dt.UTC))
        made = [p for p in self.writer.ledger.pulls(self.feed.name) if p.kind == "comparison"] or self.taken[:1]
        return bool(self.taken) and (clock.china_day(made[-1].pulled_at) < today or self.writer.ledger.comparison_asked(self.feed.name))

    # ---- what the lake has ----

    def _held(self, after: dt.datetime | None) -> DataFrame | None:
        """The rows of former readings as bronze holds them, with the reading's number; only of those that may hold changes later than ``after``."""
        chosen = [p for p in self.taken if p.sha256 and (after is None or dt.datetime.fromisoformat(str(p.upper_bound)) > after)]
        if not chosen or not self.writer.spark.catalog.tableExists(table_name(self.feed)):
            return None
        numbers = {delivery_id(self.feed.name, str(p.sha256)): p.pull_id for p in chosen}
        numbered = self.writer.spark.createDataFrame(list(numbers.items()), "delivery_id STRING, pull_id BIGINT")
        names = [c.name for c in self.feed.columns if not c.reserved]
        bronze = self.writer.spark.table(table_name(self.feed)).where(F.col("delivery_id").isin(list(numbers)))
        return bronze.join(F.broadcast(numbered), "delivery_id").select("pull_id", *[F.coalesce(n, F.lit("")).alias(n) for n in names])

    def _same(self, rows: DataFrame, held: DataFrame) -> list[Any]:
        """Whether a row of the source is one that is held, in all columns. An empty text and none are one thing in bronze."""
        return [F.coalesce(rows[name], F.lit("")) == held[name] for name in self._columns.values() if name in held.columns]

    @cached_property
    def _words_for_gone(self) -> list[str]:
        column = self.feed.column(RECORD_STATE)
        return [
            text
            for text, value in [*column.spoken, *((label, value) for value, label in column.allowed), *((v, v) for v, _ in column.allowed)]
            if value == "withdrawn"
        ]

    # ---- the file ----

    def _deliver(self, kind: str, upper: str, rows: DataFrame, gone: Iterable[Mapping[str, str]]) -> None:
        """Write rows into a file, note the reading, and put the file into the inbox: killed in between, it is made or handed over again."""
        settings, ledger, number = self.writer.context.settings, self.writer.ledger, self.writer.ledger.next_pull()
        path = pulled.spool(settings, self.feed) / f"前置库读取_{number:08}.jsonl"
        own = {ours: theirs for theirs, ours in self._columns.items()}
        nothing = dict.fromkeys([*own.values(), own.get(RECORD_STATE, RECORD_STATE)])  # all columns in each row: its keys are the header
        count, withdrawn = 0, 0
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows.toLocalIterator():
                file.write(pulled.line(nothing | {own[name]: text for name, text in row.asDict().items()}))
                count += 1
            for key in gone:
                file.write(pulled.line(nothing | {own.get(name, name): text for name, text in key.items()}))
                count, withdrawn = count + 1, withdrawn + 1
        pulled.deliver(settings, ledger, self.feed, kind, upper, path, count, withdrawn, number, self.database.embedded)
        of_them = f"，其中来源已删除 {withdrawn:,} 条" if withdrawn else ""
        print(f"{self.feed.id}: {'比对' if kind == 'comparison' else '读取'}前置库的表 {self.table}：{count:,} 条{of_them}", flush=True)

    # ---- the source ----

    @property
    def _shape(self) -> dict[str, str]:
        if self.table not in self.database.shapes:
            raise Unreadable(f"前置库里没有表 {self.table}，或读取账号看不到它。请供数部门建表、授权；之后会从原处读起。")
        return self.database.shapes[self.table]

    @cached_property
    def _columns(self) -> dict[str, str]:
        """The table's columns, each with the name under which it is read: the contract's, or its own where the contract knows none.

        Raises Unreadable where they are not such that changes can be told.
        """
        bindings = header_bindings(self.feed)
        found = {name: bindings.get(tidy(name), name) for name in self._shape}
        bound = list(found.values())
        missing = [self.feed.column(n).chinese for n in (CHANGED_AT, *self.feed.record_key) if n not in bound]
        twice = [name for name, ours in found.items() if bound.count(ours) > 1]
        if missing or twice:
            what = f"没有“{'”“'.join(missing)}”列" if missing else f"有几列意思相同（{'、'.join(twice)}）"
            raise Unreadable(
                f"前置库的表 {self.table} {what}。现有的列：{'、'.join(found)}。"
                "请供数部门恢复列名，或请数据管理员在合同里登记新的列名；之后会从原处读起。"
            )
        return found

    @property
    def _type(self) -> str:
        """The type of its time of change."""
        type_ = self._shape[next(theirs for theirs, ours in self._columns.items() if ours == CHANGED_AT)]
        if not type_.startswith("timestamp"):
            raise Unreadable(
                f"前置库的表 {self.table} 的“{self.feed.column(CHANGED_AT).chinese}”列不是时间类型（{type_}）。请供数部门改为 timestamp。"
            )
        return type_

    @property
    def _changed(self) -> str:
        return _quoted(next(theirs for theirs, ours in self._columns.items() if ours == CHANGED_AT))

    @property
    def _from(self) -> str:
        return ".".join(map(_quoted, self.table.split(".")))

    @property
    def _now(self) -> str:
        """The source's own clock; a time without a zone is China's."""
        return "now()" if "with time zone" in self._type else "(now() AT TIME ZONE 'Asia/Shanghai')"

    def _at(self, moment: str) -> str:
        return f"'{moment}'::{self._type}"

    def _read(self, where: str) -> DataFrame:
        """The rows that meet a condition, all columns as the text that the database shows.

        Parts are told apart by the key: a record that exists all the time is in the part that it belongs to, whatever is changed meanwhile.
        """
        texts = ", ".join(f"{_quoted(theirs)}::text AS {_quoted(ours)}" for theirs, ours in self._columns.items())
        key = f"hashtext(concat_ws(chr(31), {', '.join(_quoted(k) for k in self.feed.record_key)}))"
        query = f"SELECT {texts} FROM {self._from} WHERE {where}"  # noqa: S608 - names are quoted, bounds come from the source's clock
        return self.database.parts(query, [f"({key} & {PARTS - 1}) = {part}" for part in range(PARTS)])


def _millis(moment: Column) -> Column:
    """A time of change as the database shows it, in milliseconds; 0 for none. (Spark wants minutes in an offset.)"""
    whole = F.regexp_replace(moment, r"([+-]\d\d)$", "$1:00")
    return F.coalesce(F.unix_millis(whole.try_cast("timestamp")), F.lit(0))


def _after(now: Column) -> Column:
    """The time of the comparison, or just behind the last time of change where that lies ahead of it."""
    millis = F.greatest(_millis(now), F.coalesce("last_millis", F.lit(0)) + 1)
    return F.date_format(F.timestamp_millis(millis), "yyyy-MM-dd HH:mm:ss.SSSXXX")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
