"""The real registrations that the repository carries: readable, bound by the contract, and without personal details."""

import csv
import datetime as dt
import io
import re
from collections import defaultdict
from pathlib import Path

import pytest

from catalog.contract import HOME, load_contracts
from catalog.derive import header_bindings, required_headers
from spark_jobs.ingest.land import records, stated
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.registration import refine

SAMPLES = HOME.parent / "samples" / "registrations"
FILES = sorted(SAMPLES.glob("*.csv"))
PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)(?:0\d{2,3}[-—]?)?\d{7,8}(?!\d)")
IDENTITY = re.compile(r"(?<!\d)(?:\d{15}|\d{17}[\dXx])(?!\d)")
CAPITAL = re.compile(r"[0-9.,]+[(（]?万.{0,6}[)）]?|N/A|-")


def read(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    return header, rows


@pytest.fixture(scope="module")
def feed():
    return load_contracts()["bronze.registration_subjects"]


def test_there_are_about_three_thousand_rows_in_several_deliveries():
    assert [path.name for path in SAMPLES.iterdir() if path not in FILES] == []
    assert len(FILES) == 30
    assert sum(len(read(path)[1]) for path in FILES) == 3188


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_utf8_with_known_headers_and_even_rows(path, feed):
    raw = path.read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\x00" not in raw
    assert b"\r" not in raw
    assert "\ufffd" not in raw.decode("utf-8")
    header, rows = read(path)
    bindings = header_bindings(feed)
    assert [h for h in header if h not in bindings] == []
    assert {bindings[h] for h in header} >= set(required_headers(feed))
    assert {len(row) for row in rows} == {len(header)}
    date = header.index("注册日期")
    assert {row[date][:4] for row in rows} == {path.stem[-4:]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_carries_no_personal_details(path, feed):
    header, rows = read(path)
    bindings = header_bindings(feed)
    assert "legal_representative" not in {bindings[h] for h in header}
    free = [i for i, h in enumerate(header) if bindings[h] != "credit_code" and bindings[h] != "registration_date"]
    found = [row[i] for row in rows for i in free if PHONE.search(row[i]) or IDENTITY.search(row[i])]
    assert found == []
    # A shifted row would put a person's name where capital or province belongs.
    assert [row for row in rows if not CAPITAL.fullmatch(row[header.index("注册资金")])] == []
    assert {row[header.index("所在省份")] for row in rows} == {"广东"}


def test_the_personal_check_sees_what_it_must():
    assert PHONE.search("联系电话13812345678")
    assert PHONE.search("020-83012345")
    assert IDENTITY.search("身份证11010519491231002X")
    assert not PHONE.search("广州市天河区中山大道123号")


def test_untidy_rows_are_kept():
    texts = [cell for path in FILES for row in read(path)[1] for cell in row]
    assert "N/A" in texts
    assert any(text.endswith("〓") for text in texts)
    assert any(re.fullmatch(r"\d,\d{3}\(万人民币元\)", text) for text in texts)
    codes = [(row[1], row[0]) for path in FILES for row in read(path)[1]]
    assert len({code for code, _ in codes}) < len(set(codes)), "codes shared by different names"


def test_source_and_terms_are_stated():
    readme = (SAMPLES.parent / "README.md").read_text(encoding="utf-8")
    assert "CC BY-NC-SA 4.0" in readme
    assert "partial collection" in readme


# --- later deliveries ---------------------------------------------------------------------------------------------------

LATER = sorted(p for p in (SAMPLES.parent / "later").iterdir() if not p.name.endswith(".manifest.json"))
ACCOUNT = re.compile(r"^\| (\S+\.csv) \|.*\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.M)


def decoded(path):
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("gb18030")


def later_rows(path):
    return [row for row in csv.reader(io.StringIO(decoded(path))) if row][1:]


def test_the_readme_accounts_for_every_later_file():
    readme = (SAMPLES.parent / "README.md").read_text(encoding="utf-8")
    accounts = {name: [int(n) for n in numbers] for name, *numbers in ACCOUNT.findall(readme)}
    assert set(accounts) == {p.name for p in LATER}
    for path in LATER:
        arrived, *parts = accounts[path.name]
        assert arrived == sum(parts) == len(later_rows(path)), path.name


@pytest.mark.parametrize("path", [p for p in LATER if "演示" in p.name], ids=lambda p: p.stem)
def test_made_up_subjects_say_so(path, feed):
    manifest = path.with_name(path.name + ".manifest.json").read_bytes()
    assert stated(feed, path.name, manifest).simulated
    for row in later_rows(path):
        assert row[0].startswith("广州市演示") or row[0] == "N/A"
        if len(row) > 3 and row[1] != "11010519491231002X":
            assert identify(row[1]).check == "passed"
            assert row[1][8:14] == "YMADEM"


def test_the_repeated_rows_are_real_ones():
    first = read(SAMPLES / "guangzhou_2001.csv")[1]
    repeated = later_rows(SAMPLES.parent / "later" / "7-重复报送.csv")
    assert repeated == first[: len(repeated)]


def says(path, feed):
    manifest = path.with_name(path.name + ".manifest.json")
    return stated(feed, path.name, manifest.read_bytes() if manifest.exists() else b"{}")


def test_the_accounts_of_the_readme_follow_from_decision_0010(feed, tmp_path):
    """Reckoned here without Spark. A subject is its code and registration date: in these files no change touches both."""
    order = [SAMPLES / "guangzhou_2001.csv", *LATER]
    outcomes = {path.name: dict.fromkeys(("applied", "superseded", "duplicate", "quarantined"), 0) for path in order}
    facts = defaultdict(list)
    for path in order:
        told = says(path, feed)
        for _, values, _ in records(feed, path, tmp_path):
            record = refine(values, dt.date(2026, 1, 1)) if values is not None else None
            if record is None or record["reasons"]:
                outcomes[path.name]["quarantined"] += 1
                continue
            subject = record["credit_code"] or record["registration_number"], record["registration_date"]
            day = told.business_date or record["registration_date"]
            facts[subject].append((day, told.source_revision, record["content_hash"], path.name))
    for history in facts.values():
        before = None
        for day in sorted({fact[0] for fact in history}):
            of_day = [fact[1:] for fact in history if fact[0] == day]
            _, stands, _ = max(of_day)
            seen = set()
            for _, content, name in of_day:
                again = content in seen or (content == stands == before)
                outcomes[name]["duplicate" if again else "applied" if content == stands else "superseded"] += 1
                seen.add(content)
            before = stands
    readme = (SAMPLES.parent / "README.md").read_text(encoding="utf-8")
    expected = {name: [int(n) for n in parts] for name, _, *parts in ACCOUNT.findall(readme)}
    assert {path.name: list(outcomes[path.name].values()) for path in LATER} == expected


@pytest.mark.parametrize("path", LATER, ids=lambda path: path.stem)
def test_a_later_file_carries_no_personal_details(path):
    header, *rows = csv.reader(io.StringIO(decoded(path)))
    free = [i for i, h in enumerate(header) if h not in ("统一社会信用代码", "注册日期")]
    assert [row for row in rows if len(row) == len(header) for i in free if PHONE.search(row[i]) or IDENTITY.search(row[i])] == []
    # The standard's own example is nobody's number.
    assert {row[1] for row in rows if identify(row[1]).resident} <= {"11010519491231002X"}
    if "法人代表" in header:
        assert {row[header.index("法人代表")][:3] for row in rows if len(row) == len(header)} == {"演示人"}


def test_the_repeat_is_in_another_encoding_and_states_no_date(feed):
    path = SAMPLES.parent / "later" / "7-重复报送.csv"
    raw = path.read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("utf-8")
    assert raw.count(b"\r\n") == raw.count(b"\n") == len(later_rows(path)) + 1
    assert (SAMPLES / "guangzhou_2001.csv").read_text(encoding="utf-8").startswith(raw.decode("gb18030").replace("\r\n", "\n"))
    assert says(path, feed).business_date is None
    assert not says(path, feed).simulated
