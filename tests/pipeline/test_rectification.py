"""The rectification ledger through the stack: three kinds of damage are found, assigned, handed over, mended by a corrective delivery and closed; one comes back."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openpyxl
import psycopg
import pytest
from recoded import code

from samples.city import dirt
from spark_jobs.rectification import Key
from spark_jobs.refine.batches import UNSPLITTABLE

HEADER = "决定书文号,统一社会信用代码,当事人,处罚类别,决定日期"
# Kinds of damage of the sandbox city, and the rules that see them: two set a record aside, the code is marked.
RULES = {"decided_on_readable": "date_impossible", "credit_code_checked": "code_typo", UNSPLITTABLE: "lost_cell"}
ITEMS = f"""
    SELECT rule_id, item_state, item_total, item_open, item_returned, item_disputed, item_exempted, item_mended, item_withdrawn, times_reopened
    FROM lake.ops.rectification_items WHERE feed = 'penalties' AND department = '{{department}}' AND rule_id IN ({", ".join(f"'{r}'" for r in RULES)})
    ORDER BY rule_id"""


class Damaged:
    """A department of its own, so that what it sends is its own matter, with ways to send and to look."""

    def __init__(self, published):
        self.published = published
        self.tag = f"{random.SystemRandom().randrange(10**6):06}"
        self.department = f"测试处{self.tag}"
        self.sent = 0

    def send(self, day: str, lines: list[str], revision: int = 0) -> None:
        """A file and what is stated beside it, and a run."""
        inbox = self.published.state / "landing" / "inbox" / "penalties"
        self.sent += 1
        name = f"整改_{self.tag}_{self.sent}_{day}.csv"
        says = {"department": self.department, "as_of": day, "revision": revision, "simulated": True}
        self.published.deliver(inbox / f"{name}.manifest.json", json.dumps(says, ensure_ascii=False).encode())
        self.published.deliver(inbox / name, "".join(f"{line}\n" for line in (HEADER, *lines)).encode())
        self.published.publish()

    def line(self, number: int, day: str = "2019-09-02", code: str = "") -> str:
        return f"穗测处〔{self.tag}〕{number}号,{code},广州市测试整改{number}有限公司,警告,{day}"

    def items(self) -> dict[str, SimpleNamespace]:
        names = ("state", "total", "open", "returned", "disputed", "exempted", "mended", "withdrawn", "reopened")
        found = {
            rule: SimpleNamespace(**dict(zip(names, rest, strict=True)))
            for rule, *rest in self.published.ask("steward", ITEMS.format(department=self.department))
        }
        for rule, i in found.items():
            assert i.total == i.open + i.disputed + i.exempted + i.mended + i.withdrawn, rule
        return found

    def states(self) -> dict[str, str]:
        return {rule: i.state for rule, i in self.items().items()}

    def item_id(self, rule: str) -> str:
        return Key("penalties", self.department, "rule", rule).item_id

    def records(self) -> list[list]:
        sql = f"SELECT rule_id, item_record, item_record_state, row_number FROM lake.ops.rectification_records WHERE department = '{self.department}' ORDER BY 1, 4"
        return self.published.ask("steward", sql)

    def rectify(self, *arguments: str, user: str = "steward", check: bool = True):
        signed_in = {"LAKE_USER": user, "LAKE_PASSWORD": self.published.password(user)}
        return self.published.lake("rectify", *arguments, env=signed_in, check=check)


@pytest.fixture(scope="module")
def outbox():
    """A folder that the service user can write."""
    folder = Path(tempfile.mkdtemp(prefix="outbox-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.long
def test_three_kinds_of_damage_go_through_the_whole_ledger(published, outbox):
    assert set(RULES.values()) <= dirt.KINDS.keys()
    d, g = Damaged(published), np.random.default_rng(41)
    right_code = code(random.Random(d.tag))
    fine = [d.line(n, code=right_code) for n in range(10, 24)]
    right = [d.line(1, code=right_code), d.line(2, code=right_code), d.line(3, code=right_code), *fine]
    wrong_day = dirt._CHANGE["date_impossible"]("2019-09-02", g)
    wrong_code = dirt._CHANGE["code_typo"](right_code, g)
    lost = ",".join(cell for place, cell in enumerate(right[2].split(",")) if place != 2)
    d.send("2019-09-30", [d.line(1, wrong_day, right_code), d.line(2, code=wrong_code), lost, *fine])
    # Found.
    assert d.states() == dict.fromkeys(sorted(RULES), "found")
    assert [(rule, state, row) for rule, _, state, row in d.records() if rule in RULES] == [("credit_code_checked", "open", 2), ("decided_on_readable", "open", 1), (UNSPLITTABLE, "open", 3)]  # fmt: skip
    # Assigned: shown at once by the command, in the table after the next run.
    until = str(dt.date.today() + dt.timedelta(days=20))
    for rule in RULES:
        d.rectify("assign", d.item_id(rule), "--to", "数据科", "--until", until)
    told = json.loads(d.rectify("list", "--department", d.department, "--json").stdout)
    assert {(i["item_state"], i["assigned_to"], i["rectify_by"]) for i in told["items"] if i["rule_id"] in RULES} == {("assigned", "数据科", until)}
    refused = d.rectify("assign", d.item_id("decided_on_readable"), "--to", "某人", user="leader", check=False)
    assert (refused.returncode, "不能办理" in refused.stderr) == (1, True)
    # Exported: a workbook of its own that names every record, and a letter.
    d.rectify("export", str(outbox), "--department", d.department)
    (file,) = (outbox / d.department).glob("*.xlsx")
    assert file.with_suffix(".eml").exists()
    book = openpyxl.load_workbook(io.BytesIO(file.read_bytes()))
    assert {row[1].value for row in book["记录清单"].iter_rows(min_row=2)} == {record for _, record, _, _ in d.records()}
    # A corrective delivery: two records are mended by stating them rightly, the row that nobody could name by the revision of its delivery.
    d.send("2019-09-30", right, revision=1)
    assert d.states() == dict.fromkeys(sorted(RULES), "closed")
    assert {i.mended for i in d.items().values()} == {1}
    assert d.records() == []
    # One comes back.
    d.send("2019-10-31", [d.line(1, wrong_day, right_code), *fine])
    items = d.items()
    back = items.pop("decided_on_readable")
    assert (back.state, back.open, back.returned, back.mended, back.reopened) == ("reopened", 1, 1, 0, 1)
    assert {i.state for i in items.values()} == {"closed"}
    assert [r[2] for r in d.records()] == ["returned"]
    # What was done stays, in order, and can't be changed; leaders see how much is open, not which records.
    history = published.ask("steward", f"SELECT handling_kind FROM lake.ops.rectification_events WHERE item_id = '{d.item_id('decided_on_readable')}' ORDER BY handling_id")  # fmt: skip
    assert history == [["assigned"], ["exported"]]
    with published.ledger() as connection:
        for sql in ("UPDATE rectification_event SET note = 'x'", "DELETE FROM rectification_event", "TRUNCATE rectification_event"):
            with pytest.raises(psycopg.errors.RaiseException, match="only added to"):
                connection.execute(sql)
    assert published.ask("leader", f"SELECT count(*) FROM lake.ops.rectification_items WHERE department = '{d.department}'") == [[len(RULES)]]
    for table in ("rectification_records", "rectification_events"):
        with pytest.raises(Exception, match="Access Denied"):
            published.ask("leader", f"SELECT * FROM lake.ops.{table}")


@pytest.mark.long
def test_a_delivery_closes_the_records_that_it_mends_and_no_others(published):
    d = Damaged(published)
    fine = [d.line(n) for n in range(10, 30)]
    d.send("2019-09-30", [*(d.line(n, day="2019-09-31") for n in (1, 2, 3)), *fine])
    rule = "decided_on_readable"
    assert (d.items()[rule].open, d.items()[rule].mended) == (3, 0)
    first, second, _ = (record for r, record, _, _ in d.records() if r == rule)
    # One is disputed, one exempted with all that is left of its kind.
    d.rectify("dispute", d.item_id(rule), "--record", first, "--evidence", "穗测函〔2026〕1号")
    assert d.rectify("dispute", d.item_id(rule), "--record", "D0000000000000000-1", "--evidence", "x", check=False).returncode == 1
    d.send("2019-10-31", [d.line(2, day="2019-10-30"), *fine])
    i = d.items()[rule]
    assert (i.open, i.disputed, i.mended) == (1, 1, 1)
    assert second not in {r[1] for r in d.records()}
    d.rectify("decide", d.item_id(rule), "upheld", "--record", first, "--reason", "依据充分")
    d.rectify("exempt", d.item_id(rule), "--until", str(dt.date.today() + dt.timedelta(days=30)), "--reason", "系统改造")
    d.send("2019-11-30", fine)
    i = d.items()[rule]
    assert (i.state, i.open, i.exempted, i.mended) == ("exempted", 0, 2, 1)
