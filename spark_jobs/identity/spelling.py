"""How the characters of a name are read, for people who look for it by its sound."""

from __future__ import annotations

from functools import lru_cache

from pypinyin import lazy_pinyin

MOST = 5  # ways of reading a name that are kept
# Characters that names of firms use in more than one living reading. (The library knows archaic ones of many more.)
_READINGS = """
长chang/zhang 重zhong/chong 乐le/yue 行hang/xing 朝chao/zhao 曾zeng/ceng 单dan/shan 解jie/xie 查cha/zha 盖gai/ge 区qu/ou 翟zhai/di 车che/ju
都du/dou 参can/shen 藏cang/zang 传chuan/zhuan 弹dan/tan 调diao/tiao 恶e/wu 会hui/kuai 降jiang/xiang 角jiao/jue 卡ka/qia 落luo/la 模mo/mu
塞sai/se 厦xia/sha 省sheng/xing 盛sheng/cheng 宿su/xiu 系xi/ji 校xiao/jiao 种zhong/chong 番fan/pan 莞guan/wan 大da/dai 柏bai/bo 堡bao/pu 奇qi/ji
阿a/e 石shi/dan 合he/ge 和he/huo 还hai/huan 着zhe/zhao 尾wei/yi 扎zha/za 属shu/zhu 色se/shai 贾jia/gu 薄bo/bao 仇chou/qiu 繁fan/po 朴pu/piao
尉wei/yu 缪miao/mou 什shi/shen 率lv/shuai 辟pi/bi 畜xu/chu 咖ka/ga 茄qie/jia 蚌bang/beng 洗xi/xian 冼xian/xi 陆lu/liu
"""
_SEVERAL = {text[0]: tuple(text[1:].split("/")) for text in _READINGS.split()}
_LONGEST = 12  # characters that are read; who looks for a name types its beginning


@lru_cache(maxsize=100_000)
def spellings(text: str) -> str:
    """The readings of a text in pinyin without tones, and the first letters of each, apart by spaces: ``长隆`` → ``zhanglong changlong zl cl``.

    The first is the one that the words suggest; of characters that are read in several ways others follow, at most MOST in all. Letters and figures
    stand as they are, in lower case; other signs are left out. '' where nothing can be read.
    """
    kept = "".join(c for c in text if c.isalnum())[:_LONGEST].lower()
    if not kept:
        return ""
    suggested = lazy_pinyin(kept)
    readings = [suggested]
    if len(suggested) == len(kept):  # each piece is a character
        # Each character is read in its other way once, all others as suggested.
        for place, character in enumerate(kept):
            others = [way for way in _SEVERAL.get(character, ()) if way != suggested[place]]
            readings += [[*suggested[:place], way, *suggested[place + 1 :]] for way in others]
    readings = readings[:MOST]
    whole = ["".join(reading) for reading in readings]
    first_letters = ["".join(part if part in kept else part[0] for part in reading) for reading in readings]
    return " ".join(dict.fromkeys([*whole, *first_letters]))
