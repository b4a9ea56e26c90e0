"""From records to subjects: keys, links inside a key, contested codes, ids.

A record's key is its credit code, else its registration number, else its normalised name with its district. Records
under one key are one subject when they are linked by the same normalised name or the same registration date, directly or over
others. Where more than one group remains, the code is contested: each group is a subject of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

T = TypeVar("T", bound=Hashable)
KEY = ("key_kind", "key_value")
KEY_KIND = "CASE WHEN credit_code IS NOT NULL OR registration_number IS NOT NULL THEN identifier_kind ELSE 'name' END"
KEY_VALUE = "coalesce(credit_code, registration_number, concat(normalized_name, '|', coalesce(district_code, '')))"
TRUSTED = "identifier_kind = 'uscc' AND identifier_check IN ('passed', 'pilot')"  # a credit code that can be relied upon
# Of one day and revision what stands under such a code goes before what stands under a mistyped one.
ORDER_OF_A_DAY = "source_revision * 2 + CAST(trusted AS INT)"
GROUPS = "key_kind STRING, key_value STRING, normalized_name STRING, registration_date DATE, earliest_name STRING"


def key_id_sql(kind: str, value: str) -> str:
    """The id form of a key: ``S`` and 16 hex digits of SHA-256 over ``<kind>:<value>``. Arguments are SQL expressions."""
    return f"concat('S', substr(sha2(concat({kind}, ':', {value}), 256), 1, 16))"


def with_key(frame: DataFrame) -> DataFrame:
    """Add ``key_kind`` and ``key_value`` to typed records."""
    return frame.withColumn("key_kind", F.expr(KEY_KIND)).withColumn("key_value", F.expr(KEY_VALUE))


def shared_keys(new: DataFrame, stored: DataFrame) -> DataFrame:
    """The keys of ``new`` records that have more than one of them, or a ``stored`` one."""
    records = new.select(*KEY, F.lit(1).alias("records")).union(stored.select(*KEY, F.lit(2)))
    return records.groupBy(*KEY).agg(F.sum("records").alias("records")).where("records > 1").select(*KEY)


def lone_subjects(records: DataFrame) -> DataFrame:
    """Add what `assign_subjects` and `spark_jobs.history.outcomes` say of a record that is the only one of its key."""
    return (
        records.withColumn("subject_id", F.expr(key_id_sql(*KEY)))
        .withColumn("fact_outcome", F.lit("applied"))
        .withColumn("is_conflict", F.lit(False))
    )


class Together(Generic[T]):
    """Things that have been put together, directly or over others; each is alone at first."""

    def __init__(self) -> None:
        self._parent: dict[T, T] = {}

    def root(self, thing: T) -> T:
        """The one that stands for all that ``thing`` was put together with."""
        parent = self._parent
        while parent.setdefault(thing, thing) != thing:
            parent[thing] = thing = parent[parent[thing]]
        return thing

    def put(self, thing: T, other: T) -> None:
        """Put two together; what stood for ``thing`` stands for both."""
        self._parent[self.root(other)] = self.root(thing)


def linked_groups(states: Iterable[tuple[str, object, object]], apart: Collection[frozenset[str | None]] = ()) -> dict[tuple[str, object], str]:
    """Group the states of one key: ``(normalized name, registration date, first effective date)``.

    Returns, for each (name, date), the earliest name of its group: the name of its state that is effective first, ties by name. Names of which
    somebody decided that they are not one subject (``apart``, in pairs) never come into one group. The result does not depend on the order of
    the states.
    """
    ordered = sorted(set(states), key=lambda s: (s[2] is None, s[2], s[0], str(s[1])))
    together = Together[tuple[str, object]]()
    root = together.root
    names: dict[object, set[str]] = {}
    for name, date, _ in ordered:
        of_name, of_date = root(("name", name)), root(("date", date))
        mine, others = names.setdefault(of_name, {name}), names.get(of_date, set())
        if apart and any(frozenset((a, b)) in apart for a in mine for b in others):
            continue
        together.put(of_name, of_date)
        names[of_name] = mine | others
    earliest: dict[object, str] = {}
    for name, _, _ in ordered:
        earliest.setdefault(root(("name", name)), name)
    return {(name, date): earliest[root(("name", name))] for name, date, _ in ordered}


def _groups_of_key(states: pa.Table) -> pa.Table:
    columns = states.to_pydict()
    groups = linked_groups(zip(columns["normalized_name"], columns["registration_date"], columns["first_effective"], strict=True))
    kind, value = columns["key_kind"][0], columns["key_value"][0]
    rows = [(kind, value, name, date, earliest) for (name, date), earliest in groups.items()]
    names = ("key_kind", "key_value", "normalized_name", "registration_date", "earliest_name")
    types = (pa.string(), pa.string(), pa.string(), pa.date32(), pa.string())
    return pa.table({n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(zip(names, types, strict=True))})


def assign_subjects(records: DataFrame) -> DataFrame:
    """Add ``subject_id``, ``anchor_kind``, ``anchor_value`` and ``contested`` to the records of whole keys (all records of each key)."""
    whole = Window.partitionBy(*KEY)
    counted = records.withColumn("_names", F.size(F.collect_set("normalized_name").over(whole))).withColumn(
        "_dates", F.size(F.collect_set("registration_date").over(whole))
    )
    # Most keys have one name or one date and need no look at their groups.
    states = (
        counted.where("_names > 1 AND _dates > 1")
        .groupBy(*KEY, "normalized_name", "registration_date")
        .agg(F.min("effective_from").alias("first_effective"))
    )
    groups = states.groupBy(*KEY).applyInArrow(_groups_of_key, GROUPS)
    joined = counted.join(groups, [*KEY, "normalized_name", "registration_date"], "left").withColumn(
        "contested", F.size(F.collect_set("earliest_name").over(whole)) > 1
    )
    return (
        joined.withColumn("anchor_kind", F.expr("CASE WHEN contested THEN 'uscc_name' ELSE key_kind END"))
        .withColumn("anchor_value", F.expr("CASE WHEN contested THEN concat(key_value, '|', earliest_name) ELSE key_value END"))
        .withColumn("subject_id", F.expr(key_id_sql("anchor_kind", "anchor_value")))
        .drop("_names", "_dates", "earliest_name")
    )
