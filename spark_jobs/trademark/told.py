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

KEY = ["mark_number", "nice_class"]
# What a register writes for a mark without words.
NO_WORDS = ("图形", "图形商标", "图案", "图")
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
# The applicant is whom the first stage names, the registrant whom the last one does; a subject is theirs only if it was found by that name.
_MARKS = """
    WITH stage AS ({stages}),
    told AS (
        SELECT t.mark_number, t.nice_class, min_by(t.trademark_name, t.stage) FILTER (WHERE t.trademark_name IS NOT NULL) AS trademark_name,
            min_by(t.person, t.stage) FILTER (WHERE t.person IS NOT NULL) AS applicant_name, max_by(t.person, t.stage) FILTER (WHERE t.person IS NOT NULL) AS registrant_name,
            collect_list(CASE WHEN p.subject_id IS NOT NULL THEN struct(t.stage, t.person, p.subject_id) END) AS known, max(t.agent_name) AS agent_name,
            {columns}, max(t.known_at) AS known_at, max(t.value_kind) AS value_kind
        FROM stage AS t LEFT JOIN silver_tables.party AS p ON p.party_key = t.party
        WHERE t.nice_class BETWEEN 1 AND 45 GROUP BY t.mark_number, t.nice_class),
    named AS (
        SELECT * EXCEPT (known), array_min(filter(known, k -> k.person <=> applicant_name)).subject_id AS applicant_subject_id,
            array_max(filter(known, k -> k.person <=> registrant_name)).subject_id AS registrant_subject_id FROM told)
    SELECT n.*, s.district_code AS registered_code, s.district_name AS registered_name
    FROM named AS n LEFT JOIN gold_tables.archive_subject AS s ON s.subject_id = n.applicant_subject_id ORDER BY n.mark_number, n.nice_class"""
_RENEWALS = """
    SELECT r.mark_registration_number AS mark_number, r.gazetted_on, r.exclusive_until, r.current_registrant, f.subject_id AS former_subject_id,
        c.subject_id AS current_subject_id, coalesce(r.renewal_item RLIKE '转让', false) AS is_given, r.known_at,
        coalesce(r.renewal_item RLIKE '转让|移转|转移' AND r.current_registrant IS NOT NULL AND NOT r.former_registrant <=> r.current_registrant, false) AS is_transfer
    FROM ({last}) AS r LEFT JOIN silver_tables.party AS f ON f.party_key = r.former_registrant_party
        LEFT JOIN silver_tables.party AS c ON c.party_key = r.current_registrant_party ORDER BY r.gazetted_on, r.known_at, r.mark_registration_number"""
_DECISIONS = """
    SELECT application_number AS mark_number, nice_class, decided_on, mark_procedure, decision_result, known_at FROM ({last})
    ORDER BY decided_on, known_at, application_number"""
# Who bears which trade name today. A branch bears its parent's; who has left the register bears none.
_HOLDERS = """
    SELECT s.subject_id, s.trade_name, s.registration_date, s.industry_section, s.value_kind, s.known_at
    FROM gold_tables.archive_subject AS s LEFT ANTI JOIN (SELECT subject_id FROM gold_tables.archive_exit WHERE exit_status = 'ended') USING (subject_id)
    WHERE s.subject_category NOT IN ('branch', 'foreign_office') ORDER BY s.registration_date NULLS LAST, s.subject_id"""
_TIES = """
    SELECT DISTINCT subject_id, other_subject_id FROM gold_tables.archive_relations
    WHERE other_subject_id IS NOT NULL AND other_subject_id <> subject_id AND is_current"""
_IN_CITY = re.compile(r"\s*(?:广东省?)?广州")
# What names of organisations end with. A short name may be a person's that ends so: there only what no person is called.
_ORGANISATION = re.compile(
    r"(?:公司|集团|厂|店|行|社|中心|馆|部|场|院|所|会|站|园|铺|坊|室|楼|城|屋|吧|庄|学|校|司|企业|合伙|基金|办事处)(?:[（(].{1,8}[)）])?$"
    r"|\b(?:LTD|LIMITED|INC|CORP|CORPORATION|COMPANY|CO|LLC|LLP|GMBH|AG|PLC|S\.?A|B\.?V|N\.?V|KK|PTE|PTY)\.?$",
    re.IGNORECASE,
)
_SHORT_ORGANISATION = re.compile(r"(?:公司|工厂|商行|商店|饭店|酒店|酒楼|大学|学校|医院|协会|集团)$")


STAGES = frozenset(_SAYS)  # feeds that tell of a mark itself


@dataclass(frozen=True)
class Told:
    """Frames. ``marks``: one row a mark and class, with `owner_name`, `owner_subject_id` (of today's owner) and `district_code`, `district_name`
    (of the applicant's place, None outside the city); ``renewals``, ``decisions``: as `validity` wants them; ``holders``: live subjects with their
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
    until = pd.Timestamp(max(moments)).tz_localize("UTC").tz_convert("Asia/Shanghai").date() if moments else dt.date.min
    return Told(attributed(marks, renewals, until), renewals, decisions, holders, ties, until)


_RENEWED = [
    "mark_number", "gazetted_on", "exclusive_until", "current_registrant", "former_subject_id", "current_subject_id", "is_given", "known_at", "is_transfer",
]  # fmt: skip
_DECIDED = ["mark_number", "nice_class", "decided_on", "mark_procedure", "decision_result", "known_at"]


def _none(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame({c: pd.Series(dtype=bool if c.startswith("is_") else object) for c in columns})


def _stage(feed: str, order: int) -> str:
    number, name, party, agent = _NAMES[feed]
    columns = ", ".join(f"CAST({_SAYS[feed].get(c, 'NULL')} AS {kind}) AS {c}" for c, kind in _TYPES.items())
    return (
        f"SELECT {order} AS stage, {number} AS mark_number, nice_class, trademark_name, {name} AS person, {party} AS party, {agent} AS agent_name, "  # noqa: S608
        f"{columns}, known_at, value_kind FROM ({_LAST.format(feed=feed)})"
    )


def _frame(writer: Writer, sql: str) -> pd.DataFrame:
    """Rows by way of Arrow; dates stay `datetime.date`, moments become timestamps in UTC without a zone."""
    frame = writer.spark.sql(sql).toArrow().to_pandas(date_as_object=True)
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.DatetimeTZDtype):
            frame[column] = frame[column].dt.tz_convert("UTC").dt.tz_localize(None)
    return frame


def attributed(marks: pd.DataFrame, renewals: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """Marks with today's owner, and where in the city the applicant is: by the register where he is in it, else by the address that he stated.

    The agent's address never counts. ``marks`` say of registrants and of registered places, too (see `_MARKS`).
    """
    went = renewals[renewals["is_transfer"].to_numpy(bool) & (renewals["gazetted_on"] <= day).to_numpy(bool)]
    found = marks.assign(registrant=marks["registrant_name"])
    found["owner_name"] = owners_on(found, went, day).to_numpy() if len(went) else found["registrant"]
    last = went.drop_duplicates("mark_number", keep="last").set_index("mark_number")["current_subject_id"]
    moved = found["mark_number"].isin(last.index)
    found["owner_subject_id"] = found["registrant_subject_id"].where(~moved, found["mark_number"].map(last))
    unknown = found["registered_name"].isna()
    located = {a: _place(a) for a in found.loc[unknown, "applicant_address"].dropna().unique()}
    for n, (column, registered) in enumerate((("district_code", "registered_code"), ("district_name", "registered_name"))):
        by_address = found["applicant_address"].map(lambda a, n=n: located.get(a, (None, None))[n])
        found[column] = found[registered].where(~unknown, by_address)
    # Nothing that is compared is a mark without words.
    found["words"] = found["trademark_name"].where(~found["trademark_name"].isin(NO_WORDS))
    left = ["registrant", "registrant_name", "registrant_subject_id", "registered_code", "registered_name"]
    return found.drop(columns=left).astype(object).where(lambda f: f.notna(), None)


def _place(address: str) -> tuple[str | None, str | None]:
    """Code and name of the district; of an address that says the city and not the district, the name for that; nothing of one that says neither."""
    said = address.strip().removeprefix("中国")
    found = locate(said)
    return found.code, found.name if found.code or _IN_CITY.match(said) else None


def keys(marks: pd.DataFrame) -> list[tuple[str, int]]:
    """The key of each row, as `KEY` names it."""
    return list(zip(marks["mark_number"], marks["nice_class"], strict=True))


def is_person(name: str | None) -> bool:
    """Whether a name may be a natural person's: it doesn't end as names of organisations do. So a firm without an ending counts as a person."""
    if not name:
        return False
    ending = _SHORT_ORGANISATION if len(name) <= 4 or "·" in name else _ORGANISATION
    return not ending.search(name.strip())


def are_persons(marks: pd.DataFrame) -> pd.Series:
    """Whether applicants may be natural persons: no subject of the register, and no organisation's name."""
    names = marks["applicant_name"]
    known = {n: is_person(n) for n in names.dropna().unique()}
    return marks["applicant_subject_id"].isna() & names.map(known).fillna(False).astype(bool)


def applicants(marks: pd.DataFrame) -> pd.Series:
    """A key of who files. Persons of one name are many, so a person is told by the address, too; without one each filing is by itself."""
    name = marks["applicant_name"].fillna("")
    person = name + " " + marks["applicant_address"].where(marks["applicant_address"].notna(), marks["mark_number"]).astype(str)
    of_name = name.where(~are_persons(marks) & (name != ""), person)
    return marks["applicant_subject_id"].where(marks["applicant_subject_id"].notna(), of_name)
