"""Make the city: units of work in parallel, their rows put together by delivery in the order of the units, so that the bytes are the same."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samples.city import complaints, forms, sharing, supervision, trademarks
from samples.city.claims import claims
from samples.city.deliveries import BASELINE, Delivery, delivery, periods
from samples.city.dirt import KINDS, soil, wrong_first
from samples.city.feeds import FEEDS, Rows
from samples.city.parameters import Parameters, date_of
from samples.city.population import BRANCH, NEVER, Population, populate
from samples.city.population import KINDS as SUBJECT_KINDS
from samples.city.registration import owners, registration
from samples.city.vocabulary import DISTRICTS

SHARD = 50_000  # subjects whose records are made at once
HELD = 256 * 2**20  # bytes of made lines that wait in memory to be written
PARTS_OF = 500_000  # subjects in one file of what was there before the start
WORKERS = 2

_city: Population  # in each worker, by fork
_market: complaints.Market
_bursts: complaints.Bursts

Key = tuple[str, int, int, bool]  # feed, part, period, whether it is the draft of what is corrected later
Damage = tuple[str, int, int, int, int, str, str, str, str]  # feed, part, period, revision, row, kind, header, original, delivered


@dataclass
class Made:
    """What a unit of work has made: lines and their number, damage and unsent records, records of the source by day, truth."""

    lines: dict[Key, tuple[bytes, int]] = field(default_factory=dict)
    whose: dict[Key, list[np.ndarray]] = field(default_factory=dict)  # the subject of each line
    damage: list[Damage] = field(default_factory=list)
    unsent: list[tuple[str, int, int]] = field(default_factory=list)
    totals: Counter[tuple[str, int]] = field(default_factory=Counter)
    truth: dict[str, pa.Table] = field(default_factory=dict)


def make(p: Parameters, target: Path, progress: Callable[[str, float], None] = lambda what, share: None) -> dict[str, Any]:
    """Make the city in an empty folder: ``deliveries/<feed>/…`` with manifests, ``schedule.csv``, ``truth/``, ``city.json``.

    Returns what city.json says: size, rows by feed, and what the published rates claim beside what was made.

    Raises:
        FileExistsError: there is something in the folder.
    """
    global _city, _market, _bursts
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} 不是空的")
    progress("主体", 0.0)
    _city = populate(p)
    _market = complaints.Market(_city)
    _bursts = complaints.bursts(_city, _market)
    units = (
        [("subjects", first) for first in range(0, len(_city), SHARD)] + [("complaints", month) for month in range(12 * p.years)] + [("others", 0)]
    )
    book = _Book(p, target)
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
        waiting: deque[Future[Made]] = deque()
        queue = iter(units)
        for done in range(len(units)):
            for unit in queue:
                waiting.append(pool.submit(_unit, unit))
                if len(waiting) > WORKERS:
                    break
            book.take(waiting.popleft().result())
            progress("记录", (done + 1) / len(units))
    return book.close(progress)


def _unit(unit: tuple[str, int]) -> Made:
    what, place = unit
    p = _city.parameters
    g = p.generator(10 + {"subjects": 0, "complaints": 1, "others": 2}[what], place)
    made = Made()
    part = place // PARTS_OF if what == "subjects" else 0
    for rows in _rows(what, place, g, made):
        if len(rows.day):
            _deliver(p, rows, part, g, made)
    return made


def _rows(what: str, place: int, g: np.random.Generator, made: Made) -> Iterator[Rows]:
    if what == "subjects":
        who = np.arange(place, min(place + SHARD, len(_city)))
        yield from registration(_city, who, g)
        yield from supervision.supervision(_city, who, g)
        yield from sharing.sharing(_city, who, g)
        yield from trademarks.rows_of(_city, trademarks.honest(_city, who, g), g)
        made.truth |= _subject_truth(who)
    elif what == "complaints":
        rows, made.truth["demands"] = complaints.complaints(_city, _market, _bursts, place)
        yield from rows
    else:
        yield from supervision.registers(_city, g)
        yield complaints.public_opinion(_city, _market)
        yield trademarks.agents(_city)
        (output, first), (figures, second) = sharing.macro(_city), sharing.associations(_city)
        made.truth["macro"] = pa.concat_tables([first, second], promote_options="permissive")
        yield from (output, figures)
        filings, made.truth["squats"] = trademarks.squats(_city)
        yield from trademarks.rows_of(_city, trademarks.together(filings, trademarks.outsiders(_city)), g)
        made.truth["bursts"] = _burst_truth()
        made.truth["rings"] = pa.table({name: _city.rings[name] for name in ("ring", "company", "investor")})


def _deliver(p: Parameters, rows: Rows, part: int, g: np.random.Generator, made: Made) -> None:
    """Take out what is never sent, bring rows into the order of their deliveries, soil them, write them down."""
    feed = FEEDS[rows.feed]
    days, number = np.unique(rows.day, return_counts=True)
    made.totals.update({(feed.name, int(d)): int(n) for d, n in zip(days, number, strict=True)})
    unsent = (g.random(len(rows.day)) < p.rate("dirt.unsent")) & (rows.day >= p.start)
    made.unsent += [(feed.name, int(d), int(s)) for d, s in zip(rows.day[unsent], rows.subject[unsent], strict=True)]
    period = periods(p, feed, rows.day)
    order = np.flatnonzero(~unsent)
    order = order[np.argsort(period[order], kind="stable")]
    period = period[order]
    columns = {h: rows.columns[h].take(pa.array(order)) for h in feed.headers}
    columns, damage = soil(p, feed, columns, g)
    which, begins = np.unique(period, return_index=True)
    ends = np.append(begins[1:], len(period))
    text, offsets = forms.lines(feed, columns)
    by_period = np.searchsorted(begins, [row for row, *_ in damage], side="right") - 1
    for number_, (w, b, e) in enumerate(zip(which, begins, ends, strict=True)):
        key = (feed.name, part if feed.full and w == BASELINE else 0, int(w), False)
        revision = 1 if delivery(p, feed, int(w)).corrected else 0
        mine = [damage[i] for i in np.flatnonzero(by_period == number_)] if damage else []
        _add(made, key, bytes(text[offsets[b] : offsets[e]]), int(e - b), revision, [(row - int(b), *what) for row, *what in mine])  # type: ignore[misc]
        made.whose.setdefault(key, []).append(rows.subject[order[b:e]])
        if revision:
            draft, wrong = wrong_first(feed, {h: c.slice(b, e - b) for h, c in columns.items()}, g)
            first, _ = forms.lines(feed, draft)
            _add(made, (*key[:3], True), bytes(first), int(e - b), 0, wrong)


def _add(made: Made, key: Key, text: bytes, rows: int, revision: int, damage: list[tuple[int, str, str, str, str]]) -> None:
    before, already = made.lines.get(key, (b"", 0))
    made.damage += [(*key[:3], revision, already + row, kind, header, old, new) for row, kind, header, old, new in damage]
    made.lines[key] = (before + text, already + rows)


# ---- truth ----


def _subject_truth(who: np.ndarray) -> dict[str, pa.Table]:
    c, last = _city, _city.parameters.end
    held = owners(c, who)
    names = np.array([n for _, n in DISTRICTS])
    subjects = pa.table({
        "subject": who, "kind": np.array(SUBJECT_KINDS)[c.kind[who]].tolist(), "born": _days(c.born[who]), "stopped": _days(c.stopped[who]), "died": _days(c.died[who]),
        "exit": pa.array(np.where(c.died[who] < last, np.where(c.fate[who] == 1, "revoked", "cancelled"), "alive")), "frailty": c.frailty[who], "section": np.array(list("ABCDEFGHIJKLMNOPQR"))[c.section[who]].tolist(),
        "code": c.code(who, last), "name": c.name(who, last), "first_code": c.code(who, 0), "first_name": c.name(who, 0), "renamed": _days(c.renamed[who]), "moved": _days(c.moved[who]), "recoded": _days(c.recoded[who]),
        "recapitalised": _days(c.recapitalised[who]), "reowned": _days(c.reowned[who]), "rescoped": _days(c.rescoped[who]), "first_district": names[c.district[who]].tolist(), "district": names[c.district_on(who, last)].tolist(),
        "staff_at_start": c.staff[who], "same_as": pa.array(c.was[who], mask=c.was[who] < 0),
    })  # fmt: skip
    holdings = pa.table({
        "company": held["company"], "investor": pa.array(held["investor"], mask=held["investor"] < 0), "person": _person(held["person"]), "nominee_of": _person(held["behind"]), "share": held["share"] / 10000,
        "since": _days(held["since"]), "until": _days(held["until"]),
    })  # fmt: skip
    branch = who[c.kind[who] == BRANCH]
    return {"subjects": subjects, "holdings": holdings, "branches": pa.table({"branch": branch, "parent": c.parent[branch]})}


def _person(number: np.ndarray) -> pa.Array:
    """The key under which a person is delivered; null for nobody."""
    return pa.array([None if n < 0 else key for n, key in zip(number, _city.person_key(np.maximum(number, 0)).to_pylist(), strict=True)], pa.string())


def _burst_truth() -> pa.Table:
    names, b = [n for n, _, _ in complaints.categories()], _bursts
    district = [None if d < 0 else DISTRICTS[d][1] for d in b.district]
    return pa.table({"burst": np.arange(len(b.first)), "first": _days(b.first), "days": b.days, "district": pa.array(district, pa.string()), "category": np.array(names)[b.category].tolist(), "subject": pa.array(b.subject, mask=b.subject < 0), "factor": pa.array(b.factor, mask=b.factor == 0), "added_per_day": b.per_day})  # fmt: skip


def _days(days: np.ndarray) -> pa.Array:
    never = days >= NEVER
    return pa.array(np.where(never, 0, days).astype("int32"), pa.int32(), mask=never).cast(pa.date32())


# ---- putting together ----


class _Book:
    """The files under way: lines as they come in, truth, counts; closed, they are the deliveries."""

    def __init__(self, p: Parameters, target: Path) -> None:
        self._p, self._target = p, target
        self._scratch = target / ".making"
        for folder in (self._scratch, target / "truth"):
            folder.mkdir(parents=True)
        self._waiting: dict[Key, list[bytes]] = {}
        self._whose: dict[Key, list[np.ndarray]] = {}
        self._held = 0
        self._rows: Counter[Key] = Counter()
        self._totals: Counter[tuple[str, int]] = Counter()
        self._damage: list[pa.Table] = []
        self._sent: list[dict[str, Any]] = []
        self._writers: dict[str, pq.ParquetWriter] = {}

    def take(self, made: Made) -> None:
        base = {key: self._rows[key] for key in made.lines}
        for key, (text, rows) in made.lines.items():
            self._waiting.setdefault(key, []).append(text)
            self._held += len(text)
            self._rows[key] += rows
        for key, subjects in made.whose.items():
            self._whose.setdefault(key, []).extend(subjects)
        if self._held > HELD:
            self._flush()
        self._totals.update(made.totals)
        if made.damage:
            feed, part, period, revision, row, kind, header, old, new = map(list, zip(*made.damage, strict=True))
            row = [base[f, a, d, kind_ == "draft"] + r for f, a, d, r, kind_ in zip(feed, part, period, row, kind, strict=True)]
            self._damage.append(pa.table({"feed": feed, "part": part, "period": period, "revision": revision, "row": row, "kind": kind, "header": header, "original": pa.array(old, pa.string()), "delivered": pa.array(new, pa.string())}))  # fmt: skip
        if made.unsent:
            feed, days, subject = map(list, zip(*made.unsent, strict=True))
            self._truth("unsent", pa.table({"feed": feed, "day": _days(np.array(days)), "subject": subject}))
        for name, table in made.truth.items():
            self._truth(name, table)

    def _truth(self, name: str, table: pa.Table) -> None:
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(self._target / "truth" / f"{name}.parquet", table.schema, compression="zstd")
        self._writers[name].write_table(table.cast(self._writers[name].schema))

    def _made(self, key: Key) -> Path:
        name, part, period, draft = key
        return self._scratch / f"{name}-{part}-{period}{'-draft' if draft else ''}"

    def _flush(self) -> None:
        for key, texts in self._waiting.items():
            with self._made(key).open("ab") as file:
                file.writelines(texts)
        for key, subjects in self._whose.items():
            with self._made(key).with_suffix(".whose").open("ab") as file:
                np.concatenate(subjects).astype(np.int32).tofile(file)
        self._waiting.clear()
        self._whose.clear()
        self._held = 0

    def close(self, progress: Callable[[str, float], None]) -> dict[str, Any]:
        """Write the deliveries, the rest of the truth, and what is said of the city."""
        self._control_totals()
        self._flush()
        self._write_damage()
        keys = sorted(k for k in self._rows if not k[3])
        for place, key in enumerate(keys):
            self._send(key)
            if place % 50 == 0:
                progress("批次", place / len(keys))
        self._scratch.rmdir()
        self._truth("deliveries", pa.Table.from_pylist(self._sent))
        for writer in self._writers.values():
            writer.close()
        plan = sorted((d["sent"].isoformat(), d["file"]) for d in self._sent if d["file"])
        (self._target / "schedule.csv").write_text("送达日期,批次文件\n" + "".join(f"{day_},{file}\n" for day_, file in plan), encoding="utf-8")
        p = self._p
        hidden = {"seed": p.seed, "draw": p.draw, "rates": dict(p.rates)}
        (self._target / "truth" / "parameters.json").write_text(json.dumps(hidden, indent=1) + "\n", encoding="utf-8")
        rows = Counter[str]()
        for (feed, _, _, draft), number in self._rows.items():
            rows[feed] += 0 if draft else number
        says = {"subjects": p.subjects, "years": p.years, "first_year": p.first_year, "cadence": p.cadence, "simulated": True, "rows": dict(sorted(rows.items())), "deliveries": len(plan), "claims": claims(_city, self._target)}  # fmt: skip
        (self._target / "city.json").write_text(json.dumps(says, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        progress("完成", 1.0)
        return says

    def _control_totals(self) -> None:
        """How many records each source system says it took down, by day: what was never sent shows by it."""
        feed = FEEDS["control_totals"]
        entries = sorted((f, d, n) for (f, d), n in self._totals.items() if d >= self._p.start)
        columns = {
            "资源": pa.array([FEEDS[f].chinese for f, _, _ in entries]),
            "日期": pa.array([date_of(d).isoformat() for _, d, _ in entries]),
            "记录数": pa.array([str(n) for _, _, n in entries]),
        }
        made = Made()
        clean = self._p.without("dirt.")
        _deliver(clean, Rows(feed.name, np.array([d for _, d, _ in entries]), columns, np.full(len(entries), -1)), 0, self._p.generator(80), made)
        self.take(made)

    def _order(self, key: Key) -> np.ndarray:
        """The order in which a delivery's lines stand: none that tells where they come from. A draft has that of its correction."""
        name, part, period, _ = key
        return self._p.generator(71, list(FEEDS).index(name), part, period).permutation(self._rows[key])

    def _write_damage(self) -> None:
        """Damage by the number of its record in the delivered file, from 1."""
        if not self._damage:
            return
        table = pa.concat_tables(self._damage).sort_by([(c, "ascending") for c in ("feed", "part", "period", "revision", "row")])
        feed, part, period, kind = (table[c].to_pylist() for c in ("feed", "part", "period", "kind"))
        row = table["row"].to_numpy()
        record = np.zeros(len(row), np.int64)
        keys = list(zip(feed, part, period, strict=True))
        begin = 0
        for place in range(1, len(keys) + 1):
            if place == len(keys) or keys[place] != keys[begin]:
                inverse = np.argsort(self._order((*keys[begin], False)))
                record[begin:place] = inverse[row[begin:place]] + 1
                begin = place
        seen = [KINDS.get(k, "invisible") for k in kind]
        self._truth("damage", table.drop_columns(["row"]).append_column("record", pa.array(record)).append_column("seen_by", pa.array(seen)))

    def _shuffled(self, key: Key) -> None:
        path = self._made(key)
        text = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([text[i] for i in self._order(key)]))

    def _records(self, key: Key, missing: bool) -> None:
        """Whose each record of a delivery is, by its number in the delivered file, from 1."""
        path = self._made(key).with_suffix(".whose")
        subjects = np.fromfile(path, np.int32)[self._order(key)]
        path.unlink()
        if not missing:
            name, part, period, _ = key
            number = np.arange(1, len(subjects) + 1)
            of = {"feed": pa.repeat(name, len(subjects)), "part": np.full(len(subjects), part), "period": np.full(len(subjects), period)}
            self._truth("records", pa.table(of | {"record": number, "subject": subjects}))

    def _send(self, key: Key) -> None:
        """Finish the files of one delivery and note when they are sent."""
        name, part, period, _ = key
        feed, d, drafted = FEEDS[name], delivery(self._p, FEEDS[name], period), (name, part, period, True)
        rows = self._rows[key]
        self._records(key, bool(d.missing))
        stem = f"{feed.chinese}_{d.as_of.isoformat()}" + (f"_全量{part + 1:02}" if period == BASELINE else "")
        if d.missing:
            for k in (key, drafted):
                self._made(k).unlink(missing_ok=True)
            self._sent.append(self._entry(d, "", "missing", 0, rows, d.sent))
            return
        form = forms.form_of(feed, rows)
        suffix = forms.SUFFIX[form]
        folder = self._target / "deliveries" / name
        folder.mkdir(parents=True, exist_ok=True)
        first, revised = folder / f"{stem}{suffix}", folder / f"{stem}_更正{suffix}"
        self._shuffled(key)
        if d.corrected:
            self._shuffled(drafted)
            forms.finish(feed, form, self._made(drafted), first)
            forms.finish(feed, form, self._made(key), revised)
            self._note(first, d, "first wrong", 0, rows, d.sent)
            self._note(revised, d, "corrected", 1, rows, d.corrected)
        else:
            forms.finish(feed, form, self._made(key), first)
            self._note(first, d, "late" if d.late else "on time", 0, rows, d.sent)
        if d.repeated:
            again = folder / f"{stem}_重复{suffix}"
            corrected = bool(d.corrected and d.corrected <= d.repeated)
            again.write_bytes((revised if corrected else first).read_bytes())
            self._note(again, d, "repeated", int(corrected), rows, d.repeated)

    def _note(self, path: Path, d: Delivery, what: str, revision: int, rows: int, sent: Any) -> None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        says = {
            "department": d.feed.department,
            "as_of": d.as_of.isoformat(),
            "revision": revision,
            "simulated": True,
            "rows": rows,
            "sha256": digest,
        }
        path.with_name(path.name + ".manifest.json").write_text(json.dumps(says, ensure_ascii=False) + "\n", encoding="utf-8")
        self._sent.append(self._entry(d, str(path.relative_to(self._target)), what, revision, rows, sent))

    def _entry(self, d: Delivery, file: str, what: str, revision: int, rows: int, sent: Any) -> dict[str, Any]:
        return {
            "feed": d.feed.name,
            "period": d.period,
            "as_of": d.as_of,
            "sent": sent,
            "late_days": d.late,
            "file": file,
            "what": what,
            "revision": revision,
            "rows": rows,
        }
