"""The same 2,000 rows of the real register in every format: the same rows in silver."""

import csv
import io
import random

from forms import FORMS

from infra.settings import REPO

ROWS = 2000


def real_rows():
    """Header and rows of the samples; each file has the same header."""
    rows = []
    for path in sorted((REPO / "samples" / "registrations").glob("*.csv")):
        header, *more = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        rows += [r for r in more if len(r) == len(header)]
    return header, rows


def test_every_format_gives_the_same_rows_in_silver(published):
    header, rows = real_rows()
    chosen = random.Random(5).sample(rows, ROWS)
    inbox = published.state / "landing" / "inbox" / "registration_subjects"
    for number, form in enumerate(FORMS):
        published.deliver(inbox / f"form-{number:02}", FORMS[form](header, chosen))
    published.publish()
    sql = """SELECT d.file_name, d.arrived, d.quarantined, d.applied + d.superseded + d.duplicate, f.contents FROM lake.ops.deliveries d
        LEFT JOIN (SELECT delivery_id, checksum(content_hash) AS contents FROM lake.silver.subject_registration GROUP BY 1) f ON f.delivery_id = d.delivery_id
        WHERE d.file_name LIKE 'form-%' ORDER BY 1"""
    found = published.ask("steward", sql)
    assert [name for name, *_ in found] == [f"form-{n:02}" for n in range(len(FORMS))]
    for form, (_, arrived, *same) in zip(FORMS, found, strict=True):
        assert (arrived, same) == (ROWS, found[0][2:]), form
    assert found[0][3] > ROWS * 0.99
