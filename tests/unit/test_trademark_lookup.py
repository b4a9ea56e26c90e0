"""What comes close to a name, asked of the names of a release: in this process, and of the resident one through its socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from infra.services import names
from infra.services.names.server import Names
from infra.settings import REPO, Settings, load
from spark_jobs.trademark import lookup, named

COLUMNS = ("entry", "number", "name", "owner", "place", "classes", "groups", "since", "state")
ENTRIES = [
    ("trade_name", "字号:致美斋", "致美斋", "广州致美斋有限公司", "越秀区", "30", None, "1990-01-01", None),
    ("listed", "名录:陶陶居", "陶陶居", None, "未分配", "43|30", None, None, None),
    ("filing", "123", "长隆", "广东长隆集团有限公司", "番禺区", "41", "4105", "2001-02-03", "valid"),
    ("filing", "124", "浪奇", None, "市外", "3", "0301", "2011-02-03", "published"),
    ("filing", "125", "未来", None, "市外", "9", None, "2011-02-03", "filed"),
]


def entries() -> pa.Table:
    return pa.table({c: pa.array([row[n] for row in ENTRIES], pa.string()) for n, c in enumerate(COLUMNS)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lookup.write(entries(), tmp_path / "1-1")
    (tmp_path / named.CURRENT).write_text("R00000001 1-1\n", encoding="utf-8")
    return tmp_path


def close(folder: Path, name: str, nice_class: int | None = None, groups: str = "") -> dict[str, dict]:
    return {f["name"]: f for f in lookup.Lookup.open(folder).check(name, nice_class, groups)["found"]}


def test_what_comes_close_is_found_with_the_reason(folder: Path):
    found = close(folder, "至美斋", 30)["致美斋"]
    assert found["verdict"] == "similar"
    assert found["goods"] == "same_class"
    assert found["owner"] == "广州致美斋有限公司"
    assert "读音相同" in found["why"]
    assert "长隆" in close(folder, "常隆")  # 长 is read cháng, too
    assert close(folder, "浪奇洗衣", 3, "0301")["浪奇"]["goods"] == "same_group"
    assert not close(folder, "茂美斋", 30)


def test_goods_without_a_relation_make_less_of_it(folder: Path):
    near, far = close(folder, "至美斋", 30)["致美斋"], close(folder, "致美斋", 12)["致美斋"]
    assert far["mark"] > near["mark"]
    assert far["total"] < near["total"]


@pytest.mark.parametrize(("name", "nice_class"), [("", 30), ("！！！", None), ("致美斋", 0), ("致美斋", 46)])
def test_what_cannot_be_asked_is_refused_in_words(folder: Path, name: str, nice_class: int | None):
    with pytest.raises(ValueError, match=r"没有可以比较的文字|尼斯分类"):
        lookup.Lookup.open(folder).check(name, nice_class)


def test_a_release_without_marks_has_no_names(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        lookup.Lookup.open(tmp_path)
    assert "refused" in Names(tmp_path).answer({"name": "致美斋", "nice_class": None})
    assert Names(tmp_path).answer({})["names"] == 0


def test_the_resident_process_follows_the_release(folder: Path):
    resident = Names(folder)
    assert resident.answer({})["release"] == "R00000001"
    lookup.write(entries().slice(0, 1), folder / "2-2")
    (folder / named.CURRENT).write_text("R00000002 2-2\n", encoding="utf-8")
    told = resident.answer({"name": "至美斋", "nice_class": 30})
    assert (told["release"], told["names"], told["similar"]) == ("R00000002", 1, 1)


def test_who_says_which_names_are_asked(folder: Path, tmp_path: Path):
    assert named.says(folder, "R00000001", "1-1")
    assert not named.says(folder, "R00000002", "1-1")
    assert not named.says(folder, "R00000001", None), "the release has no marks any more"
    assert named.says(folder / "1-1", None, None)
    (folder / named.CURRENT).write_text("damaged", encoding="utf-8")
    assert not named.says(folder, "R00000001", "1-1")
    assert Names(folder).answer({})["release"] is None


def test_a_damaged_index_is_refused_with_what_to_do(folder: Path):
    (folder / "1-1" / lookup.INDEX / "whole_keys.npy").write_bytes(b"nothing")
    assert "build the index anew" in Names(folder).answer({"name": "至美斋", "nice_class": 30})["refused"]


def test_the_process_answers_on_its_socket(folder: Path, tmp_path: Path):
    """The program itself, with its limit of memory; in an instance of its own."""
    environment = {**os.environ, "LAKE_INSTANCE": f"names{os.getpid()}", "PYTHONPATH": str(REPO)}
    settings = Settings(environment["LAKE_INSTANCE"], load().values)
    target = named.folder(settings)
    target.rmdir()
    folder.rename(target)
    process = subprocess.Popen([sys.executable, "-P", "-m", "infra.services.names.server"], env=environment, cwd="/")
    try:
        for _ in range(600):  # a busy machine needs long to begin
            try:
                told = names.ask(settings, {})
                break
            except OSError:
                time.sleep(0.1)
        assert told["names"] == len(ENTRIES)
        begin = time.monotonic()
        found = names.ask(settings, {"name": "至美斋", "nice_class": 30})
        assert time.monotonic() - begin < 5
        assert [f["name"] for f in found["found"]] == ["致美斋"]
        with pytest.raises(ValueError, match="尼斯分类"):
            names.ask(settings, {"name": "至美斋", "nice_class": 99})
        assert oct(names.path(settings).stat().st_mode)[-3:] == "700"
        assert json.dumps(found, ensure_ascii=False)
    finally:
        process.terminate()
        process.wait()
        subprocess.run(["rm", "-rf", str(settings.state)], check=True)
