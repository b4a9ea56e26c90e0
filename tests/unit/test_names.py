"""The parts of a registered name: what is the trade name, that nothing is lost, that writing makes no difference."""

import csv
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infra.settings import REPO
from spark_jobs.identity.names import EMPTY, LONGEST, Name, match_key, parse_name, short_division
from spark_jobs.refine import codes
from spark_jobs.refine.text import clean_name

# name → division, place, trade name, trade, form, branch
PARTS = {
    "广州市浪奇实业股份有限公司": ("广州市", "", "浪奇", "实业", "股份有限公司", ""),
    "北京华颜健康咨询有限公司": ("北京", "", "华颜", "健康咨询", "有限公司", ""),
    "广东省广州市番禺区大石街甲乙五金店": ("广东省广州市番禺区", "大石街", "甲乙", "五金", "店", ""),
    # a division in brackets, of either width and in either place
    "唯品会（中国）有限公司": ("中国", "", "唯品会", "", "有限公司", ""),
    "唯品会(中国)有限公司": ("中国", "", "唯品会", "", "有限公司", ""),
    "甲乙（广州）实业有限公司": ("广州", "", "甲乙", "实业", "有限公司", ""),
    "一指红科技(广州)有限公司": ("广州", "", "一指红", "科技", "有限公司", ""),
    "三菱电机(广州)压缩机有限公司": ("广州", "", "三菱", "电机压缩机", "有限公司", ""),
    "广州市(增城)庆铃汽车销售有限公司": ("广州市增城", "", "庆铃", "汽车销售", "有限公司", ""),
    "甲乙有限公司（广州）": ("广州", "", "甲乙", "", "有限公司", ""),
    # no trade name
    "广州汽车集团股份有限公司": ("广州", "", "", "汽车", "集团股份有限公司", ""),
    "广州市化工有限公司": ("广州市", "", "", "化工", "有限公司", ""),
    "广州市番禺区水产总公司": ("广州市番禺区", "", "", "水产", "总公司", ""),
    "广州从化汽车站有限公司": ("广州从化", "", "", "汽车站", "有限公司", ""),
    "广州（国际）货运有限公司": ("广州", "", "", "国际货运", "有限公司", ""),
    # branches, and branches of branches
    "中国移动通信集团广东有限公司广州分公司": ("中国广东", "", "移动", "通信", "集团有限公司", "广州分公司"),
    "中国人寿保险股份有限公司广州番禺支公司榄核营销服务部": ("中国", "", "人寿", "保险", "股份有限公司", "广州番禺支公司榄核营销服务部"),
    "广州友谊集团股份有限公司第三分店": ("广州", "", "友谊", "", "集团股份有限公司", "第三分店"),
    "广州市日用杂品有限公司建新商店": ("广州市", "", "", "日用杂品", "有限公司", "建新商店"),
    "中国工商银行股份有限公司广州环城支行": ("中国", "", "工商", "银行", "股份有限公司", "广州环城支行"),
    "中国银行股份有限公司广州海安路支行": ("中国", "", "", "银行", "股份有限公司", "广州海安路支行"),
    "广州市海珠区江南橡塑五金制品厂越秀第一门市部": ("广州市海珠区", "", "江南", "橡塑五金制品", "厂", "越秀第一门市部"),
    "广州长寿村饮品(连锁)有限公司第二十专卖店": ("广州", "", "长寿村", "饮品连锁", "有限公司", "第二十专卖店"),
    # old collective and state firms
    "增城县供销社中新门市部": ("增城县", "", "", "", "供销社", "中新门市部"),
    "广州市花都区新华供销合作社废品收购站": ("广州市花都区", "", "新华", "", "供销合作社", "废品收购站"),
    "广州市国营沙田农工商联合公司养鸡场": ("广州市", "国营", "沙田", "农工商联合", "公司", "养鸡场"),
    "广州市花都区狮岭镇合益村第三经济合作社": ("广州市花都区", "狮岭镇合益村", "第三", "", "经济合作社", ""),
    "广州市第二公共汽车公司花都分公司": ("广州市", "", "第二", "公共汽车", "公司", "花都分公司"),
    # sole traders
    "石牌老王小吃店": ("", "石牌", "老王", "小吃", "店", ""),
    "广州市白云区同和老王小吃店": ("广州市白云区", "同和", "老王", "小吃", "店", ""),
    "广州市越秀区阿娟发廊": ("广州市越秀区", "", "阿娟", "", "发廊", ""),
    "广州市海珠区陈记肠粉档": ("广州市海珠区", "", "陈记", "肠粉", "档", ""),
    "广州市天河区石牌村强记士多": ("广州市天河区", "石牌村", "强记", "", "士多", ""),
    "朱村群利粮食加工厂": ("", "朱村", "群利", "粮食加工", "厂", ""),
    # a place in the trade name's position is the trade name
    "广州市新塘化工有限公司": ("广州市", "", "新塘", "化工", "有限公司", ""),
    "增城市新塘凯威纺织有限公司": ("增城市", "新塘", "凯威", "纺织", "有限公司", ""),
    "增城汉阳皮件有限公司": ("增城", "", "汉阳", "皮件", "有限公司", ""),
    "广州白云山制药股份有限公司": ("广州", "", "白云山", "制药", "股份有限公司", ""),
    # partnerships, foreign firms, letters and digits
    "广州恒信会计师事务所（普通合伙）": ("广州", "", "恒信", "", "会计师事务所普通合伙", ""),
    "广州信德创业投资合伙企业（有限合伙）": ("广州", "", "信德", "创业投资", "合伙企业有限合伙", ""),
    "广州市番禺光华塑料毛刷厂（普通合伙）": ("广州市番禺", "", "光华", "塑料毛刷", "厂普通合伙", ""),
    "尼日利亚阿凡投资有限公司广州代表处": ("尼日利亚", "", "阿凡", "投资", "有限公司", "广州代表处"),
    "TCL数码科技(北京)有限公司广州办事处": ("北京", "", "TCL", "数码科技", "有限公司", "广州办事处"),
    "3M中国有限公司广州分公司": ("中国", "", "3M", "", "有限公司", "广州分公司"),
    "广州市8字连锁店有限公司金花粮油食品店": ("广州市", "", "8字", "连锁店", "有限公司", "金花粮油食品店"),
    # where the trade name ends
    "广州鑫科科技有限公司": ("广州", "", "鑫科", "科技", "有限公司", ""),
    "广州市鑫科技有限公司": ("广州市", "", "鑫", "科技", "有限公司", ""),
    "广州华赛高科技发展有限责任公司": ("广州", "", "华赛", "高科技发展", "有限责任公司", ""),
    "广州市石井槎头螺丝厂": ("广州市", "石井", "槎头", "螺丝", "厂", ""),
    "广州市甲乙直通车眼镜有限公司": ("广州市", "", "甲乙直通车", "眼镜", "有限公司", ""),
    "广州小不点鞋服有限公司": ("广州", "", "小不点", "鞋服", "有限公司", ""),
    "甲乙四局第五工程有限公司广州分公司": ("", "", "甲乙四局", "第五工程", "有限公司", "广州分公司"),
    "广东甲乙理工大学出版社有限公司": ("广东", "", "甲乙理工大学", "出版社", "有限公司", ""),
    "广州港船舶代理有限公司": ("", "", "广州港", "船舶代理", "有限公司", ""),
    "广州港华燃气有限公司": ("广州", "", "港华", "燃气", "有限公司", ""),
    # a word of trades that says no trade, where the trade name has to stand
    "广州市兴业拍卖有限公司": ("广州市", "", "兴业", "拍卖", "有限公司", ""),
    "湖北省建工集团有限公司": ("湖北省", "", "建工", "", "集团有限公司", ""),
    "广州甲乙国际广告有限公司": ("广州", "", "甲乙", "国际广告", "有限公司", ""),
    "广州市国际货运代理有限公司": ("广州市", "", "", "国际货运代理", "有限公司", ""),
    "从化市发展总公司": ("从化市", "", "", "发展", "总公司", ""),
    # zones behind an area, a village behind a town
    "珠海经济特区甲乙贸易有限公司": ("珠海经济特区", "", "甲乙", "贸易", "有限公司", ""),
    "广州市番禺区沙湾紫坭鸿业机械厂": ("广州市番禺区", "沙湾紫坭", "鸿业", "机械", "厂", ""),
    "广州市番禺区石壁街石壁三村经济发展公司": ("广州市番禺区", "石壁街", "石壁三村", "经济发展", "公司", ""),
    "广州白云永泰环卫设备机械有限公司": ("广州白云", "", "永泰", "环卫设备机械", "有限公司", ""),
    # registrar's remarks
    "广州甲乙有限公司(简称:甲乙)": ("广州", "", "甲乙", "", "有限公司", ""),
    "广州甲乙有限公司(冻结股权2002.6.25某某法院)。": ("广州", "", "甲乙", "", "有限公司", ""),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts(name):
    assert parse_name(name)[:6] == PARTS[name]


@pytest.mark.parametrize(
    ("name", "trade_name", "group"),
    [
        ("广州酒家集团利口福食品有限公司", "利口福", "广州酒家集团"),
        ("广州市对外贸易总公司环宇公司", "环宇", "广州市对外贸易总公司"),
        ("广州市白云区供销合作总社石井供销社", "石井", "广州市白云区供销合作总社"),
        ("中海发展股份有限公司货轮公司", "中海", ""),  # a unit: no name of its own
        ("广州市建筑集团混凝土有限公司", "", ""),
    ],
)
def test_a_company_behind_its_groups_name_has_its_own_trade_name(name, trade_name, group):
    parsed = parse_name(name)
    assert (parsed.trade_name, parsed.group) == (trade_name, group)


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("广州市浪奇实业股份有限公司", "浪奇"),
        ("广州汽车集团股份有限公司", "广州汽车"),
        ("广州市番禺区水产总公司", "广州番禺水产"),
        ("增城县供销社中新门市部", "增城供销社"),
        ("tcl数码科技(北京)有限公司", "TCL"),
        ("公司", "公司"),
        ("广州市", "广州"),
    ],
)
def test_every_name_has_a_core(name, core):
    assert parse_name(name).core == core


@pytest.mark.parametrize("name", [None, "", " ", "。", "N/A", "无", "\u200b"])
def test_what_is_no_name_has_no_parts(name):
    assert parse_name(name) == EMPTY == Name()


@pytest.mark.parametrize(
    "name", ["（）", "（", "）公司", "甲（乙", "甲）乙公司", "店", "有限公司", "123", "无字号", "（广州）", "集团集团集团公司", "第", "第第一厂"]
)
def test_nonsense_is_taken_apart_too(name):
    assert_nothing_is_lost(name, parse_name(name))


def test_a_text_that_is_too_long_is_not_taken_apart():
    assert parse_name("甲" * (LONGEST + 1)).trade_name == "甲" * (LONGEST + 1)


SAME = [
    ("唯品会（中国）有限公司", "唯品会(中国)有限责任公司"),
    ("广州市甲乙实业有限公司", "甲乙（广州）实业有限公司"),
    ("广州市番禺区甲乙五金厂", "广州番禺甲乙五金厂"),
    ("广州友谊集团股份有限公司第三分店", "广州友谊集团股份有限公司３分店"),
    ("广州友谊集团股份有限公司第二十三分店", "广州友谊集团股份有限公司二十三分店"),
    ("广州赛壹便利店有限公司第一百三十八分店", "广州赛壹便利店有限公司138分店"),
    ("ＴＣＬ数码科技有限公司", "tcl数码科技有限公司"),
    ("广州甲乙有限公司海珠区分公司", "广州甲乙有限公司海珠分公司"),
]
DIFFERENT = [
    ("广州甲乙贸易有限公司", "广州甲乙实业有限公司"),
    ("广州甲乙有限公司", "广州甲乙股份有限公司"),
    ("广州甲乙有限公司第一分公司", "广州甲乙有限公司第二分公司"),
    ("广州甲乙有限公司", "甲乙有限公司"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_ways_to_write_one_name_have_one_key(one, other):
    assert match_key(parse_name(one)) == match_key(parse_name(other))


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_names_have_other_keys(one, other):
    assert match_key(parse_name(one)) != match_key(parse_name(other))


@pytest.mark.parametrize(
    ("division", "short"),
    [("广州市番禺区", "广州番禺"), ("广东省", "广东"), ("广州保税区", "广州保税区"), ("广州开发区", "广州开发区"), ("沙市区", "沙市"), ("", "")],
)
def test_short_division(division, short):
    assert short_division(division) == short


@pytest.mark.parametrize(("labelled", "number", "accepted"), [("dev", 1000, 0.99), ("held_out", 300, 0.97)])
def test_names_labelled_by_hand(labelled, number, accepted):
    """Names drawn at random from the register (23,704 names) and labelled by reading; `also`: other readings, `-` is none at all.

    `dev`: words were added after looking at failures among the first 330 rows and the 300 rows 561-860, hardly any after the others. `held_out`: nobody who
    worked on the parser has seen its labels; the first measurement, on 2026-11-29, was 296 of 300 accepted (95 % interval 96.6 to 99.5 %), 290 as
    preferred. The names themselves, without labels, are among those whose words were counted for the word lists.
    """
    with (REPO / f"tests/golden/name_parts_{labelled}.csv").open(encoding="utf-8", newline="") as file:
        labels = list(csv.DictReader(file))
    assert len(labels) >= number
    wrong = []
    preferred = 0
    for label in labels:
        found = parse_name(label["name"]).trade_name
        preferred += found == label["trade_name"]
        others = ["" if other == "-" else other for other in label["also"].split("|")] if label["also"] else []
        if found not in (label["trade_name"], *others):
            wrong.append((label["name"], label["trade_name"], found))
    assert len(wrong) <= (1 - accepted) * len(labels), wrong
    assert preferred >= 0.96 * len(labels)


def test_the_lists_are_tidy():
    for name, key in (("name_trade_words", "word"), ("name_characters", "character"), ("legal_forms", "form"), ("name_known", "beginning")):
        values = [row[key] for row in codes.rows(name)]
        assert all(values)
        assert len(set(values)) == len(values), name
    assert all(row["trade_name"] in row["beginning"] for row in codes.rows("name_known"))
    assert {row["kind"] for row in codes.rows("name_places")} == {"place", "name_or_place", "zone", "country", "rather_name"}


def bare(text):
    return text.replace("（", "").replace("）", "")


def assert_nothing_is_lost(name, parsed):
    """The parts have the characters of the name, no more and no less, but for brackets; a part of one piece stands in the name."""
    cleaned = clean_name(name) or ""
    assert Counter(bare("".join(parsed[:7]))) == Counter(bare(cleaned))
    if parsed.trade_name:
        assert bare(parsed.trade_name) in bare(cleaned)
    assert bool(parsed.core) == bool(bare(cleaned))


PIECES = (
    "广州 广州市 番禺区 天河 新塘镇 石牌 中国 （ ） （广州） （集团） （普通合伙） 集团 甲乙 鑫 科技 贸易 食品 有限公司 有限责任公司 公司 总公司 厂 店 "
    "供销社 第三 分公司 分店 支公司 门市部 银行 第一 A 9 - · 海南 （连锁） 中国移动 招商银行 事务所 街 镇 市场"
)
PIECE = st.sampled_from(PIECES.split())
ANY_NAME = (
    st.lists(PIECE, max_size=9).map("".join) | st.text(max_size=40) | st.text(alphabet="广州市天河区甲乙（）()科技有限公司第一分厂店", max_size=24)
)


@settings(max_examples=500, deadline=None)
@given(ANY_NAME)
@example("00000000有)限公司")
def test_nothing_is_lost_and_nothing_depends_on_the_writing(name):
    parsed = parse_name(name)
    assert all(isinstance(part, str) for part in parsed)
    assert_nothing_is_lost(name, parsed)
    assert parse_name(clean_name(name)) == parsed == parse_name(name)
    assert isinstance(match_key(parsed), str)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="鑫瑞恒达华信兴盛", min_size=2, max_size=3), st.sampled_from(["贸易", "化工", "电子科技", "房地产开发"]))
def test_usual_names_come_apart_where_they_were_put_together(trade_name, trade):
    assert parse_name(f"广州市{trade_name}{trade}有限公司")[:5] == ("广州市", "", trade_name, trade, "有限公司")
    assert parse_name(f"{trade_name}（广州）{trade}有限公司")[:5] == ("广州", "", trade_name, trade, "有限公司")
