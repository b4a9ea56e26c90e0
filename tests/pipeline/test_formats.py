"""The same rows of the real register in every format: the same rows in silver."""

from forms import FORMS, ROWS


def test_every_format_gives_the_same_rows_in_silver(published, first_wave):
    sql = """SELECT d.file_name, d.arrived, d.quarantined, d.applied + d.superseded + d.duplicate, f.contents FROM lake.ops.deliveries d
        LEFT JOIN (SELECT delivery_id, checksum(content_hash) AS contents FROM lake.silver.subject_registration GROUP BY 1) f ON f.delivery_id = d.delivery_id
        WHERE d.file_name LIKE 'form-%' ORDER BY 1"""
    found = published.ask("steward", sql)
    assert [name for name, *_ in found] == [f"form-{n:02}" for n in range(len(FORMS))]
    for form, (_, arrived, *same) in zip(FORMS, found, strict=True):
        assert (arrived, same) == (ROWS, found[0][2:]), form
    assert found[0][3] > ROWS * 0.99
