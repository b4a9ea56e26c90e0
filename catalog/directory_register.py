"""Keeps directory.csv: the code and the day of issue of each resource of the directory.

    python -m catalog.directory_register          # give new resources a code, note what is gone as withdrawn
    python -m catalog.directory_register check    # say what would be done, exit 1 if anything

A code is given once: classification code, a stroke, a serial number that goes on from the largest ever given. What is withdrawn keeps its line, so that no number
is used again. If a resource is classed otherwise later, its code no longer fits, and somebody has to decide: other systems know it by that code
(`catalog.directory_check` tells).
"""

import csv
import datetime as dt
import io
import sys
from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from catalog.contract import Contract, load_contracts
from catalog.directory import REGISTER, Entry, Facts, category_of, listed, load_facts, load_register


def updated(contracts: Mapping[str, Contract], facts: Facts, register: Mapping[str, Entry], day: str) -> dict[str, Entry]:
    """The register with new resources issued, missing ones withdrawn, returned ones taken up again, all on ``day`` (CCYY-MM-DD)."""
    tables = listed(contracts)
    number = max((int(entry.code.rpartition("/")[2]) for entry in register.values()), default=0)
    after = {}
    for table, entry in register.items():
        if table not in tables:
            after[table] = entry if entry.withdrawn else replace(entry, withdrawn=day)
        else:
            after[table] = replace(entry, withdrawn="")
    for table in sorted(tables.keys() - register.keys()):
        number += 1
        after[table] = Entry(f"{category_of(tables[table], facts).code}/{number:04d}", day)
    return after


def text_of(register: Mapping[str, Entry]) -> str:
    """The register as CSV, by serial number."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "code", "issued", "withdrawn"))
    writer.writerows((table, e.code, e.issued, e.withdrawn) for table, e in sorted(register.items(), key=lambda i: int(i[1].code.rpartition("/")[2])))
    return out.getvalue()


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["check"]):
        print("usage: python -m catalog.directory_register [check]", file=sys.stderr)
        return 2
    before = load_register() if REGISTER.exists() else {}
    after = updated(load_contracts(), load_facts(), before, dt.datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat())
    changed = sorted(table for table, entry in after.items() if before.get(table) != entry)
    for table in changed:
        print(f"{table}: {'withdrawn' if after[table].withdrawn else after[table].code}")
    if not changed:
        print(f"{len(after)} resources, nothing to do")
    if arguments == ["check"]:
        return 1 if changed else 0
    REGISTER.write_text(text_of(after), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
