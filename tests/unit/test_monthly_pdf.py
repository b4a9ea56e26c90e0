"""Monthly reports as files to print: all that the page says, in text that can be selected, the same bytes each time, and no word of data obeyed."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import asdict, replace
from decimal import Decimal

import pytest
import typst
from pypdf import PdfReader

from catalog.site import app, model, monthly, pdf
from catalog.site.status import Status
from spark_jobs.quality_month import TREND, Counted, DepartmentMonth, Finding, MonthScore, Punctuality, Unusual

MONTH = dt.date(2026, 11, 1)
GRADES = {"good": "良", "poor": "劣"}
SCORE = MonthScore(MONTH, Decimal("95.00"), "good")
NOTHING = MonthScore(MONTH, None, None)
FINDING = Finding(
    "执法监督处", "penalties", "行政处罚", "credit_code_checked", "统一社会信用代码要能通过校验；请核对原件", "准确性", "warn",
    2000, 1234, Decimal("61.70"), 20, Decimal("10.00"), "more", 1200, ("穗测处〔2026〕1号", "*** 91440101MA5XXXXX0L"),
)  # fmt: skip
FULL = DepartmentMonth(
    "执法监督处", MONTH, SCORE, SCORE, Decimal("-1.90"), (NOTHING, *[SCORE] * (TREND - 1)), (("行政处罚", SCORE),), (("准确性", SCORE),),
    (FINDING, replace(FINDING, rule="date_present", description="处罚日期不能为空；", failed=0, share=Decimal(0), change="gone")),
    Punctuality(4, 2, 1, 0, 1, Decimal("50.00"), (("行政处罚", dt.date(2026, 11, 18), 9),)),
    (Counted("行政处罚", 4, 123456, 123400, 56, 0),),
    (Unusual("记录数远低于往常", "volume_low", "recovered", dt.date(2026, 11, 2), dt.date(2026, 11, 20), Decimal(9)),),
    True,
)  # fmt: skip
EMPTY = DepartmentMonth("办公室", MONTH, NOTHING, NOTHING, None, (NOTHING,) * TREND, (), (), (), Punctuality(0, 0, 0, 0, 0, None, ()), (), (), False)


def status_of(*reports):
    told = tuple(asdict(r) | {"slug": f"office-{n}"} for n, r in enumerate(reports))
    return Status("R00000007", dt.datetime(2026, 11, 30, 1, 30, tzinfo=dt.UTC), dt.date(2026, 11, 29), reports=told)


def printed(report):
    (file,) = pdf.prints(status_of(report), GRADES).values()
    return file


def pages(file):
    """The text of each page, without blanks: lines are broken anywhere."""
    return ["".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(file)).pages]


def test_a_report_says_all_that_its_page_says():
    said = monthly.told(asdict(FULL), GRADES)
    (text,) = pages(printed(FULL))
    of_finding = [w for f in said.findings for w in (f.description, f.feed, f.dimension, f.failed, f.share, f.change, f.before, f.open, *f.samples)]
    listed = [*sum(said.feeds + said.dimensions + said.counts + said.anomalies + said.trend, ()), *said.late, *of_finding]
    for words in (said.department, said.month, said.simulated, said.opening, said.score, said.lead, said.gone, said.punctuality, said.notes, *listed):
        assert "".join(words.split()) in text, words
    for words in (
        "执法监督处",
        "2026年11月",
        "比上月低1.90分",
        "处罚日期不能为空（行政处罚，上月20条）",
        "***91440101MA5XXXXX0L",
        "含模拟数据",
        "2026-11-20恢复",
    ):
        assert words in text
    assert "发布R00000007（2026-11-3009:30），数据截至2026-11-29" in text
    assert "第1页，共1页" in text


def test_a_month_without_anything_to_say_is_a_report_too():
    (text,) = pages(printed(EMPTY))
    for words in ("办公室", "本月没有可评的报送。", "没有。", "本月没有到期的批次。", "本月没有源系统的对账单。"):
        assert words in text
    assert "模拟" not in text


def test_a_long_table_goes_on_under_its_heads():
    found = tuple(replace(FINDING, description=f"第〔{n}〕条规则的说明要说清楚哪里不对、应当怎样改正") for n in range(80))
    several = pages(printed(replace(FULL, findings=found)))
    assert len(several) > 3
    for number, page in enumerate(several, 1):
        assert ("条规则的说明" in page) == ("问题数据源维度不满足占比比上月未改正例子" in page)
        assert page.startswith("执法监督处数据质量月报含模拟数据2026年11月")
        assert f"第{number}页，共{len(several)}页" in page
    for f in found:
        assert f.description in "".join(several)


MARKUP = "#panic() *b* _i_ $x^2$ @ref [a] <lab> `c` \\u{41} // c /* d */ -- ... ~ \"q\" 'r'"


def test_markup_in_data_is_shown_and_not_obeyed():
    full = replace(
        FULL,
        department=MARKUP,
        by_feed=((MARKUP, SCORE),),
        findings=(replace(FINDING, description=MARKUP, samples=(MARKUP, "= 1", "a" * 50)),),
        anomalies=(replace(FULL.anomalies[0], text=MARKUP),),
    )
    text = "".join(pages(printed(full)))
    assert text.count("".join(MARKUP.split())) >= 6  # head of the page, title, lead, rule, example, feed, anomaly
    assert "a" * 50 in text  # broken to fit its column, with nothing put between


def test_only_our_fonts_are_used_and_they_are_within():
    fonts = {}
    for page in PdfReader(io.BytesIO(printed(FULL))).pages:
        for font in page["/Resources"]["/Font"].values():
            (below,) = font["/DescendantFonts"]
            fonts[str(font["/BaseFont"])] = below["/FontDescriptor"]
            assert "/ToUnicode" in font
    assert {name.partition("+")[2].partition("-")[0] for name in fonts} == {"NotoSansSC", "NotoSerifSC"}
    assert all("/FontFile3" in descriptor for descriptor in fonts.values())


def test_the_same_contents_make_the_same_bytes():
    first, second = (list(pdf.prints(status_of(EMPTY, FULL), GRADES).values()) for _ in range(2))
    assert first == second
    assert printed(FULL) != printed(replace(FULL, department="办公室"))
    assert PdfReader(io.BytesIO(printed(FULL))).pages[0].mediabox[2:] == pytest.approx([595.28, 841.89], abs=0.01)  # A4, in points


def test_a_report_that_cannot_be_set_leaves_the_others_and_the_site(monkeypatch, caplog):
    def failing(compiler, told, source):
        if told.department == "办公室":
            raise typst.TypstError("no room")
        return b"%PDF"

    monkeypatch.setattr(pdf, "render", failing)
    status = status_of(EMPTY, FULL)
    prints = pdf.prints(status, GRADES)
    assert prints == {("2026-11", "office-1"): b"%PDF"}
    assert "no PDF of 2026-11/office-0: no room" in caplog.text
    client = app.make(model.load(status), b"", prints).test_client()
    assert "report.pdf" not in client.get("/reports/2026-11/office-0/").text
    assert "report.pdf" in client.get("/reports/2026-11/office-1/").text
    assert client.get("/reports/").text.count("report.pdf") == 1
    assert client.get("/reports/2026-11/office-0/report.pdf").status_code == 404
    answer = client.get("/reports/2026-11/office-1/report.pdf")
    assert (answer.data, answer.mimetype) == (b"%PDF", "application/pdf")
