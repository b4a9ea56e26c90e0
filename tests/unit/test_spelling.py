"""How names are read."""

import pytest

from spark_jobs.identity.spelling import MOST, spellings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("王府井", "wangfujing"),
        ("浪花", "langhua lh"),
        ("浪奇", "langqi langji lq lj"),
        ("长隆", "zhanglong changlong zl cl"),  # the words suggest zhang
        ("ABC（中国）科技", "abczhongguokeji"),
        ("3分钟", "3fenzhong 3fz"),
    ],
)
def test_readings_and_first_letters(text, said):
    found = spellings(text).split()
    assert found[0] == said.split()[0]
    assert set(said.split()) <= set(found)


@pytest.mark.parametrize("text", ["", "（）", "··"])
def test_nothing_to_read(text):
    assert spellings(text) == ""


def test_a_name_of_many_readings_stays_short():
    assert len(spellings("重重重重重重").split()) <= 2 * MOST
    assert spellings("乐" * 100) == spellings("乐" * 12)
