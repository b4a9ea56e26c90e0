"""What the feeds and archives tell of marks and of names, fetched from Spark as frames.

A mark keeps its number from the application on and counts once in each class. Of each record the last statement is taken, whoever filed it: strangers
to the city, too. A frame is narrow; so it holds some millions of rows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from spark_jobs.refine.districts import locate
from spark_jobs.trademark.validity import owners_on
from spark_jobs.writing import Writer

FEEDS = ("trademark_applications", "trademark_publications", "trademark_registrations", "trademark_renewals", "trademark_outcomes")
KEY = ["mark_number", "nice_class"]
_LAST = """
    SELECT r.* FROM (
        SELECT max_by(struct(*), struct(effective_from, content_hash)) AS r FROM silver_tables.{feed} WHERE fact_outcome = 'applied' GROUP BY record_id)
    WHERE r.fact_state = 'active'"""
# What a stage tells of a mark: its columns by name, NULL where it says nothing of them.
_SAYS = {
    "trademark_applications": {"applied_on": "applied_on", "similar_groups": "similar_groups", "applicant_address": "applicant_address"},
    "trademark_publications": {"preliminarily_published_on": "preliminarily_published_on"},
    "trademark_registrations": {"mark_registered_on": "registration_published_on", "exclusive_until": "exclusive_until"},
}
_NAMES = {
    "trademark_applications": ("application_number", "applicant_name", "applicant_party", "agent_name"),
    "trademark_publications": ("application_number", "applicant_name", "applicant_party", "agent_name"),
    "trademark_registrations": ("mark_registration_number", "registrant_name", "registrant_party", "CAST(NULL AS STRING)"),
}
_TYPES = {
    "applied_on": "DATE", "preliminarily_published_on": "DATE", "mark_registered_on": "DATE", "exclusive_until": "DATE", "similar_groups": "STRING",
    "applicant_address": "STRING",
}  # fmt: skip
_MARKS = """
    SELECT t.mark_number, t.nice_class, min_by(t.trademark_name, t.stage) FILTER (WHERE t.trademark_name IS NOT NULL) AS trademark_name,
        min_by(t.applicant_name, t.stage) FILTER (WHERE t.applicant_name IS NOT NULL) AS applicant_name,
        min_by(p.subject_id, t.stage) FILTER (WHERE p.subject_id IS NOT NULL) AS applicant_subject_id, max(t.agent_name) AS agent_name,
        {columns}, max(t.known_at) AS known_at, max(t.value_kind) AS value_kind
    FROM ({stages}) AS t LEFT JOIN silver_tables.party AS p ON p.party_key = t.party
    WHERE t.nice_class BETWEEN 1 AND 45 GROUP BY t.mark_number, t.nice_class ORDER BY t.mark_number, t.nice_class"""
_RENEWALS = """
    SELECT r.mark_registration_number AS mark_number, r.gazetted_on, r.exclusive_until, r.current_registrant, f.subject_id AS former_subject_id,
        c.subject_id AS current_subject_id, r.renewal_item RLIKE '转让|移转|转移' AND NOT r.former_registrant <=> r.current_registrant AS is_transfer, r.known_at
    FROM ({last}) AS r LEFT JOIN silver_tables.party AS f ON f.party_key = r.former_registrant_party
        LEFT JOIN silver_tables.party AS c ON c.party_key = r.current_registrant_party ORDER BY r.gazetted_on, r.mark_registration_number"""
_DECISIONS = """
    SELECT application_number AS mark_number, nice_class, decided_on, mark_procedure, decision_result, known_at FROM ({last})
    ORDER BY decided_on, known_at, application_number"""
# Who bears which trade name today. A branch bears its parent's; who has left the register bears none.
_HOLDERS = """
    SELECT s.subject_id, s.subject_name, s.trade_name, s.registration_date, s.industry_section, s.district_code, s.supervising_district_code, s.district_name,
        s.value_kind, s.known_at
    FROM gold_tables.archive_subject AS s LEFT ANTI JOIN (SELECT subject_id FROM gold_tables.archive_exit WHERE exit_status = 'ended') USING (subject_id)
    WHERE s.subject_category NOT IN ('branch', 'foreign_office') ORDER BY s.registration_date, s.subject_id"""
_TIES = """
    SELECT DISTINCT subject_id, other_subject_id FROM gold_tables.archive_relations
    WHERE other_subject_id IS NOT NULL AND other_subject_id <> subject_id AND is_current"""
_IN_CITY = re.compile(r"\s*(?:广东省?)?广州")
_PERSONAL = r"^[\u4e00-\u9fff·]{2,4}$"


@dataclass(frozen=True)
class Told:
    """Frames. ``marks``: one row a mark and class, with `owner_name`, `owner_subject_id` (of today's owner) and `district_code`, `district_name`
    (of the applicant's address, None outside the city); ``renewals``, ``decisions``: as `validity` wants them; ``holders``: live subjects with their
    trade names; ``ties``: pairs of related subjects; ``until``: the newest arrival of any of it."""

    marks: pd.DataFrame
    renewals: pd.DataFrame
    decisions: pd.DataFrame
    holders: pd.DataFrame
    ties: pd.DataFrame
    until: dt.date


def fetch(writer: Writer, known: Collection[str]) -> Told:
    """Fetch what is told. ``known``: feeds of which silver has a table; the others count as having told nothing.

    Raises:
        LookupError: none of the feeds that tell of marks is known.
    """
    stages = [_stage(feed, n) for n, feed in enumerate(_SAYS) if feed in known]
    if not stages:
        raise LookupError("no feed tells of any mark")
    marks = _frame(writer, _MARKS.format(columns=", ".join(f"min(t.{c}) AS {c}" for c in _TYPES), stages=" UNION ALL ".join(stages)))
    renewals = _frame(writer, _RENEWALS.format(last=_LAST.format(feed="trademark_renewals"))) if "trademark_renewals" in known else _none(_RENEWED)
    decisions = _frame(writer, _DECISIONS.format(last=_LAST.format(feed="trademark_outcomes"))) if "trademark_outcomes" in known else _none(_DECIDED)
    holders, ties = _frame(writer, _HOLDERS), _frame(writer, _TIES)
    moments = [frame["known_at"].max() for frame in (marks, renewals, decisions, holders) if len(frame)]
    until = pd.Timestamp(max(moments)).tz_localize("UTC").tz_convert("Asia/Shanghai").date()
    return Told(attributed(marks, renewals, holders, until), renewals, decisions, holders, ties, until)


_RENEWED = [
    "mark_number",
    "gazetted_on",
    "exclusive_until",
    "current_registrant",
    "former_subject_id",
    "current_subject_id",
    "is_transfer",
    "known_at",
]
_DECIDED = ["mark_number", "nice_class", "decided_on", "mark_procedure", "decision_result", "known_at"]


def _none(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame({c: pd.Series(dtype=bool if c == "is_transfer" else object) for c in columns})


def _stage(feed: str, order: int) -> str:
    number, name, party, agent = _NAMES[feed]
    columns = ", ".join(f"CAST({_SAYS[feed].get(c, 'NULL')} AS {kind}) AS {c}" for c, kind in _TYPES.items())
    return (
        f"SELECT {order} AS stage, {number} AS mark_number, nice_class, trademark_name, {name} AS applicant_name, {party} AS party, {agent} AS agent_name, "  # noqa: S608
        f"{columns}, known_at, value_kind FROM ({_LAST.format(feed=feed)})"
    )


def _frame(writer: Writer, sql: str) -> pd.DataFrame:
    """Rows by way of Arrow; dates stay `datetime.date`, moments become timestamps in UTC without a zone."""
    return writer.spark.sql(sql).toArrow().to_pandas(date_as_object=True).pipe(_plain)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.DatetimeTZDtype):
            frame[column] = frame[column].dt.tz_convert("UTC").dt.tz_localize(None)
    return frame


def attributed(marks: pd.DataFrame, renewals: pd.DataFrame, holders: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """Marks with today's owner, and where in the city the applicant is: by the register where he is in it, else by the address that he stated.

    The agent's address never counts.
    """
    went = renewals[renewals["is_transfer"].astype(bool)]
    found = marks.assign(registrant=marks["applicant_name"])
    found["owner_name"] = owners_on(found, went, day).to_numpy() if len(went) else found["registrant"]
    last = went[went["gazetted_on"] <= day].drop_duplicates("mark_number", keep="last").set_index("mark_number")["current_subject_id"]
    moved = found["mark_number"].isin(last.index)
    found["owner_subject_id"] = found["applicant_subject_id"].where(~moved, found["mark_number"].map(last))
    places = holders.set_index("subject_id")[["district_code", "district_name"]]
    registered = found["applicant_subject_id"].map(places["district_code"]), found["applicant_subject_id"].map(places["district_name"])
    located = {a: _place(a) for a in found.loc[registered[1].isna(), "applicant_address"].dropna().unique()}
    for n, column in enumerate(places.columns):
        by_address = found["applicant_address"].map(lambda a, n=n: located.get(a, (None, None))[n])
        found[column] = registered[n].where(registered[1].notna(), by_address)
    return found.drop(columns="registrant").astype(object).where(lambda f: f.notna(), None)


def _place(address: str) -> tuple[str | None, str | None]:
    """Code and name of the district; of an address that says the city and not the district, the name for that; nothing of one that says neither."""
    found = locate(address)
    return found.code, found.name if found.code or _IN_CITY.match(address) else None


def is_personal(names: pd.Series, subjects: pd.Series) -> pd.Series:
    """Whether applicants look like natural persons: a name of two to four characters and no subject of the register."""
    return subjects.isna() & names.fillna("").str.fullmatch(_PERSONAL)


def applicants(marks: pd.DataFrame) -> pd.Series:
    """A key of who files. Persons of one name are many, so a person is told by the address, too; without one each filing is by itself."""
    personal = is_personal(marks["applicant_name"], marks["applicant_subject_id"])
    name = marks["applicant_name"].fillna("")
    person = name + " " + marks["applicant_address"].where(marks["applicant_address"].notna(), marks["mark_number"])
    return marks["applicant_subject_id"].where(marks["applicant_subject_id"].notna(), name.where(~personal & (name != ""), person))
