"""Capital: every form of the register, currencies and their rates, and what must not be read."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.refine import codes
from spark_jobs.refine.capital import Capital, parse_capital, rates

YUAN = "CNY"


@pytest.mark.parametrize(
    ("text", "yuan", "unit", "stated"),
    [
        ("100(万人民币元)", 1_000_000, "万元", True),
        ("100(万元人民币)", 1_000_000, "万元", True),
        ("100万人民币", 1_000_000, "万元", True),
        ("100万元人民币", 1_000_000, "万元", True),
        ("100(万)", 1_000_000, "万元", False),
        ("100(万元)", 1_000_000, "万元", False),
        ("9（万元）", 90_000, "万元", False),
        ("100万元", 1_000_000, "万元", False),
        ("１００（万元）", 1_000_000, "万元", False),
        ("3,000(万人民币元)", 30_000_000, "万元", True),
        ("1,234.5678(万元)", 12_345_678, "万元", False),
        ("人民币 10000 万元", 100_000_000, "万元", True),
        ("1072.5元", Decimal("1072.50"), "元", False),
        ("500人民币元", 500, "元", True),
        ("2亿元", 200_000_000, "亿元", False),
        ("3百万元", 3_000_000, "百万元", False),
        ("100", 100, None, False),
        ("0", 0, None, False),
        ("0(万元人民币)", 0, "万元", True),
        ("¥50万", 500_000, "万元", True),
        ("壹佰万元整", 1_000_000, "元", False),
        ("三十万元", 300_000, "元", False),
        ("一亿二千万元", 120_000_000, "元", False),
        ("壹佰贰拾叁万肆仟元人民币", 1_234_000, "元", True),
    ],
)
def test_yuan(text, yuan, unit, stated):
    found = parse_capital(text, 2010)
    assert (found.status, found.yuan, found.amount) == ("yuan", Decimal(yuan), Decimal(yuan))
    assert (found.unit, found.currency, found.currency_stated, found.rate, found.rate_year) == (unit, YUAN, stated, None, None)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("10(万美元)", "USD"), ("10万美元", "USD"), ("10(万港元)", "HKD"), ("10万港元", "HKD"), ("9万港币", "HKD"), ("10(万香港元)", "HKD"),
        ("10(万日元)", "JPY"), ("10(万英镑)", "GBP"), ("10(万澳大利亚元)", "AUD"), ("10(万欧元)", "EUR"), ("10万德国马克", "DEM"),
        ("10万新加坡元", "SGD"), ("10万加拿大元", "CAD"), ("10万瑞士法郎", "CHF"), ("10万元(美元)", "USD"), ("美元10万元", "USD"),
        ("10万新台币", "TWD"), ("10万澳门元", "MOP"), ("10万法国法郎", "FRF"),
    ],
)  # fmt: skip
def test_every_currency_is_read(text, currency):
    found = parse_capital(text, 2010)
    assert (found.currency, found.currency_stated, found.unit) == (currency, True, "万元")
    assert found.amount == (90_000 if text.startswith("9") else 100_000)


def test_a_foreign_amount_takes_the_rate_of_its_year():
    found = parse_capital("10(万美元)", 2010)
    assert found == Capital("converted", Decimal("676960.00"), Decimal("100000.000000"), "万元", "USD", True, Decimal("6.769600"), 2010)
    assert parse_capital("10(万美元)", 1994).rate == Decimal("8.639700")


@pytest.mark.parametrize(("text", "year"), [("10万美元", None), ("10万美元", 1978), ("10万英镑", 2010), ("10万德国马克", 1990), ("10万欧元", 1995)])
def test_no_rate_is_guessed(text, year):
    found = parse_capital(text, year)
    assert (found.status, found.yuan, found.rate, found.rate_year) == ("no_rate", None, None, None)
    assert found.amount == 100_000


@pytest.mark.parametrize("text", ["N/A", "-", "", None, " ", "无"])
def test_nothing_is_not_stated(text):
    assert parse_capital(text, 2010) == Capital("not_stated")


@pytest.mark.parametrize(
    "text",
    [
        "-5(万元)",
        "张三",
        "1,00(万元)",
        "100(万火星币)",
        "100-200万元",
        "99999999999(万元)",
        "约100万元",
        "100万元起",
        "万元",
        "1e9",
        "一一万",
        "二十百",
        "9" * 400,
    ],
)
def test_what_can_not_be_read_is_said(text):
    assert parse_capital(text, 2010) == Capital("unparsed")


def test_the_limit_is_ten_to_the_thirteenth():
    assert parse_capital("1000000000(万元)", 2010).status == "yuan"
    assert parse_capital("1000000001(万元)", 2010).status == "unparsed"
    assert parse_capital("300000000(万美元)", 2010).status == "unparsed"


def test_rates_are_real_and_in_the_right_direction():
    # Published averages: one pound of any direction error would be far off.
    near = {
        ("USD", 2008): 6.95,
        ("HKD", 2008): 0.89,
        ("JPY", 2008): 0.067,
        ("EUR", 2008): 10.2,
        ("AUD", 2010): 6.2,
        ("NZD", 2010): 4.9,
        ("KRW", 2010): 0.0059,
    }
    for key, value in near.items():
        assert float(rates()[key]) == pytest.approx(value, rel=0.03), key
    assert min(year for _, year in rates()) == 1981
    assert len(rates()) == len(codes.rows("currency_rates_annual")) == 565
    assert {currency for currency, _ in rates()} <= {r["currency"] for r in codes.rows("currencies")}


def test_a_currency_name_means_one_currency():
    names = [name for r in codes.rows("currencies") for name in (r["name"], *r["aliases"].split("|"))]
    assert len(names) == len(set(names))


@given(st.decimals(min_value=0, max_value=10**8, places=4), st.sampled_from(["(万人民币元)", "(万元人民币)", "万元", "（万元）"]))
def test_any_amount_in_ten_thousands(amount, form):
    found = parse_capital(f"{amount:,}{form}", 2010)
    assert found.amount == amount * 10_000
    assert found.yuan == (amount * 10_000).quantize(Decimal("0.01"))


@given(st.text(max_size=40) | st.text(alphabet="0123456789.,-万元亿百千美港(（）) 壹贰叁拾佰仟", max_size=24))
def test_no_text_raises_or_leaves_the_columns(text):
    found = parse_capital(text, 2010)
    if found.amount is not None:
        assert 0 <= found.amount < 10**18
        assert found.amount.as_tuple().exponent == -6
    if found.yuan is not None:
        assert 0 <= found.yuan <= 10**13
        assert found.yuan.as_tuple().exponent == -2
