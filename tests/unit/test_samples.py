"""The real registrations that the repository carries: readable, bound by the contract, and without personal details."""

import csv
import re
from pathlib import Path

import pytest

from catalog.contract import HOME, load_contracts
from catalog.derive import header_bindings, required_headers

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
