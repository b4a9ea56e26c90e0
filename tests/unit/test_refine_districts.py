"""Districts: from the beginning of the address only, through history, never from a road or another city."""

import pytest

from spark_jobs.refine.districts import authority_district, locate


@pytest.mark.parametrize(
    ("address", "code", "confidence"),
    [
        ("广州市天河区体育西路1号", "440106", "exact"),
        ("广东省广州市越秀区某路", "440104", "exact"),
        ("广东广州海珠区某路", "440105", "exact"),
        ("天河区黄埔大道西1号", "440106", "exact"),  # 黄埔大道 lies in 天河
        ("广州市 天河区 某路", "440106", "exact"),
        ("广州市东山区某路", "440104", "successor"),  # 440102 → 440104
        ("广州市芳村区某路", "440103", "successor"),  # 440107 → 440103
        ("广州市萝岗区某路", "440112", "successor"),  # 440116 → 440112
        ("番禺县市桥镇", "440113", "successor"),  # 440126 → 440181 → 440113
        ("番禺市大石镇", "440113", "successor"),
        ("花县新华镇", "440114", "successor"),  # 440121 → 440182 → 440114
        ("花都市新华镇", "440114", "successor"),
        ("增城县新塘", "440118", "successor"),
        ("增城市石滩镇", "440118", "successor"),
        ("从化市街口街", "440117", "successor"),
        ("增城新塘镇某村", "440118", "abbreviated"),
        ("广州市番禺大石镇", "440113", "abbreviated"),
    ],
)
def test_located(address, code, confidence):
    found = locate(address)
    assert (found.code, found.confidence, found.reason) == (code, confidence, None)
    assert found.name.endswith("区")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, "no_address"),
        ("", "no_address"),
        ("广州市黄埔大道西100号", "no_district"),
        ("广州市番禺大道北1号", "no_district"),
        ("广州市花都北路1号", "no_district"),
        ("中山八路1号", "no_district"),
        ("北京路1号", "no_district"),
        ("贵阳市白云区某路", "other_city"),
        ("贵州省贵阳市白云区某路", "other_city"),
        ("广东省佛山市南海区某路", "other_city"),
        ("深圳市南山区某路", "other_city"),
        ("湖南长沙市岳麓区", "other_city"),
        ("东源县新港镇", "other_city"),
        ("清远县某镇", "other_city"),  # left Guangzhou in 1988
        ("新丰县某镇", "other_city"),
        ("龙门县某镇", "other_city"),
        ("广州经济技术开发区东区某路", "development_zone"),
        ("广州市高新技术产业开发区科学城", "development_zone"),
        ("广州保税区广保大道", "development_zone"),
        ("某大厦（天河区）", "no_district"),  # named, but not at the beginning
    ],
)
def test_not_located(address, reason):
    assert locate(address) == (None, "未分配", "unassigned", reason)


def test_another_city_has_its_own_districts():
    assert locate("贵阳市白云区某路", "520100").code == "520113"
    with pytest.raises(KeyError):
        locate("某路", "990000")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("广州市天河区市场监督管理局", "440106"),
        ("天河区市场监管局石牌市场监督管理所", "440106"),
        ("广州市工商行政管理局天河分局", "440106"),
        ("广州市工商行政管理局东山分局", "440104"),
        ("增城市工商行政管理局", "440118"),
        ("广州市市场监督管理局", None),
        ("广州经济技术开发区市场监督管理局", None),
        ("深圳市市场监督管理局南山监管局", None),
        ("", None),
        (None, None),
    ],
)
def test_authorities(text, code):
    found = authority_district(text)
    assert (found[0] if found else None) == code
