"""Small made-up worlds of deliveries, and what the lake says of them. Each world is drawn afresh from its seed."""

from __future__ import annotations

import json
import random
from typing import Any

from spark_jobs.refine.identifiers import credit_code_check, organisation_code_check

HEADER = "企业名称,统一社会信用代码,注册日期,企业类型,法人代表,注册资金,经营范围,注册地址"
PENALTIES = "决定书文号,统一社会信用代码,当事人,处罚类别,罚款金额（万元）,决定日期,公示截止期"
DISTRICTS = ("天河区", "越秀区", "南沙区", "番禺区")
PENALTY = "penalty-"  # in the names of their files
DAYS = ("2019-03-31", "2019-04-30", "2019-05-31")


def code(tag: str, number: int) -> str:
    """A credit code with both check digits, of a range where none is issued."""
    first = f"91440101Y{tag}{number}"
    first += organisation_code_check(first[8:])
    return first + credit_code_check(first)


class World:
    """A few deliveries about a few made-up subjects: renamed, moved, repeated, corrected, one code shared, some rows bad.

    No two contents of one day and revision: which of them stands follows from their hash, and with it from the tag.
    A tag (a letter and five digits of the seed) tells copies of a world apart in codes, names and file names: one lake holds several.
    """

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        self.deliveries: list[tuple[str, int, list[tuple[int, str]]]] = []  # (business day, revision, [(code number, the row's rest)])
        subjects = [(n, f"第{n}家", f"2018-0{draw.randint(1, 9)}-11") for n in range(1, 6)]
        subjects.append((5, "共用代码的另一家", "2018-05-05"))  # nothing links it with the other subject of this code
        told: dict[tuple[Any, ...], str] = {}
        for day, revision in [*[(d, 0) for d in DAYS], (draw.choice(DAYS), 0), (draw.choice(DAYS), 1)]:
            rows = []
            for number, name, date in draw.choices(subjects, k=draw.randint(2, 6)):
                shown = draw.choice((name, name, f"{name}更名")) if number < 4 else name
                shown = draw.choice((shown,) * 9 + ("",))  # without a name it is set aside
                capital = draw.choice(("10万元", "500万元", "N/A"))
                rest = f"{date},有限责任公司,演示人,{capital},演示用范围,广州市{draw.choice(DISTRICTS)}演示路{draw.randint(1, 2)}号"
                row = f"{shown and f'广州市测试@{shown}有限公司'},{{code}},{rest}"
                rows.append((number, told.setdefault((number, name, day, revision), row) if shown else row))
            self.deliveries.append((day, revision, rows))
        # Penalties of theirs: published shorter, amended, sent again; some with a day that is none.
        self.penalties: list[tuple[str, int, list[tuple[int, str]]]] = []
        said: dict[tuple[Any, ...], str] = {}
        for day, revision in [*[(d, 0) for d in DAYS], (draw.choice(DAYS), 1)]:
            numbers = draw.choices(range(1, 6), k=draw.randint(2, 5))
            row = "穗测处〔@〕{number}号,{code},测试@当事人,罚款,{fine},2019-0{month}-{date},202{until}-01-01"
            drawn = [
                (
                    n,
                    row.format(
                        number=n,
                        code="{code}",
                        fine=draw.choice(("1.5", "2", "")),
                        month=1,
                        date=draw.choice(("15",) * 5 + ("32",)),
                        until=draw.choice("12"),
                    ),
                )
                for n in numbers
            ]
            self.penalties.append((day, revision, [(n, said.setdefault((n, day, revision), text)) for n, text in drawn]))

    def files(self, tag: str) -> list[tuple[str, dict[str, Any], list[str]]]:
        """``(file name, manifest, rows)`` of each delivery of the register."""
        return self._named(tag, "", self.deliveries)

    def others(self, tag: str) -> list[tuple[str, dict[str, Any], list[str]]]:
        """The same of the penalties."""
        return self._named(tag, PENALTY, self.penalties)

    @staticmethod
    def _named(tag: str, kind: str, deliveries: list[tuple[str, int, list[tuple[int, str]]]]) -> list[tuple[str, dict[str, Any], list[str]]]:
        return [
            (
                f"world-{tag}-{kind}{n}.csv",
                {"as_of": day, "revision": revision, "simulated": True},
                [text.replace("@", tag).format(code=code(tag, number)) for number, text in rows],
            )
            for n, (day, revision, rows) in enumerate(deliveries)
        ]


def send(published: Any, file: tuple[str, dict[str, Any], list[str]], again: str = "") -> None:
    """Put a file into the inbox of its feed; ``again`` makes other bytes of the same rows, under another name."""
    name, manifest, rows = file
    feed, header = ("penalties", PENALTIES) if PENALTY in name else ("registration_subjects", HEADER)
    inbox = published.state / "landing" / "inbox" / feed
    name, ending = f"{again}{name}", "\r\n" if again else "\n"
    published.deliver(inbox / f"{name}.manifest.json", json.dumps(manifest).encode())
    published.deliver(inbox / name, "".join(f"{line}{ending}" for line in (header, *rows)).encode("gb18030" if again else "utf-8"))


# What says when and how a row came, not what it says.
HOW_IT_CAME = {
    "release_id",
    "write_number",
    "subject_id",
    "first_known_at",
    "known_at",
    "delivery_id",
    "row_number",
    "arrived_at",
    "content_hash",
    "record_id",
}


def business(published: Any, tag: str) -> dict[str, list[str]]:
    """Archives and histories of one copy of the world: each row as text, without the copy's tag, in order."""
    kept = {}
    applied = " AND fact_outcome = 'applied'"
    for table, more in (("gold.archive_subject", ""), ("silver.subject_registration", applied), ("silver.penalties", applied)):
        columns = [r[0] for r in published.ask("steward", f"DESCRIBE lake.{table}") if r[0] not in HOW_IT_CAME]
        sql = f"SELECT json_format(CAST(ROW({', '.join(columns)}) AS json)) FROM lake.{table} WHERE subject_name LIKE '%测试{tag}%'{more}"
        text = "\n".join(r[0] for r in published.ask("steward", sql))
        for number in range(1, 6):
            text = text.replace(code(tag, number), f"code {number}")
        kept[table] = sorted(text.replace(f"测试{tag}", "测试").replace(f"〔{tag}〕", "〔〕").splitlines())
    return kept


def account(published: Any, tag: str) -> dict[str, tuple[int, ...]]:
    sql = f"SELECT file_name, arrived, applied, superseded, duplicate, quarantined FROM lake.ops.deliveries WHERE file_name LIKE '%world-{tag}-%'"
    return {name: tuple(numbers) for name, *numbers in published.ask("leader", sql)}
