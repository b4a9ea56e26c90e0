"""Make the city: units of work in parallel, their rows put together by delivery in the order of the units, so that the bytes are the same."""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
import re
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samples.city import complaints, forms, sharing, supervision, trademarks
from samples.city.deliveries import BASELINE, Delivery, delivery, periods
from samples.city.dirt import KINDS, soil, wrong_first
from samples.city.feeds import FEEDS, Rows
from samples.city.parameters import EPOCH, Parameters, date_of, stated
from samples.city.population import KINDS as SUBJECT_KINDS
from samples.city.population import NEVER, Population, populate
from samples.city.registration import owners, parents, registration
from samples.city.vocabulary import DISTRICTS, vocabulary

SHARD = 50_000  # subjects whose records are made at once
HELD = 256 * 2**20  # bytes of made lines that wait in memory to be written
PARTS_OF = 500_000  # subjects in one file of what was there before the start
WORKERS = 2

_city: Population  # in each worker, by fork
_bursts: complaints.Bursts
_merchants: np.ndarray


@dataclass
class Made:
    """What a unit of work has made: lines by (feed, part, period, draft), how many, damage and unsent records, records of the source by day."""

    lines: dict[tuple[str, int, int, bool], tuple[bytes, int]]
    damage: list[tuple[str, int, int, int, str, str, str, str]]
    unsent: list[tuple[str, int, int]]
    totals: Counter[tuple[str, int]]
    truth: dict[str, pa.Table]


def make(p: Parameters, target: Path, progress: Callable[[str, float], None] = lambda what, share: None) -> dict[str, Any]:
    """Make the city in an empty folder: ``deliveries/<feed>/…`` with manifests, ``schedule.csv``, ``truth/*.parquet``, ``city.json``.

    Returns what city.json says: parameters, rows by feed, and what the published rates claim beside what was made.

    Raises:
        FileExistsError: there is something in the folder.
    """
    global _city, _bursts, _merchants
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(target)
    progress("主体", 0.0)
    _city = populate(p)
    _bursts, _merchants = complaints.bursts(_city), complaints._merchants(_city)
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
    book.close(progress)
    return book.says


def _unit(unit: tuple[str, int]) -> Made:
    what, place = unit
    p = _city.parameters
    number = {"subjects": 0, "complaints": 1, "others": 2}[what]
    g = p.generator(10 + number, place)
    made = Made({}, [], [], Counter(), {})
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
        filings, old = trademarks.honest(_city, who, g)
        yield from trademarks.rows_of(_city, filings, old, g)
        made.truth |= _subject_truth(who)
    elif what == "complaints":
        yield from complaints.complaints(_city, _merchants, _bursts, place)
    else:
        yield from supervision.registers(_city, g)
        yield complaints.public_opinion(_city, _merchants)
        yield sharing.associations(_city)
        yield trademarks.agents(_city)
        series, made.truth["macro"] = sharing.macro(_city)
        yield series
        applications = round(_city.parameters.subjects * _city.parameters.rate("trademarks.applications") * _city.parameters.years)
        filings, made.truth["squats"] = trademarks.squats(_city, applications)
        yield from trademarks.rows_of(_city, filings, np.zeros(len(filings.number), bool), g)
        made.truth["bursts"] = _burst_truth()


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
    # Spreadsheets and rare feeds are not cut into parts.
    piece = part if feed.full else 0
    for w, b, e in zip(which, begins, ends, strict=True):
        key = (feed.name, piece if w == BASELINE else 0, int(w), False)
        already = made.lines.get(key, (b"", 0))
        made.lines[key] = (already[0] + bytes(text[offsets[b] : offsets[e]]), already[1] + int(e - b))
        made.damage += [
            (feed.name, key[1], key[2], already[1] + row - int(b), kind, header, old, new) for row, kind, header, old, new in damage if b <= row < e
        ]
        if delivery(p, feed, int(w)).corrected:
            draft = wrong_first(feed, {h: c.slice(b, e - b) for h, c in columns.items()}, g)
            first, _ = forms.lines(feed, draft)
            key = (*key[:3], True)
            already = made.lines.get(key, (b"", 0))
            made.lines[key] = (already[0] + bytes(first), already[1] + int(e - b))


# ---- truth ----


def _subject_truth(who: np.ndarray) -> dict[str, pa.Table]:
    p = _city.parameters
    last = p.end
    died = _city.died[who]
    held = owners(_city, who, p.generator(10, int(who[0])))
    subjects = pa.table({
        "subject": who, "kind": np.array(SUBJECT_KINDS)[_city.kind[who]].tolist(), "born": _days(_city.born[who]), "died": _days(died), "exit": pa.array(np.where(died < last, np.where(_city.fate[who] == 1, "revoked", "cancelled"), "alive")),
        "frailty": _city.frailty[who], "idle": _city.idle[who], "code": _city.code(who, last), "name": _city.name(who, last), "first_code": _city.code(who, 0), "first_name": _city.name(who, 0), "renamed": _days(_city.renamed[who]),
        "moved": _days(_city.moved[who]), "recoded": _days(_city.recoded[who]), "district": np.array([n for _, n in DISTRICTS])[_city.district_on(who, last)].tolist(), "staff_at_start": _city.staff[who],
    })  # fmt: skip
    holdings = pa.table({"company": held["company"], "investor": pa.array(held["investor"], mask=held["investor"] < 0), "person": pa.array(held["person"], mask=held["investor"] >= 0), "nominee": held["nominee"], "share": held["share"] / 10000, "since": _days(held["since"]), "until": _days(held["until"])})  # fmt: skip
    branch = who[_city.kind[who] == 3]
    return {"subjects": subjects, "holdings": holdings, "branches": pa.table({"branch": branch, "parent": parents(_city, branch)})}


def _burst_truth() -> pa.Table:
    categories = [n for n, _, _ in complaints._categories()]
    return pa.table({"first": _days(_bursts.first), "days": _bursts.days, "district": np.array([n for _, n in DISTRICTS])[_bursts.district].tolist(), "category": np.array(categories)[_bursts.category].tolist(), "subject": pa.array(_bursts.subject, mask=_bursts.subject < 0), "factor": _bursts.factor})  # fmt: skip


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
        self._waiting: dict[tuple[str, int, int, bool], list[bytes]] = {}
        self._held = 0
        self._rows: Counter[tuple[str, int, int, bool]] = Counter()
        self._totals: Counter[tuple[str, int]] = Counter()
        self._writers: dict[str, pq.ParquetWriter] = {}
        self.says: dict[str, Any] = {}

    def take(self, made: Made) -> None:
        base = {key: self._rows[key] for key in made.lines}
        for key, (text, rows) in made.lines.items():
            self._waiting.setdefault(key, []).append(text)
            self._held += len(text)
            self._rows[key] += rows
        if self._held > HELD:
            self._flush()
        self._totals.update(made.totals)
        if made.damage:
            feed, part, period, row, kind, header, old, new = map(list, zip(*made.damage, strict=True))
            record = [base.get((f, a, d, False), 0) + r + 1 for f, a, d, r in zip(feed, part, period, row, strict=True)]
            self._truth(
                "damage",
                pa.table(
                    {
                        "feed": feed,
                        "part": part,
                        "period": period,
                        "record": record,
                        "kind": kind,
                        "seen_by": [KINDS[k] for k in kind],
                        "header": header,
                        "original": old,
                        "delivered": new,
                    }
                ),
            )
        if made.unsent:
            feed, days, subject = map(list, zip(*made.unsent, strict=True))
            self._truth("unsent", pa.table({"feed": feed, "day": _days(np.array(days)), "subject": subject}))
        for name, table in made.truth.items():
            self._truth(name, table)

    def _truth(self, name: str, table: pa.Table) -> None:
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(self._target / "truth" / f"{name}.parquet", table.schema, compression="zstd")
        self._writers[name].write_table(table.cast(self._writers[name].schema))

    def _made(self, key: tuple[str, int, int, bool]) -> Path:
        feed, part, period, draft = key
        return self._scratch / f"{feed}-{part}-{period}{'-draft' if draft else ''}"

    def _flush(self) -> None:
        for key, texts in self._waiting.items():
            with self._made(key).open("ab") as file:
                file.writelines(texts)
        self._waiting.clear()
        self._held = 0

    def close(self, progress: Callable[[str, float], None]) -> None:
        self._control_totals()
        self._flush()
        schedule: list[tuple[str, ...]] = []
        keys = sorted(k for k in self._rows if not k[3])
        for place, key in enumerate(keys):
            schedule += self._send(key)
            if place % 50 == 0:
                progress("批次", place / len(keys))
        self._scratch.rmdir()
        for writer in self._writers.values():
            writer.close()
        schedule.sort()
        (self._target / "schedule.csv").write_text(
            "送达日期,批次文件,情形,晚到天数\n" + "".join(",".join(row) + "\n" for row in schedule), encoding="utf-8"
        )
        rows = Counter[str]()
        for (feed, _, _, draft), number in self._rows.items():
            rows[feed] += 0 if draft else number
        self.says = {"subjects": self._p.subjects, "years": self._p.years, "first_year": self._p.first_year, "seed": self._p.seed, "cadence": self._p.cadence, "simulated": True, "rates": dict(self._p.rates), "rows": dict(sorted(rows.items())), "deliveries": len(schedule), "claims": claims(self._target, self._p)}  # fmt: skip
        (self._target / "city.json").write_text(json.dumps(self.says, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        progress("完成", 1.0)

    def _control_totals(self) -> None:
        """How many records each source system says it took down, by day: what was never sent shows by it."""
        feed = FEEDS["control_totals"]
        entries = sorted((f, d, n) for (f, d), n in self._totals.items() if d >= self._p.start)
        columns = {
            "资源": pa.array([FEEDS[f].chinese for f, _, _ in entries]),
            "日期": pa.array([date_of(d).isoformat() for _, d, _ in entries]),
            "记录数": pa.array([str(n) for _, _, n in entries]),
        }
        made = Made({}, [], [], Counter(), {})
        quiet = Parameters(**{**self._p.__dict__, "rates": {n: 0.0 if n.startswith("dirt.") else v for n, v in self._p.rates.items()}})
        _deliver(quiet, Rows(feed.name, np.array([d for _, d, _ in entries]), columns, np.full(len(entries), -1)), 0, self._p.generator(80), made)
        for key, (text, rows) in made.lines.items():
            self._waiting.setdefault(key, []).append(text)
            self._rows[key] += rows

    def _send(self, key: tuple[str, int, int, bool]) -> list[tuple[str, ...]]:
        """Finish the files of one delivery and note when they are sent."""
        name, part, period, _ = key
        feed, d = FEEDS[name], delivery(self._p, FEEDS[name], period)
        rows = self._rows[key]
        form = forms.form_of(feed, rows)
        stem = f"{feed.chinese}_{d.as_of.isoformat()}" + (f"_全量{part + 1:02}" if period == BASELINE else "")
        folder = self._target / "deliveries" / name
        folder.mkdir(parents=True, exist_ok=True)
        sent = []
        drafted = (name, part, period, True)
        if self._rows.get(drafted):
            first = folder / f"{stem}{forms.SUFFIX[form]}"
            forms.finish(feed, form, self._made(drafted), first)
            sent.append(self._note(first, d, d.sent.isoformat(), "先错", 0, rows))
            stem += "_更正"
        path = folder / f"{stem}{forms.SUFFIX[form]}"
        forms.finish(feed, form, self._made(key), path)
        if self._rows.get(drafted) and d.corrected:
            sent.append(self._note(path, d, d.corrected.isoformat(), "更正", 1, rows))
        else:
            sent.append(self._note(path, d, d.sent.isoformat(), "迟到" if d.late else "按时", 0, rows))
        if d.repeated:
            again = folder / f"{stem}_重复{forms.SUFFIX[form]}"
            shutil.copyfile(path, again)
            sent.append(self._note(again, d, d.repeated.isoformat(), "重复", 1 if d.corrected else 0, rows))
        return sent

    def _note(self, path: Path, d: Delivery, day_: str, what: str, revision: int, rows: int) -> tuple[str, ...]:
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
        return (day_, str(path.relative_to(self._target)), what, str(d.late))


def claims(target: Path, p: Parameters) -> dict[str, dict[str, float]]:
    """The published rates that the city claims, and what was made; counted in the truth and in the deliveries' own numbers."""
    c, made = _city, {}
    first = (np.datetime64(f"{p.first_year + p.years - 1}") - np.datetime64(EPOCH)).astype("timedelta64[D]").astype(int)
    living = c.alive(p.end - 1)
    before = c.alive(first - 1).sum()
    born = ((c.born >= first) & (c.born < p.end)).sum()
    made["stock.growth_last_year"] = living.sum() / before - 1
    if p.years > 1:
        year = first - 365
        made["stock.growth_before"] = before / c.alive(year - 1).sum() - 1
        made["stock.births_before"] = ((c.born >= year) & (c.born < first)).sum() / before
    made["stock.births_last_year"] = born / living.sum()
    everyone = np.ones(len(c), bool)
    made["kinds.enterprise_share"] = ((c.kind != 5) & (c.kind != 4)).mean()
    made["kinds.foreign_share"] = (c.kind == 2).sum() / (everyone & (c.kind < 4)).sum()
    sector = np.array([vocabulary().yaml["sectors"].get(s, "tertiary") for s in vocabulary().sections])[c.section]
    companies = (c.kind != 5) & (c.kind != 4)
    made["kinds.primary_share"], made["kinds.secondary_share"] = ((sector == s)[companies].mean() for s in ("primary", "secondary"))
    young = np.flatnonzero((c.born >= p.start - 365) & (c.died > c.born + 365))
    made["survival.operating_after_one_year"] = float((c.idle[young] < p.rate("survival.operating_after_one_year")).mean())
    staff = c.staff[companies].astype(float)
    made["survival.staff_at_start"] = staff.mean()
    made["survival.staff_after_one_year"] = staff.mean() * p.rate("survival.staff_after_one_year") / p.rate("survival.staff_at_start")
    made |= _counted(target, p, before)
    entries = stated()
    return {name: {"published": p.rate(name), "made": round(float(value), 6)} for name, value in made.items() if entries[name].get("claim")}


def _counted(target: Path, p: Parameters, stock: float) -> dict[str, float]:
    """Shares counted in the delivered files themselves."""
    demands, goods = _tally(target, "complaints", "诉求类型"), _tally(target, "complaints", "客体类别")
    settled = _tally(target, "complaint_steps", "结果")
    total = sum(demands.values())
    mean = p.subjects / (1 + p.rate("stock.growth_last_year"))
    reasons = _reasons(target)
    return {
        **{f"abnormal_reasons.{name}": reasons[text] / sum(reasons.values()) for name, text in zip(supervision.REASONS, supervision.REASON_TEXTS, strict=True)},
        "trademarks.registered": _registered(target, p),
        "complaints.complaint_share": demands["投诉"] / total, "complaints.report_share": demands["举报"] / total, "complaints.goods_share": goods["商品"] / (goods["商品"] + goods["服务"]),
        "complaints.mediated": settled["调解成功"] / max(settled["调解成功"] + settled["调解不成"], 1), "complaints.per_subject": total / p.years / mean,
    }  # fmt: skip


def _final(target: Path, feed: str) -> Iterator[Path]:
    """The files of a feed that count: neither sent twice nor put right later."""
    for path in sorted((target / "deliveries" / feed).iterdir()):
        corrected = path.with_name(f"{path.name.partition('.')[0]}_更正.{path.name.partition('.')[2]}").exists()
        if not (path.name.endswith(".manifest.json") or "_重复" in path.name or corrected):
            yield path


def _tally(target: Path, feed: str, header: str) -> Counter[str]:
    """How often each value of a column stands in a feed that comes as JSON lines."""
    found: Counter[str] = Counter()
    for path in _final(target, feed):
        with path.open(encoding="utf-8") as file:
            found.update(line.split(f'"{header}": "', 1)[1].split('"', 1)[0] for line in file)
    return found


def _reasons(target: Path) -> Counter[str]:
    """Why subjects were listed or marked; each entry once."""
    found: Counter[str] = Counter()
    for feed, ended in (("abnormal_list", 5), ("individual_marks", 4)):
        for path in _final(target, feed):
            with path.open(encoding="utf-8", newline="") as file:
                found.update(row[3] for row in csv.reader(file) if len(row) > ended and row[3] in supervision.REASON_TEXTS and not row[ended])
    return found


def _registered(target: Path, p: Parameters) -> float:
    """The share of the first year's applications that have been registered, by the deliveries; 0 where the city is too short to tell."""
    if p.years < 2:
        return 0.0
    applied, registered = set(), set()
    for path in _final(target, "trademark_applications"):
        with path.open(encoding="utf-8", newline="") as file:
            applied |= {row[0] for row in csv.reader(file) if row[1][:4] == str(p.first_year)}
    for path in _final(target, "trademark_registrations"):
        text = path.read_text("utf-8")
        registered |= set(re.findall(r"<注册号>(\d+)<", text)) if path.suffix == ".xml" else {line.split(",", 1)[0] for line in text.splitlines()}
    return len(applied & registered) / max(len(applied), 1)
