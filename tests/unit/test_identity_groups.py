"""One code, several names: what belongs together, whatever the order (docs/decisions/0009)."""

import datetime as dt
import itertools

from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.identity.keys import linked_groups

DAYS = [dt.date(2001, 1, 1), dt.date(2002, 2, 2), dt.date(2003, 3, 3)]
STATES = st.lists(st.tuples(st.sampled_from("甲乙丙丁"), st.sampled_from(DAYS), st.sampled_from(DAYS)), min_size=1, max_size=6)


def test_a_renamed_company_keeps_its_date_and_stays_one():
    groups = linked_groups([("甲", DAYS[0], DAYS[0]), ("乙", DAYS[0], DAYS[1])])
    assert groups == {("甲", DAYS[0]): "甲", ("乙", DAYS[0]): "甲"}


def test_other_name_and_other_date_is_another_subject():
    groups = linked_groups([("甲", DAYS[0], DAYS[0]), ("乙", DAYS[1], DAYS[1])])
    assert groups == {("甲", DAYS[0]): "甲", ("乙", DAYS[1]): "乙"}


def test_links_reach_over_others():
    """甲 and 丙 share neither name nor date, but 乙 is linked to both."""
    states = [("甲", DAYS[0], DAYS[0]), ("乙", DAYS[0], DAYS[1]), ("乙", DAYS[2], DAYS[1]), ("丙", DAYS[2], DAYS[2])]
    assert set(linked_groups(states).values()) == {"甲"}


@given(STATES)
def test_the_order_of_arrival_does_not_matter(states):
    expected = linked_groups(states)
    for order in itertools.islice(itertools.permutations(states), 24):
        assert linked_groups(order) == expected


@given(STATES)
def test_rows_that_share_a_name_or_a_date_are_one_group(states):
    groups = linked_groups(states)
    for (name, date), group in groups.items():
        assert all(g == group for (n, d), g in groups.items() if n == name or d == date)
