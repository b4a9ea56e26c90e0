"""Damage to the store, done for real: found by name, readers led to what is whole, rebuilt from landing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from worlds import World, account, business, send

from infra.delta_log import DeltaLog


class Lake:
    """A small world in the lake, what the lake said of it when it was whole, and the folders of its tables."""

    def __init__(self, published: Any) -> None:
        self.published, self.tag = published, f"H{random.SystemRandom().randrange(10**5):05}"
        print(f"world {self.tag}")
        world = World(int(self.tag[1:])).files(self.tag)
        for batch in (world[:3], world[3:]):  # two releases
            for file in batch:
                send(published, file)
            published.publish()
        self.told = self.tell()

    def tell(self) -> tuple[Any, ...]:
        return business(self.published, self.tag), account(self.published, self.tag)

    def folder(self, table: str) -> Path:
        schema, name = table.split(".")
        return Path(self.published.state / "warehouse" / f"{schema}.db" / name)

    def commits(self, table: str) -> list[Path]:
        return sorted(p for p in (self.folder(table) / "_delta_log").glob("*.json"))

    def newest_file(self, table: str) -> Path:
        return max(self.folder(table).rglob("part-*.parquet"), key=lambda p: p.stat().st_mtime)

    def check(self, *options: str) -> tuple[int, str]:
        done = self.published.lake("check", *options, check=False, timeout=900)
        return done.returncode, "".join(done.stdout.split()) + done.stderr

    def whole_again(self) -> None:
        code, said = self.check()
        assert (code, "✓存储与台账一致" in said) == (0, True), said
        assert self.tell() == self.told


@pytest.fixture(scope="module")
def lake(published: Any) -> Lake:
    return Lake(published)


def flip(path: Path) -> None:
    """Change one bit in the middle of a file, in place."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_each_damage_is_named_and_repaired(lake):
    code, said = lake.check()
    assert code == 0, said
    published = lake.published
    published.send(f"waiting-{lake.tag}.csv", ["广州市测试等候有限公司,,2019-03-02,广州市天河区演示路1号"])
    published.step("ingest")
    torn, flipped = lake.commits("silver_tables.subject_registration")[-1], lake.newest_file("bronze.registration_subjects")
    torn.write_bytes(torn.read_bytes()[:-20])
    torn.with_name(f".{torn.name}.crc").unlink(missing_ok=True)
    flip(flipped)
    (records,) = random.sample(sorted((published.state / "landing" / "records" / "registration_subjects").glob("*.parquet")), 1)
    records.unlink()
    published.as_publisher("DROP VIEW lake_publish.gold.archive_subject")
    orphan = lake.folder("gold_tables.archive_subject") / "part-00000-nobody-knows-this.c000.snappy.parquet"
    orphan.write_bytes(b"PAR1")
    pointer = lake.folder("gold_tables.mart_registrations_monthly") / "_delta_log" / "_last_checkpoint"
    pointer.write_text("{")
    with published.spark() as spark:
        spark.sql("DELETE FROM ops_tables.delivery_findings")

    refused = published.step("silver", check=False)
    assert refused.returncode == 1
    assert torn.name in refused.stderr + refused.stdout
    code, said = lake.check()
    assert code == 1
    for name in (
        torn.name,
        flipped.name,
        records.name,
        "gold.archive_subject",
        "多余文件gold_tables.archive_subject",
        "_last_checkpoint",
        "ops_tables.delivery_findings",
    ):
        assert name in said, name
    code, said = lake.check("--repair")
    assert code == 0, said
    assert not orphan.exists()
    lake.whole_again()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_cut_data_file_leads_readers_to_the_last_whole_release(lake):
    published = lake.published
    now = published.ask("leader", "SELECT max(release_id), count(*) FROM lake.gold.archive_subject")[0]
    cut = lake.newest_file("gold_tables.archive_subject")
    cut.write_bytes(cut.read_bytes()[:-100])
    said = published.lake("up").stdout
    assert cut.name in said.replace("\n", "")
    shown = published.ask("leader", "SELECT max(release_id), count(*) FROM lake.gold.archive_subject")[0]
    assert shown[0] > now[0]
    assert shown[1] <= now[1]
    refused = published.lake("publish", "--restore", now[0], check=False)
    assert (refused.returncode, cut.name in refused.stderr) == (1, True)
    code, said = lake.check("--repair")
    assert code == 0, said
    published.lake("run")
    lake.whole_again()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_table_of_which_no_version_can_be_read_is_built_anew_from_landing(lake):
    for table in ("silver_tables.subject_registration", "bronze.registration_subjects"):
        lake.commits(table)[0].unlink()
        for checkpoint in (lake.folder(table) / "_delta_log").glob("*.checkpoint*"):
            checkpoint.unlink()
    code, said = lake.check()
    assert code == 1
    assert "00000000000000000000.json" in said
    code, said = lake.check("--repair")
    assert code == 0, said
    lake.whole_again()


def test_a_whole_store_is_called_whole_and_damage_stops_a_run(published):
    """Nothing is mended here, only seen: a file is taken away and put back."""
    done = published.lake("check", check=False)
    assert (done.returncode, "存储与台账一致" in done.stdout) == (0, True), done.stdout
    tag = random.SystemRandom().randrange(10**6)  # a content that was never sent, also on a stack that was kept
    published.send(f"stopped-{tag}.csv", [f"广州市测试停止{tag}有限公司,,2019-03-02,广州市天河区演示路1号"])
    published.step("ingest")
    folder = published.state / "warehouse" / "silver_tables.db" / "subject_registration"
    log = DeltaLog(folder)
    lost = folder / min(f.path for f in log.snapshot(log.newest).files)
    aside = lost.with_name("aside")
    lost.rename(aside)
    try:
        refused = published.step("silver", check=False)
        done = published.lake("check", "--quick", check=False)
    finally:
        aside.rename(lost)
    assert (refused.returncode, lost.name in refused.stderr) == (1, True), refused.stderr
    assert (done.returncode, lost.name in done.stdout.replace("\n", "")) == (1, True), done.stdout
