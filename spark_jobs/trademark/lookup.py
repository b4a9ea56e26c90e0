"""The names of a release, to be asked one at a time: what is protected and what is filed, with the index that finds what comes close.

A folder for each state of the two tables, written once, mapped into memory by whoever asks (the resident process under the supervisor, or the command
itself); ``current`` names the one of the release that readers see. All of it follows from the release and may be deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import ipc
from pyspark.sql import SparkSession

from infra.ledger import TableVersion
from infra.settings import Settings
from spark_jobs.trademark import index, named, similarity
from spark_jobs.trademark.goods import Goods, Relation, relation
from spark_jobs.trademark.normalise import normalise
from spark_jobs.trademark.told import NO_WORDS

ENTRIES, INDEX = "entries.arrow", "index"
# Rights that rest on a mark are there as the mark itself. Owners are named who are market subjects, as the register names them: of others the name may be
# a person's.
_ENTRIES = """
    SELECT right_kind AS entry, right_id AS number, right_name AS name, owner_name AS owner, district_name AS place, nice_classes AS classes,
        similar_groups AS groups, CAST(right_since AS STRING) AS since, CAST(NULL AS STRING) AS state
    FROM gold_tables.trademark_rights VERSION AS OF {rights} WHERE right_kind <> 'mark'
    UNION ALL
    SELECT 'filing', m.mark_number, m.trademark_name, s.subject_name, m.district_name, CAST(m.nice_class AS STRING), m.similar_groups,
        CAST(coalesce(m.applied_on, m.preliminarily_published_on, m.mark_registered_on) AS STRING), m.mark_validity
    FROM gold_tables.trademark_marks VERSION AS OF {marks} AS m
        LEFT JOIN gold_tables.archive_subject VERSION AS OF {subjects} AS s ON s.subject_id = m.owner_subject_id
    WHERE m.trademark_name IS NOT NULL AND m.trademark_name NOT IN ({no_words}) AND m.mark_validity IN ('filed', 'published', 'valid', 'grace')"""


def follow(settings: Settings, spark: SparkSession, release: str | None, tables: Iterable[TableVersion]) -> None:
    """Make ``current`` name the names of a release, written now if they aren't there, or can't be read; those of other releases go.

    Without the tables in the release (no feed has told of marks) there are none.
    """
    several = list(tables)
    folder, key = named.folder(settings), named.key(several)
    if release is None or key is None:
        (folder / named.CURRENT).unlink(missing_ok=True)
        return
    if not _is_whole(folder / key):
        shutil.rmtree(folder / key, ignore_errors=True)
        versions = {t.table_name: int(t.version) for t in several}
        no_words = ", ".join(f"'{w}'" for w in NO_WORDS)
        sql = _ENTRIES.format(rights=versions[named.RIGHTS], marks=versions[named.MARKS], subjects=versions[named.SUBJECTS], no_words=no_words)
        write(spark.sql(sql).toArrow(), folder / key)
    beside = folder / f".{named.CURRENT}.{os.getpid()}"
    beside.write_text(f"{release} {key}\n", encoding="utf-8")
    beside.replace(folder / named.CURRENT)
    for other in folder.iterdir():
        if other.is_dir() and other.name != key:
            shutil.rmtree(other, ignore_errors=True)


def is_stale(settings: Settings, release: str | None, tables: Iterable[TableVersion]) -> bool:
    """Whether `follow` has something to do for a release: also where its names are there, and this code can't read them."""
    folder, key = named.folder(settings), named.key(tables)
    return not named.says(folder, release, key) or (key is not None and not _is_whole(folder / key))


def _is_whole(folder: Path) -> bool:
    """Whether names are there that this code can read."""
    try:
        index.load(folder / INDEX)
    except (OSError, ValueError):
        return False
    return (folder / ENTRIES).exists()


def write(entries: pa.Table, folder: Path) -> None:
    """Write names and their index into a folder that doesn't exist: whole, or not at all. ``entries``: as of `Lookup`."""
    print(f"名称检索：{entries.num_rows} 个受保护名称和商标", flush=True)
    built = index.build(np.arange(entries.num_rows, dtype=np.int32), entries["name"].to_pylist())
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    with pa.OSFile(str(beside / ENTRIES), "wb") as file, ipc.new_file(file, entries.schema) as writer:
        writer.write_table(entries.combine_chunks())
    index.save(built, beside / INDEX)
    beside.rename(folder)


@dataclass(frozen=True)
class Lookup:
    """The names of a release, mapped. ``entries``: columns entry, number, name, owner, place, classes, groups, since, state."""

    release: str
    key: str
    entries: pa.Table
    names: index.Index

    @classmethod
    def open(cls, folder: Path) -> Lookup:
        """The current names.

        Raises:
            FileNotFoundError: no release has names.
            ValueError: they were written by other code: `./lake up` has them written anew.
        """
        release, key = named.read_current(folder)
        return cls(release, key, ipc.open_file(pa.memory_map(str(folder / key / ENTRIES))).read_all(), index.load(folder / key / INDEX))

    def check(self, name: str, nice_class: int | None, groups: str = "", most: int = 20) -> dict[str, Any]:
        """What comes close to ``name`` for goods of a class (None: whatever it is for), the closest first; at most ``most``.

        ``found``: of each the entry, its relation of goods (by name of `Relation`, None without a class), mark and total similarity, verdict and the
        sentence that says why. ``candidates``: how many were compared.

        Raises:
            ValueError: nothing of the name can be compared, or there is no such class or group.
        """
        if not len(normalise([name]).codes):
            raise ValueError(f"“{name}”里没有可以比较的文字")
        goods = None
        if nice_class is not None:
            if not 1 <= nice_class <= 45:
                raise ValueError(f"没有第{nice_class}类：尼斯分类为1至45类")
            goods = Goods.read(nice_class, groups)
        candidates = index.query(self.names, [name])
        at = self.names.ids[candidates.places].astype(np.int64)
        told = self.entries.take(pa.array(at))
        related = (
            []
            if goods is None
            else [relation(_goods(c, g), goods) for c, g in zip(told["classes"].to_pylist(), told["groups"].to_pylist(), strict=True)]
        )
        kinds = None if goods is None else np.array(related, dtype=np.int8)
        scored = similarity.score(normalise([name]), self.names.names, candidates.rows, candidates.places, kinds, self.names.alike)
        # Of equally close ones that are protected for longest.
        order = sorted(
            np.flatnonzero(scored.verdict > similarity.Verdict.DIFFERENT).tolist(), key=lambda n: (-float(scored.total[n]), -float(scored.mark[n]), n)
        )
        shown = order[:most]
        entries = told.take(pa.array(shown, pa.int64())).to_pylist()
        pairs = [(name, e["name"], related[n] if goods is not None else Relation.SAME_GROUP) for e, n in zip(entries, shown, strict=True)]
        why = similarity.explain_all(pairs, self.names.alike)
        found = [
            e | {"goods": related[n].name.lower() if goods is not None else None, "mark": round(float(scored.mark[n]), 4), "total": round(float(scored.total[n]), 4),
                 "verdict": similarity.Verdict(int(scored.verdict[n])).name.lower(), "why": said.sentence}
            for e, n, said in zip(entries, shown, why, strict=True)
        ]  # fmt: skip
        return {
            "release": self.release, "name": name, "nice_class": nice_class, "names": len(self.names), "candidates": len(candidates), "similar": len(order), "found": found,
        }  # fmt: skip


def _goods(classes: str | None, groups: str | None) -> Goods:
    """Goods of an entry: what is no class or group is left out."""
    said = [int(c) for c in (classes or "").split("|") if c.isdigit()]
    of_groups = Goods.read(None, groups)
    return Goods(frozenset(c for c in said if 1 <= c <= 45) | of_groups.classes, of_groups.groups)
