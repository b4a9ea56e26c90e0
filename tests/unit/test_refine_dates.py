"""Dates: every written form, China time, and nothing made up."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.refine.dates import parse_date


@pytest.mark.parametrize(
    "text",
    [
        "2019-03-01", "2019/3/1", "2019.3.1", "2019年3月1日", "2019年03月01", "20190301", "２０１９－０３－０１", " 2019-03-01 ", "2019-03-01 08:30:00",
        "2019-03-01T23:59:59", "2019/3/1 0:00", "2019-03-01T00:00:00.000", "2019-02-28T16:00:00Z", "2019-02-28T20:00:00+00:00",
        "2019-03-01T10:00:00+08:00", "2019年3月1日 8时30分", "20190301 12:00:00",
    ],
)  # fmt: skip
def test_forms(text):
    assert parse_date(text) == dt.date(2019, 3, 1)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "N/A", "1993-02-30", "1993-13-01", "1993-00-10", "1899-12-31", "0001-01-01", "43525", "190301", "2019-3", "2019", "2019-03/01",
        "2019-03-01 25:00", "2019-03-01至2020-03-01", "01/03/2019", "2019-W09-5", "三月一日", "2019-03-01" + "0" * 100, "9999-12-31T23:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_date(text):
    assert parse_date(text) is None


def test_the_first_day_that_counts():
    assert parse_date("1900-01-01") == dt.date(1900, 1, 1)


@given(st.dates(min_value=dt.date(1900, 1, 1)))
def test_every_form_of_a_day_is_that_day(day):
    for form in (
        f"{day:%Y-%m-%d}",
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%Y%m%d}",
        f"{day.year}.{day.month}.{day.day}",
    ):
        assert parse_date(form.rjust(8, "0")) == day


@given(st.text(max_size=30) | st.text(alphabet="0123456789-/.年月日TZ:+ ", max_size=30))
def test_no_text_raises(text):
    found = parse_date(text)
    assert found is None or found >= dt.date(1900, 1, 1)
