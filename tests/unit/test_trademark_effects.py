"""What decisions do to marks, as Spark's workers work it out."""

from __future__ import annotations

import pyarrow as pa

from spark_jobs.trademark.effects import _read


def test_words_become_effects():
    said = [
        ("异议", "不予注册"),
        ("异议", "异议不成立"),
        ("无效宣告", "部分无效"),
        ("注销", None),
        ("不予注册复审", "维持原决定"),
        ("撤销", "商标失效"),
        (None, None),
    ]
    batch = pa.RecordBatch.from_pydict({"mark_procedure": pa.array([p for p, _ in said]), "decision_result": pa.array([r for _, r in said])})
    (found,) = _read(iter([batch]))
    assert found["procedure_kind"].to_pylist() == ["异议", "异议", "无效", "注销", "异议", "撤销", "其他"]
    assert found["ends_mark"].to_pylist() == [True, False, None, True, None, True, None]
    assert next(_read(iter([batch.slice(0, 0)]))).num_rows == 0
