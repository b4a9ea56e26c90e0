"""Damage in one row costs that row only: mutants of real deliveries, drawn afresh (``LAKE_FUZZ=20000`` for a long run; seeds are shown)."""

import csv
import io
import os
import random

import pytest

from catalog.contract import load_contracts
from infra.settings import REPO
from spark_jobs.ingest.land import records
from spark_jobs.ingest.refusal import Refused

FEED = load_contracts()["bronze.registration_subjects"]
MUTANTS = int(os.environ.get("LAKE_FUZZ", "400"))
POOL = [
    row for path in sorted((REPO / "samples" / "registrations").glob("*.csv")) for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
]
HEADER = POOL[0]
POOL = [row for row in POOL if len(row) == len(HEADER) and row != HEADER]
CHARACTERS = [
    '"',
    '""',
    '"""',
    ",",
    "\t",
    ";",
    "|",
    "\r",
    "\n",
    "\r\n",
    " ",
    "　",
    "'",
    "\\",
    "=",
    "〓",
    "\ue000",
    "𠀀",
    "\u2028",
    "\x0b",
    "\x1c",
    "\x85",
    "，",
]
POISON = ["\x00", "\ufffd"]  # what makes the whole file refused


def mutate(draw: random.Random, line: str) -> str:
    place, end = draw.randrange(len(line) + 1), draw.randrange(len(line) + 1)
    begin, end = sorted((place, end))
    character = draw.choice(CHARACTERS)
    return draw.choice(
        [
            lambda: line[:place] + character + line[place:],
            lambda: line[:place] + line[place + 1 :],
            lambda: line[:begin] + line[end:],
            lambda: line[:end] + line[begin:end] + line[end:],
            lambda: line[:place],
            lambda: character + line,
            lambda: line + character,
            lambda: line[:begin] + '"' + line[begin:end] + '"' + line[end:],
            lambda: line[:begin] + '"' + line[begin:end] + "\n" + line[end:],
            lambda: "".join(draw.sample(line, len(line))),
            lambda: line.replace(",", draw.choice(["", ",,", ";", '","']), draw.randint(1, 3)),
            lambda: line[:place] + character * 3000 + line[place:],
            lambda: line[:place] + draw.choice(POISON) + line[place:],
        ]
    )()


def written(draw: random.Random, rows: list[list[str]]) -> list[str]:
    quoting, delimiter = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), draw.choice([",", ",", "\t"])
    lines = []
    for row in rows:
        out = io.StringIO()
        csv.writer(out, quoting=quoting, delimiter=delimiter, lineterminator="").writerow(row)
        lines.append(out.getvalue())
    return lines


def test_damage_in_one_row_costs_that_row_only(tmp_path):
    seed = random.SystemRandom().randrange(10**9)
    draw = random.Random(seed)
    refused = taken = lost = 0
    for mutant in range(MUTANTS):
        rows = draw.sample(POOL, 8)
        lines, victim = written(draw, [HEADER, *rows]), draw.randint(1, 8)
        damaged = mutate(draw, lines[victim])
        ending, encoding = draw.choice(["\n", "\r\n"]), draw.choice(["utf-8", "utf-8-sig", "gb18030", "utf-16"])
        content = ending.join([*lines[:victim], damaged, *lines[victim + 1 :]])
        path = tmp_path / "mutant"
        path.write_bytes((content + ending).encode(encoding))
        about = f"seed {seed}, mutant {mutant}: {damaged[:300]!r}"
        try:
            got = list(records(FEED, path, tmp_path))
        except Refused as refusal:
            refused += 1
            assert "请" in str(refusal), about  # noqa: PT017 - both outcomes are answers
            assert any(p in damaged for p in POISON), f"{about}: {refusal}"  # noqa: PT017
            continue
        taken += 1
        assert not any(p in damaged for p in POISON), about
        values = [list(v.values()) for _, v, _ in got if v is not None]
        clean = [row for n, row in enumerate(rows, 1) if n != victim]
        left = iter(values)
        assert all(row in left for row in clean), about  # each of the others, in order
        rest = len(values) - len(clean)
        assert rest <= 1 + damaged.count("\n") + damaged.count("\r"), about
        lost += not rest
        assert [n for n, _, _ in got] == list(range(1, len(got) + 1)), about
        assert all(raw for _, v, raw in got if v is None), about
    print(f"{taken} taken ({lost} without the damaged row's values), {refused} refused")
    assert taken > MUTANTS / 2
    assert refused


@pytest.mark.parametrize("place", range(0, 700, 7))
def test_a_file_cut_anywhere_is_refused_or_keeps_its_first_rows(place, tmp_path):
    lines = written(random.Random(place), [HEADER, *POOL[:3]])
    content = "\n".join(lines).encode()
    cut = content[: max(1, len(content) * place // 700)]
    path = tmp_path / "cut"
    path.write_bytes(cut)
    try:
        values = [list(v.values()) for _, v, _ in records(FEED, path, tmp_path) if v is not None]
    except Refused as refusal:
        assert "请" in str(refusal)  # noqa: PT017 - both outcomes are answers
    else:
        whole = max(0, cut.decode().count("\n") - 1)
        assert values[:whole] == POOL[:whole]
