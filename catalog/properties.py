"""What the Open Data Contract Standard lacks: the typed custom properties of a table, a column and a quality rule.

Every customProperties block of a contract is read into one of these models; a key that is not declared here is refused.
"""

import re
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Kind(StrEnum):
    """What a table is; decides its reserved columns."""

    FEED = "feed"  # a source's rows as they arrive (bronze only)
    REFERENCE = "reference"  # a code list
    FACT = "fact"  # typed facts about subjects, with business and knowledge time
    DERIVED = "derived"  # computed from facts; declares all its columns
    QUARANTINE = "quarantine"  # rows of a feed that were set aside; never declared, follows from the feed
    RECORD = "record"  # a feed's rows, typed, with the history of each record; never declared, follows from the feed
    MART = "mart"  # an archive, or counts, built by dbt
    ANALYSIS = "analysis"  # figures worked out from marts (spark_jobs/analyse)
    PROJECTION = "projection"  # a copy of the ledger for SQL and dashboards


Classification = Literal["一般", "个人信息", "敏感个人信息", "商业秘密"]
Severity = Literal["fail", "quarantine", "warn"]
# GB/T 36344 dimensions; the standard's own `dimension` has no accessibility, so it lives in a custom property.
Dimension = Literal["规范性", "完整性", "准确性", "一致性", "时效性", "可访问性"]
Sharing = Literal["无条件共享", "有条件共享", "不予共享"]
UpdateCycle = Literal["实时", "每日", "每周", "每月", "每季度", "每年", "不定期"]
# Days from the end of the period that a delivery describes until it has to be here, where a contract doesn't state them (sla latency).
DAYS_ALLOWED: dict[str, int] = {"实时": 1, "每日": 1, "每周": 3, "每月": 5, "每季度": 10, "每年": 30, "不定期": 0}
DeliveredUnit = Literal["千元", "万元", "亿元"]  # in which a source states amounts; the lake keeps yuan
Reader = Literal["credit_code", "name", "document_number", "period", "ratio", "expiry"]
# Lists with editions or dates by which a delivered text is read beside being kept (spark_jobs/refine/editions.py).
DatedList = Literal["complaint_categories", "districts", "industry_sections"]
Role = Literal["analyst", "leader", "steward", "supervisor", "district", "operator"]  # who may read; the publisher is no reader


class Strict(BaseModel):
    """Base of everything read from a contract: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Exchange(Strict):
    """How the rows of a feed are read from the exchange database (前置库).

    ``table``: `schema.table` there; its columns are named as a file's would be. ``overlapMinutes``: how long a change may take from the time
    that its row states until others can see it (the longest transaction, and what the clocks of its writers differ).
    """

    table: str = Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")
    overlapMinutes: int = Field(ge=1, le=7 * 24 * 60)


class Pages(Strict):
    """How the records of a feed are read from a platform over HTTP, page by page (spark_jobs/ingest/pages.py).

    ``path``: below the platform's address. Parameters: the moment since which, the page that follows. Places in the answer, such as ``data.items``:
    the records, the next page (none: the end), the platform's own time.
    """

    path: str = Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")
    sinceParameter: str = "since"
    pageParameter: str = "page"
    itemsAt: str = "items"
    nextAt: str = "next"
    untilAt: str = "until"


class Event(Strict):
    """What a record of a feed brings into a market subject's timeline.

    ``event``: what happened, in the words of the business. ``day``: the column with its date, ``party``: the one that says to whom, ``number``:
    the one with the number of the matter (a case, a demand, a mark), ``says``: those that tell more; none of them may be personal data.
    ``through``: where the record itself doesn't say to whom, the feeds whose records of the same number do; where several do, the first by name.
    """

    feed: str
    section: str  # one of the allowed values of archive_section
    event: str = Field(pattern=r"[\u4e00-\u9fff]")
    day: str
    party: str = "subject_party"
    number: str | None = None
    through: list[str] = []
    says: list[str] = []


class Stated(Strict):
    """Columns of an archive that are taken from one record: the last that says something of ``by``, which is more than ``nothing``."""

    by: str
    beside: list[str] = []
    nothing: str | None = None


class TableProperties(Strict):
    """Custom properties of a contract."""

    kind: Kind
    englishName: str = Field(min_length=1)
    supplyingDepartment: str = Field(min_length=1)
    sharing: Sharing
    sharingCondition: str | None = None  # the condition of 有条件共享, the legal basis of 不予共享
    fileNameDate: str | None = None  # feed: where a file's name says its business date, a pattern with groups y, m, d
    quarantineBudget: float | None = Field(None, gt=0, lt=1)  # feed: a delivery with a larger share of rows set aside is held back whole
    # feed: the columns that tell one record of the source from another; empty where a module of its own refines its rows
    recordKey: list[str] = []
    # feed: the columns with the day of what a record states; the first of them that has one says it
    recordDate: list[str] = []
    recordReaders: list[Role] = []  # feed: who may read its typed records
    recordSharing: Sharing | None = None  # feed: the sharing attribute of its typed records, with its condition as above
    recordSharingCondition: str | None = None
    controlName: str | None = None  # feed: how control totals of source systems call it, where that is not its Chinese name
    exchange: Exchange | None = None  # feed: where its rows are read from, beside files that are sent
    pages: Pages | None = None  # feed: the same of a platform that answers over HTTP
    inputs: list[str] = []  # lineage: ids of the contracts that this table is made from; `bronze.*` are all feeds
    stated: list[Stated] = []  # the archive: which columns the last record that says something of them decides, together
    events: list[Event] = []  # the timeline: which columns of which feeds make its rows
    tellsOf: list[str] = []  # an archive of a theme: the feeds whose events it is made from; it holds each subject that has one

    @model_validator(mode="after")
    def _condition_where_sharing_is_limited(self) -> Self:
        if (self.sharing == "无条件共享") != (self.sharingCondition is None):
            raise ValueError("sharingCondition is stated exactly where sharing is not 无条件共享")
        return self

    @model_validator(mode="after")
    def _budget_of_a_feed(self) -> Self:
        if self.kind is not Kind.FEED and self.quarantineBudget is not None:
            raise ValueError("quarantineBudget belongs to a feed; remove it")
        return self

    @model_validator(mode="after")
    def _records_of_a_feed(self) -> Self:
        stated = [bool(self.recordKey), bool(self.recordDate), bool(self.recordReaders), self.recordSharing is not None]
        if any(stated) and not all(stated):
            raise ValueError("recordKey, recordDate, recordReaders and recordSharing are given together")
        if self.kind is not Kind.FEED and any(stated):
            raise ValueError("recordKey, recordDate, recordReaders and recordSharing belong to a feed; remove them")
        if self.kind is not Kind.FEED and self.pages is not None:
            raise ValueError("pages belong to a feed; remove them")
        if self.exchange is not None and self.pages is not None:
            raise ValueError("a feed is read from one place: the exchange database or pages; remove one")
        if self.exchange is not None and not self.recordKey:
            raise ValueError("exchange needs a recordKey: a row that is gone from the source is known by it")
        if (self.recordSharing in (None, "无条件共享")) != (self.recordSharingCondition is None):
            raise ValueError("recordSharingCondition is stated exactly where recordSharing is limited")
        return self

    @model_validator(mode="after")
    def _date_in_the_file_names_of_a_feed(self) -> Self:
        if self.fileNameDate is None:
            return self
        if self.kind is not Kind.FEED:
            raise ValueError("fileNameDate belongs to a feed; remove it")
        try:
            groups = set(re.compile(self.fileNameDate).groupindex)
        except re.error as error:
            raise ValueError(f"fileNameDate is no regular expression ({error}); correct it") from error
        if groups != {"y", "m", "d"}:
            raise ValueError("fileNameDate needs exactly the named groups y, m and d")
        return self


class ColumnProperties(Strict):
    """Custom properties of a column."""

    codeList: str | None = None
    codeListEdition: str | None = None
    deliveredUnit: DeliveredUnit | None = None  # feed: of the amounts that a delivery brings
    exception: str | None = None  # why this column's type or Chinese name differs from the field dictionary

    @model_validator(mode="after")
    def _edition_with_list(self) -> Self:
        if (self.codeList is None) != (self.codeListEdition is None):
            raise ValueError("codeList and codeListEdition are given together")
        return self


class RuleProperties(Strict):
    """Custom properties of a quality rule."""

    dimension: Dimension


class Derived(Strict):
    """Of a field that no delivery brings: what a code list, as it was on the day of the record, says to the text of another column."""

    of: str  # the delivered column
    code_list: DatedList
    gives: Literal["code", "basis", "edition"]  # the comparable code, how it was found, the edition that held on the day


class Party(Strict):
    """Of a field that no delivery brings: the key of the market subject that a record names, by the columns that name it."""

    code: str | None = None
    name: str | None = None
    district: str | None = None  # a derived code list column; counts where no code says who is meant


class FieldDefinition(Strict):
    """One entry of the field dictionary."""

    zh: str = Field(pattern=r"[\u4e00-\u9fff]")
    meaning: str = Field(pattern=r"[\u4e00-\u9fff]")
    type: str = Field(pattern=r"^(STRING|INT|BIGINT|DOUBLE|BOOLEAN|DATE|TIMESTAMP|DECIMAL\(\d{1,2},\d{1,2}\)|ARRAY<STRING>)$")
    classification: Classification
    element: str | None = None
    reader: Reader | None = None  # how a delivered text becomes the value, where the type alone does not say it
    aliases: list[str] = []  # what people call it beside its official name; it is found by them
    allowed: dict[str, str] = {}
    spoken: dict[str, list[str]] = {}  # other texts that say an allowed value, by that value
    derived: Derived | None = None  # the typed records of every feed that has the column `of` have this one, too
    party: Party | None = None  # the typed records of every feed that has one of its columns `code` and `name` have this one, too

    @model_validator(mode="after")
    def _spoken_of_allowed(self) -> Self:
        if unknown := self.spoken.keys() - self.allowed.keys():
            raise ValueError(f"spoken: {', '.join(sorted(unknown))} is no allowed value")
        said = {text: value for value, label in self.allowed.items() for text in (value, label)}
        for value, texts in self.spoken.items():
            for text in texts:
                if said.setdefault(text, value) != value:
                    raise ValueError(f"spoken: {text} says {value}, and {said[text]}, too; keep one")
        return self

    @model_validator(mode="after")
    def _derived_is_not_read(self) -> Self:
        if (self.derived is not None or self.party is not None) and (self.reader is not None or self.spoken):
            raise ValueError("derived, party: reader and spoken are about delivered texts; remove them")
        return self
