"""Handing files over: their bytes go into the inbox piece by piece, whole, with what is stated beside them."""

import hashlib
import json
import tracemalloc
from types import SimpleNamespace

import pytest

from catalog.contract import load_contracts
from infra.deliveries import hand_over, identities
from infra.ledger import delivery_id
from infra.problems import Problem

FEED = load_contracts()["bronze.registration_subjects"]
SIZE = 24 * 2**20


@pytest.fixture
def context(tmp_path):
    def folder(name):
        path = tmp_path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    return SimpleNamespace(settings=SimpleNamespace(folder=folder))


def test_a_large_file_costs_no_memory(context, tmp_path):
    path = tmp_path / "大.csv"
    path.write_bytes(b"0123456789abcdef" * (SIZE // 16))
    tracemalloc.start()
    try:
        given = hand_over(context, FEED, [path], {"revision": 2})
        known = identities(FEED, [path])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < SIZE / 4
    assert given == known == [delivery_id(FEED.name, hashlib.sha256(path.read_bytes()).hexdigest())]
    inbox = tmp_path / "landing/inbox/registration_subjects"
    assert sorted(p.name for p in inbox.iterdir()) == ["大.csv", "大.csv.manifest.json"]
    assert (inbox / "大.csv").read_bytes() == path.read_bytes()
    assert json.loads((inbox / "大.csv.manifest.json").read_text()) == {"revision": 2}
    with pytest.raises(Problem, match="已在等待处理"):
        hand_over(context, FEED, [path], {})
