"""Landing: strict decoding, columns bound by name, bad records kept as text, bad files refused with a message for a clerk."""

import datetime as dt
import os
import re
import time
import tracemalloc
from dataclasses import replace
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
from forms import xlsx
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.contract import load_contracts
from infra.deliveries import _place
from infra.ledger import Delivery, Statement
from spark_jobs.ingest import land, readers
from spark_jobs.ingest.land import BATCH_ROWS, GROUP_ROWS, _name_taken, _write_records, records, stated, still_written
from spark_jobs.ingest.refusal import Refused

FEED = load_contracts()["bronze.registration_subjects"]
HEADER = "企业名称,统一社会信用代码,注册日期,注册地址"
ROW = "广州市测试一号有限公司,91440101YTEXT00018,2019-03-01,广州市天河区体育西路1号"


@pytest.fixture
def split(tmp_path):
    """``split(text)``: the records of a file with this text."""

    def of(text, encoding="utf-8"):
        path = tmp_path / "delivery"
        path.write_bytes(text.encode(encoding))
        return list(records(FEED, path, tmp_path))

    return of


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_text_is_the_same_in_every_accepted_encoding(encoding, split):
    ((_, values, _),) = split(f"{HEADER}\n{ROW}𠀀㐀\n", encoding)
    assert ",".join(values.values()) == f"{ROW}𠀀㐀"


def test_columns_are_bound_by_name_not_by_place(split):
    rows = split("注册地址,企业名称,注册日期,统一社会信用代码\n地址,名称,2019-01-01,代码\n")
    assert rows == [(1, {"registered_address": "地址", "subject_name": "名称", "registration_date": "2019-01-01", "credit_code": "代码"}, "")]


def test_aliases_of_a_column_are_known(split):
    ((_, values, _),) = split(HEADER.replace("企业名称", "市场主体名称") + f"\n{ROW}\n")
    assert next(iter(values)) == "subject_name"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (HEADER.replace("注册日期", "日期不明"), "不认识的列：日期不明；缺少的列：注册日期"),
        (HEADER + ",名称", "重复的列"),
        (HEADER.replace("注册日期", ""), "没有列名的列：第 3 列"),
        ("", "没有一行是.*的表头.*至少应有：企业名称、统一社会信用代码、注册日期、注册地址"),
    ],
)
def test_a_header_that_breaks_the_contract_refuses_the_file(header, says, split):
    with pytest.raises(Refused, match=says):
        split(f"{header}\n{ROW}\n")


def test_a_refusal_shows_nothing_of_the_rows(split):
    with pytest.raises(Refused) as refusal:
        split(f"{ROW}\n{ROW}\n")
    assert not any(part in str(refusal.value) for part in ROW.split(","))


def test_a_record_of_another_length_is_kept_as_text_and_harms_no_other(split):
    kept = split(f"{HEADER}\n{ROW}\n只有,两列\n{ROW}\n\n")
    assert [(number, values is not None) for number, values, _ in kept] == [(1, True), (2, False), (3, True)]
    assert kept[1][2] == "只有,两列"


def test_a_newline_inside_quotes_does_not_split_a_record(split):
    rows = split(f'{HEADER}\n"广州\n公司",代码,2019-01-01,地址\n')
    assert [values["subject_name"] for _, values, _ in rows] == ["广州\n公司"]


@pytest.mark.parametrize(
    "damaged", ['"广州公司,代码,2019-01-01,地址', '广州"公司",代码,2019-01-01,"地址', '"广州"公司,代码,2019-01-01,地址', '""",代码,2019-01-01,地址']
)
@pytest.mark.parametrize("quoted", [False, True])
def test_a_damaged_quote_costs_its_own_row_only(damaged, quoted, split):
    row = '"' + ROW.replace(",", '","') + '"' if quoted else ROW
    rows = split(f"{HEADER}\n{row}\n{damaged}\n{row}\n{row}\n")
    assert [values is not None for _, values, _ in rows] == [True, False, True, True]
    assert rows[1][2] == damaged
    assert len({tuple(values.values()) for _, values, _ in rows if values}) == 1


def test_line_breaks_inside_quotes_and_a_damaged_quote_behind_them(split):
    rows = split(f'{HEADER}\n"广州\n\n公司",代码,2019-01-01,"地\n址"\n"坏,代码,2019-01-01,地址\n{ROW}\n"好\n店",代码,2019-01-01,地址\n')
    assert [values and values["subject_name"] for _, values, _ in rows] == ["广州\n\n公司", None, ROW.split(",")[0], "好\n店"]


# --- what is stated beside a file ---------------------------------------------------------------------------------------


def test_a_business_date_comes_from_the_manifest_else_from_the_name():
    feed = load_contracts()["bronze.registration_subjects"]
    assert stated(feed, "主体_2019-06-30.csv", b"{}") == Statement("登记注册处", dt.date(2019, 6, 30), 0, False)
    assert stated(feed, "主体_2019-06-30.csv", b'{"as_of": "2019-07-01", "revision": 2}').business_date == dt.date(2019, 7, 1)
    assert stated(feed, "guangzhou_2001.csv", b"{}").business_date is None
    assert stated(feed, "x.csv", '{"department": "演示部门", "simulated": true}'.encode()) == Statement("演示部门", None, 0, True)
    # An impossible date in the name harms nothing where the manifest says the day, as the refusal advises.
    assert stated(feed, "主体_2019-02-30.csv", b'{"as_of": "2019-02-28"}').business_date == dt.date(2019, 2, 28)
    # A feed that says nothing about its names takes no day from them.
    assert stated(replace(feed, file_name_date=None), "主体_2019-06-30.csv", b"{}").business_date is None


def test_today_in_china_is_no_future():
    today = dt.datetime.now(ZoneInfo("Asia/Shanghai")).date()
    assert stated(FEED, f"主体_{today}.csv", b"{}").business_date == today
    with pytest.raises(Refused, match=r"在将来。请核对说明文件或文件名里的日期"):
        stated(FEED, f"主体_{today + dt.timedelta(days=2)}.csv", b"{}")


@pytest.mark.parametrize(
    ("name", "manifest", "says"),
    [
        ("x.csv", "{", "不是完整的 JSON"),
        ("x.csv", '{"as_of": "2019-06-30"', "不是完整的 JSON"),
        ("x.csv", '{"asof": "2019-01-01"}', "不认识的项“asof”"),
        ("x.csv", '{"revision": -1}', "revision 应为不小于 0 的整数"),
        ("x.csv", '{"revision": "1"}', "revision 应为不小于 0 的整数"),
        ("x.csv", '{"revision": true}', "revision 应为不小于 0 的整数"),
        ("x.csv", '{"as_of": "2019-02-30"}', "as_of 应为真实存在的日期"),
        ("x.csv", '{"as_of": 20190630}', "as_of 应为真实存在的日期"),
        ("x.csv", '{"simulated": "no"}', "simulated 应为 true 或 false"),
        ("x.csv", '{"department": 5, "revision": -1}', "department 应为不超过 60 个字的部门名称；revision 应为"),
        ("x.csv", "[]", "应为一个 JSON 对象"),
        ("x.csv", '{"as_of": "2099-01-01"}', "声明的业务日期 2099-01-01 在将来"),
        ("主体_2099-01-01.csv", "{}", "声明的业务日期 2099-01-01 在将来"),
        ("主体_2019-02-30.csv", "{}", "文件名里的日期“2019-02-30”不是真实的日期"),
        ("x.csv", '{"rows": -1}', "rows 应为不小于 0 的整数"),
        ("x.csv", '{"sha256": "abc"}', "sha256 应为64 位十六进制"),
        ("主体_2019-13-01.csv", "{}", "文件名里的日期“2019-13-01”不是真实的日期"),
    ],
)
def test_what_is_stated_wrongly_is_refused_with_what_to_do(name, manifest, says):
    with pytest.raises(Refused, match=says) as refusal:
        stated(FEED, name, manifest.encode())
    assert "请" in str(refusal.value)
    # Nothing of the library's own English reaches the clerk.
    assert not re.search(
        r"[A-Za-z]{4,}",
        re.sub(r"as_of|department|revision|simulated|rows|sha256|asof|JSON|true|false|x\.csv\.manifest\.json|manifest\.json", "", str(refusal.value)),
    )


def test_a_manifest_in_another_encoding_is_refused_with_what_to_do():
    with pytest.raises(Refused, match=r"不是 UTF-8 编码（第 17 个字节）。请另存为 UTF-8"):
        stated(FEED, "x.csv", '{"department": "登记"}'.encode("gb18030"))
    assert stated(FEED, "x.csv", '\ufeff{"department": " 登记处 "}'.encode()).department == "登记处"


# --- the same name again ------------------------------------------------------------------------------------------------


def delivery(identity: str, revision: int = 0, day: dt.date | None = None) -> Delivery:
    return Delivery(identity, FEED.name, "主体.csv", "loaded", None, 3, "2019-07-01T08:00:00+08:00", None, day, revision, False)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (None, delivery("D2")),
        (delivery("D1"), delivery("D2", revision=1)),
        (delivery("D1", day=dt.date(2019, 6, 29)), delivery("D2", day=dt.date(2019, 6, 30))),
        (delivery("D1"), delivery("D2", day=dt.date(2019, 6, 30))),
    ],
    ids=["first of its name", "correction", "another day", "day now stated"],
)
def test_a_name_may_come_again_as_a_correction_or_for_another_day(earlier, later):
    assert _name_taken(earlier, later) == ""


@pytest.mark.parametrize("day", [None, dt.date(2019, 6, 30)])
@pytest.mark.parametrize("revision", [1, 2])
def test_other_content_under_a_taken_name_is_refused_with_what_to_do(day, revision):
    says = _name_taken(delivery("D1", revision=2, day=day), delivery("D2", revision=revision, day=day))
    for part in ("2019-07-01", "批次 D1", "内容不同", "声明修订号（大于 2）", "声明业务日期", "换一个文件名"):
        assert part in says


def test_a_file_that_somebody_still_writes_is_left_alone(tmp_path):
    path = tmp_path / "half.csv"
    with path.open("w") as writer:
        writer.write(HEADER)
        assert still_written(path)
    assert not still_written(path)


def test_where_the_kernel_doesn_t_tell_a_file_that_grows_is_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "half.csv"
    path.write_text(HEADER)

    def no_leases(*_):
        raise PermissionError

    def grow(_):
        path.write_text(HEADER + "\n")

    monkeypatch.setattr(land.fcntl, "fcntl", no_leases)
    monkeypatch.setattr(land.time, "sleep", grow)
    assert still_written(path)
    monkeypatch.setattr(land.time, "sleep", lambda _: None)
    assert not still_written(path)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("登记.csv", "登记.csv"),
        ("a\nb.csv", "a\\nb.csv"),
        ("\x1b[31m红.csv", "\\x1b[31m红.csv"),
        ("$(touch x);`y`.csv", "$(touch x);`y`.csv"),
        ("\udcff.csv", "\\xff.csv"),
        ("\u202egpj.csv", "\\u202egpj.csv"),
    ],
)
def test_a_hostile_file_name_is_shown_as_plain_text(name, shown):
    assert land.shown_name(land.Path(name)) == shown
    shown.encode()


class Inbox:
    """An instance with nothing but a landing folder, and a ledger that only remembers."""

    def __init__(self, state):
        self.folder = lambda name: state.joinpath(name).mkdir(parents=True, exist_ok=True) or state / name
        self.noted = {}
        self.path = self.folder(f"landing/inbox/{FEED.name}")

    def arrive(self, feed, digest, size, name, says):
        self.noted[digest] = Delivery(f"D{digest[:8]}", feed, name, "arrived", None, None, "2026-11-25", None, says.business_date, 0, False)
        self.digest = digest
        return self.noted[digest], True

    def deliveries(self, *_):
        return []

    def namesake(self, *_):
        return None

    def sha256(self, _):
        return self.digest

    def delivery(self, _):
        return self.noted[self.digest]

    def refuse(self, _, reason):
        self.noted[self.digest] = replace(self.noted[self.digest], state="refused", reason=reason)

    def landed(self, _, path, rows):
        self.noted[self.digest] = replace(self.noted[self.digest], state="landed", row_count=rows)

    def land(self):
        return [x.delivery for x in land.land_waiting(self, self, FEED)]


@pytest.fixture
def box(tmp_path):
    return Inbox(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ('{"rows": 1}', None),
        ('{"rows": 2}', "文件里有 1 条记录，说明文件里写的是 2 条"),
        ('{"sha256": "%s"}' % ("0" * 64), "SHA-256 摘要与说明文件里的不同"),
    ],
)
def test_what_the_sender_counted_is_compared(box, manifest, says):
    (box.path / "x.csv").write_text(f"{HEADER}\n{ROW}\n")
    (box.path / "x.csv.manifest.json").write_text(manifest)
    (delivery,) = box.land()
    assert (delivery.state, says is None or says in delivery.reason) == ("refused" if says else "landed", True)
    assert list(box.path.iterdir()) == []


def test_what_came_first_is_landed_first_whatever_it_is_called(box, tmp_path):
    for number, name in enumerate(("z.csv", "a.csv", "m.csv")):
        (tmp_path / "sent").write_text(f"{HEADER}\n{ROW}\n" + f"{ROW}\n" * number)
        os.utime(tmp_path / "sent", (1, 2 - number))  # as a copy that keeps the times of its origin
        (tmp_path / "sent").rename(box.path / name)
        time.sleep(0.02)  # the clock of a file system ticks
    assert [d.file_name for d in box.land()] == ["z.csv", "a.csv", "m.csv"]


def test_what_is_no_file_of_its_own_is_not_taken(box, tmp_path, capsys):
    secret = tmp_path / "secret"
    secret.write_text(f"{HEADER}\n{ROW}\n")
    (box.path / "link.csv").symlink_to(secret)
    (box.path / "folder").mkdir()
    with (box.path / "growing.csv").open("w") as writer:
        writer.write(HEADER)
        writer.flush()
        assert box.land() == []
    said = capsys.readouterr().out
    assert "link.csv: 是链接或文件夹，不收" in said
    assert "folder: 是链接或文件夹，不收" in said
    assert "growing.csv: 还在写入" in said


def test_only_a_header_is_refused(box):
    (box.path / "x.csv").write_text(f"{HEADER}\n")
    (delivery,) = box.land()
    assert "文件只有表头，没有记录" in delivery.reason


def test_a_hostile_name_lands_like_any_other(box):
    (box.path / "a\nb;$(id)\udcff.csv").write_text(f"{HEADER}\n{ROW}\n")
    (delivery,) = box.land()
    assert (delivery.state, delivery.file_name) == ("landed", "a\\nb;$(id)\\xff.csv")


LINE = st.lists(
    st.sampled_from([",", "\t", "甲", "A", " ", "\u2028", "\x0b", "\x1c", "\x85", "'", "\\"]) | st.characters(exclude_characters='\r\n"\0')
).map("".join)


@settings(max_examples=500, deadline=None)
@given(LINE, st.sampled_from(["\n", "\r", "\r\n", ""]), st.sampled_from(readers.DELIMITERS))
def test_a_line_without_quotes_is_split_as_the_csv_module_does(line, ending, delimiter):
    assert readers._split_plain(line + ending, delimiter) == readers._split([line + ending], delimiter)


def test_memory_does_not_grow_with_the_file(tmp_path):
    """What is held at once is a batch of rows as Python objects and a row group as columns, whatever the length of the file."""
    peaks = []
    for rows in (20_000, 200_000):
        source, target = tmp_path / "delivery", tmp_path / "landed.parquet"
        with source.open("w", encoding="utf-8") as file:
            file.write(f"{HEADER}\n")
            file.writelines(f"{ROW.replace('一号', str(number))}\n" for number in range(rows))
        tracemalloc.start()
        try:
            assert _write_records(FEED, delivery("D1"), source, target) == rows
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        written = pq.ParquetFile(target)
        groups = [written.metadata.row_group(i).num_rows for i in range(written.metadata.num_row_groups)]
        assert sum(groups) == rows
        assert max(groups) < GROUP_ROWS + BATCH_ROWS
        assert written.read(["row_number"])["row_number"].to_pylist() == list(range(1, rows + 1))
    short, long = peaks
    assert long < short * 1.2 + 2**20  # bytes; ten times the rows
    assert long < 16 * 2**20


def test_each_record_knows_where_it_stands_in_the_file(tmp_path):
    """Banners, blank rows, a line break inside quotes: the line is the one that the sender sees, in the sheet that he sees."""
    rows = [["广州市市场主体登记表"], [], HEADER.split(","), ROW.split(","), [], ROW.replace("一号", "二号").split(",")]
    book, text, target = tmp_path / "book", tmp_path / "text", tmp_path / "records.parquet"
    book.write_bytes(xlsx(rows, "天河", [("越秀", rows[2:4])]))
    assert _write_records(FEED, delivery("D1"), book, target) == 3
    assert [(r["row_number"], r["sheet_name"], r["line_number"]) for r in pq.read_table(target).to_pylist()] == [
        (1, "天河", 4),
        (2, "天河", 6),
        (3, "越秀", 2),
    ]
    assert _place(target, 2) == "工作表“天河”第 6 行"
    quoted = ROW.replace("广州市天河区体育西路1号", '"广州市天河区\n体育西路1号"')
    text.write_text(f"{HEADER}\n{quoted}\n{ROW}\n")
    assert _write_records(FEED, delivery("D1"), text, target) == 2
    assert [(r["sheet_name"], r["line_number"]) for r in pq.read_table(target).to_pylist()] == [(None, 2), (None, 4)]
    assert (_place(target, 2), _place(tmp_path / "gone", 2)) == ("第 4 行", "第 2 条记录")
