"""What stewards have amended holds upon what is shipped, whatever becomes of that, and no reader meets a state that is behind."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from catalog import amendments, editing, effects, places
from catalog.contract import load_contracts
from catalog.editing import Edit, Refused
from infra.settings import REPO

MEANING = "列入后没有移出的，最早的一次"
SHIPPED = editing.current("field", "abnormal_since", "meaning")
AMENDED = Edit("field", "abnormal_since", "meaning", SHIPPED, MEANING)


@pytest.fixture
def repo(tmp_path):
    """A program of our own, in which something may change."""
    there = tmp_path / "repo"
    for name in ("contracts", "released"):
        shutil.copytree(REPO / "catalog" / name, there / "catalog" / name)
    shutil.copyfile(REPO / "catalog" / "fields.yaml", there / "catalog" / "fields.yaml")
    shutil.copytree(REPO / "dbt", there / "dbt")
    return there


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "declarations"


def contracts(root):
    return load_contracts(root / "catalog" / "contracts", root / "catalog" / "fields.yaml")


def replaced(repo, old, new):
    """The program says something else."""
    path = repo / "catalog" / "fields.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_amendment_is_in_all_that_is_read_and_the_program_stays_as_it_is(repo, folder):
    assert amendments.in_force(folder, repo) == repo, "nothing is amended"
    amendments.write(folder, [AMENDED])
    before = {p: p.read_bytes() for p in repo.rglob("*") if p.is_file()}
    there = amendments.in_force(folder, repo)
    contract = contracts(there)["gold.archive_credit"]
    assert contract.column("abnormal_since").meaning == MEANING
    was = contracts(repo)["gold.archive_credit"]
    assert (was.column("abnormal_since").meaning, was.version < contract.version) == (SHIPPED, True)
    assert MEANING in (there / "dbt" / "models" / "gold" / "archive_credit.yml").read_text(encoding="utf-8")
    assert MEANING in (there / "catalog" / "released" / "gold" / "archive_credit.yaml").read_text(encoding="utf-8")
    assert {p: p.read_bytes() for p in repo.rglob("*") if p.is_file()} == before


def test_another_program_or_another_amendment_is_another_copy(repo, folder, monkeypatch):
    monkeypatch.setattr(amendments, "KEPT", 1)
    amendments.write(folder, [AMENDED])
    first = amendments.in_force(folder, repo)
    made = first.stat().st_ino
    assert (amendments.in_force(folder, repo), first.stat().st_ino) == (first, made), "made once"
    replaced(repo, "市场主体的大类", "市场主体的类")
    second = amendments.in_force(folder, repo)
    assert second != first
    assert "市场主体的类" in (second / "catalog" / "fields.yaml").read_text(encoding="utf-8")
    amendments.write(folder, [AMENDED, replace(AMENDED, old=MEANING, new="最早的一次列入")])
    third = amendments.in_force(folder, repo)
    assert contracts(third)["gold.archive_credit"].column("abnormal_since").meaning == "最早的一次列入"
    assert {p for p in folder.iterdir() if p.is_dir()} == {second, third}, "older copies go"


def fates_after(repo, folder, edits):
    amendments.write(folder, edits)
    there = amendments.in_force(folder, repo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "REPO", repo)
        return there, [(f.edit.target, f.state) for f in amendments.fates(folder)]


def test_what_the_program_says_by_now_is_settled_and_what_it_says_else_stays_amended(repo, folder):
    replaced(repo, SHIPPED, MEANING)
    there, told = fates_after(repo, folder, [AMENDED])
    assert told == [("abnormal_since", "shipped")]
    assert contracts(there)["gold.archive_credit"].version == contracts(repo)["gold.archive_credit"].version
    replaced(repo, MEANING, "第三种说法")
    there, told = fates_after(repo, folder, [AMENDED])
    assert told == [("abnormal_since", "over")]
    assert contracts(there)["gold.archive_credit"].column("abnormal_since").meaning == MEANING


def test_what_can_be_applied_no_more_is_left_out_alone_and_told(repo, folder):
    gone = Edit("field", "no_such_column", "meaning", "某", "某个")
    contradicts = Edit("value", "demand_kind/other", "spoken", "意见、表扬、感谢", "意见、投诉")  # 投诉 is another value's
    there, told = fates_after(repo, folder, [gone, AMENDED, contradicts])
    assert told == [("no_such_column", "left_out"), ("abnormal_since", "in_force"), ("demand_kind/other", "left_out")]
    assert contracts(there)["gold.archive_credit"].column("abnormal_since").meaning == MEANING


def test_programs_of_an_instance_read_what_is_amended_and_others_what_is_shipped(folder, monkeypatch):
    shipped, files = effects.digest(effects.files("catalog", "dbt")), effects.build_id("catalog/fields.yaml", "dbt/models")
    monkeypatch.setenv(places.VARIABLE, str(folder))
    assert places.root() == REPO, "no amendments"
    assert effects.digest(effects.files("catalog", "dbt")) == shipped
    amendments.write(folder, [AMENDED])
    assert load_contracts()["gold.archive_credit"].column("abnormal_since").meaning == MEANING
    assert effects.digest(effects.files("catalog", "dbt")) != shipped, "readers of texts are brought up"
    assert effects.build_id("catalog/fields.yaml", "dbt/models") == files, "rows are not made anew for a text"
    amendments.write(folder, [AMENDED, Edit("value", "demand_kind/report", "spoken", "", "检举")])
    assert effects.build_id("catalog/fields.yaml", "dbt/models") != files, "and for a way to say a value they are"
    monkeypatch.delenv(places.VARIABLE)
    assert load_contracts()["gold.archive_credit"].column("abnormal_since").meaning == SHIPPED


def test_a_change_is_tried_upon_what_is_approved(repo, folder):
    again = replace(AMENDED, old=MEANING, new="最早的一次列入")
    effect = amendments.try_out([again], [AMENDED], folder, repo)
    assert [(place, MEANING in before, "最早的一次列入" in after) for place, before, after in effect.comments] == [
        ("gold.archive_credit.abnormal_since", True, True)
    ]
    with pytest.raises(Refused, match="有人先改了"):
        amendments.try_out([AMENDED], [AMENDED], folder, repo)
    assert amendments.current("field", "abnormal_since", [AMENDED], repo)["meaning"] == MEANING
