"""Delivered records of the feed registration_subjects, refined: typed, standardised, routed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

from spark_jobs.identity.names import parse_name
from spark_jobs.identity.short_names import short_key
from spark_jobs.identity.spelling import spellings
from spark_jobs.refine import corrections, rules, unmapped
from spark_jobs.refine.capital import parse_capital
from spark_jobs.refine.columns import Texts, each
from spark_jobs.refine.dates import parse_date
from spark_jobs.refine.districts import authority_district, locate
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.industry import industry_section
from spark_jobs.refine.kinds import category, category_of_name, crosswalk_used, read_type
from spark_jobs.refine.text import clean_name, clean_scope, name_key, stated

# Delivered columns (all text) that are read; one that a delivery lacks counts as empty.
INPUTS = (
    "subject_name", "credit_code", "registration_date", "enterprise_type", "legal_representative", "registered_capital_text",
    "business_scope", "province_name", "region_name", "registered_address", "industry_name", "registration_authority", "supervising_authority",
)  # fmt: skip
_SHORT = tuple(column for column in INPUTS if column != "business_scope")
# The business content, in the order in which it is hashed. A new column goes to the end: hashes of old content stay comparable for
# nobody anyway, but the order is part of the definition.
BUSINESS = (
    "subject_name", "normalized_name", "credit_code", "registration_number", "identifier_kind", "identifier_check", "registration_date",
    "enterprise_type", "enterprise_type_code", "subject_category", "category_basis", "ownership_group", "legal_representative",
    "registered_capital_text", "registered_capital", "capital_amount", "capital_unit", "capital_currency", "capital_rate", "capital_rate_year",
    "capital_status", "industry_section", "industry_basis", "registration_authority", "supervising_authority", "supervising_district_code",
    "registered_address", "district_code", "district_name", "district_confidence", "district_reason", "business_scope", "scope_truncated",
    "province_name", "region_name",
)  # fmt: skip
# What is no content: `corrections` (a record that was corrected and one that was delivered right say the same), `crosswalks` and `ended`
# (ids that were used, or would have been before they ended), `unmapped` (unmapped.of_columns).
# Beside it what is worked out of the name: its parts by rules that may become better, and how it is read.
OUTPUTS = (
    *BUSINESS,
    "trade_name",
    "name_spellings",
    "short_name",
    "corrections",
    "crosswalks",
    "ended",
    "unmapped",
    "quality_marks",
    "reasons",
    "content_hash",
)
FEED = "registration_subjects"


# Columns in which few different texts stand in many rows: each text is worked on once for a batch of rows.
_REPEATED = frozenset(
    ("registration_date", "enterprise_type", "registered_capital_text", "province_name", "region_name", "industry_name", "registration_authority",
     "supervising_authority")
)  # fmt: skip

# Results that differ in nearly every row, and capital_rate: equal numbers of it may be written differently (7.1, 7.10).
_DISTINCT = frozenset(
    ("subject_name", "normalized_name", "credit_code", "registration_number", "legal_representative", "registered_address", "business_scope",
     "capital_rate")
)  # fmt: skip


def refine(values: Mapping[str, str | None], arrived_on: dt.date, business_date: dt.date | None = None) -> dict[str, object]:
    """The record that the delivered texts state, and the rules it fails: refine_columns for one row."""
    record = refine_columns({column: [values.get(column)] for column in INPUTS}, [arrived_on], [business_date])
    return {column: value for column, (value,) in record.items()}


def refine_columns(values: Mapping[str, Texts], arrived_on: Sequence[dt.date], business_date: Sequence[dt.date | None]) -> dict[str, list[Any]]:
    """The records that the delivered texts state, and the rules they fail, by column; one pass over each column is much faster than rows.

    `values`: delivered texts by bronze column (INPUTS); one that is left out counts as empty. `arrived_on`: day of arrival of each row,
    Asia/Shanghai. `business_date`: that of each row's delivery; corrections and crosswalks are taken as they stood on it, else on the day of
    arrival. Keys of the result: OUTPUTS; money in yuan (registered_capital) or whole units of the currency (capital_amount);
    `quality_marks` and `reasons` are sorted rule ids. A record with reasons is quarantined. Never raises for any text. Raises MappingError
    where a file of corrections or crosswalks is not in order.
    """
    nothing: Texts = [None] * len(arrived_on)
    delivered_on = [stated_day or arrived for stated_day, arrived in zip(business_date, arrived_on, strict=True)]
    delivered, corrected, ended = corrections.correct(
        {column: values.get(column, nothing) for column in INPUTS}, corrections.of_feed(FEED, INPUTS), delivered_on
    )
    said: dict[str, Texts] = {
        column: each(stated, delivered[column]) if column in _REPEATED else [stated(text) for text in delivered[column]] for column in _SHORT
    }
    scopes = [clean_scope(text) for text in delivered["business_scope"]]
    said["business_scope"] = [scope for scope, _ in scopes]
    names = [clean_name(text) for text in said["subject_name"]]
    identifiers = [identify(text) for text in said["credit_code"]]
    codes = [found.value if found.kind == "uscc" else None for found in identifiers]
    dates = each(parse_date, said["registration_date"])
    types = list(zip(said["enterprise_type"], delivered_on, strict=True))
    kinds = each(lambda stated_on: read_type(*stated_on), types)
    crosswalks = each(lambda stated_on: _listed(crosswalk_used(*stated_on)), types)
    name_categories = [category_of_name(name) for name in names]
    categories = [
        category(kind, by_name, code, found.check) for kind, by_name, code, found in zip(kinds, name_categories, codes, identifiers, strict=True)
    ]
    years = [date.year if date is not None else None for date in dates]
    capitals = each(lambda stated_in: parse_capital(*stated_in), list(zip(said["registered_capital_text"], years, strict=True)))
    sections = [industry_section(*about) for about in zip(said["industry_name"], names, dates, strict=True)]
    addresses = said["registered_address"]
    districts = [locate(address) for address in addresses]
    supervising = each(authority_district, said["supervising_authority"])
    record: dict[str, list[Any]] = {
        "subject_name": names,
        "normalized_name": [name_key(name) for name in names],
        "credit_code": codes,
        "registration_number": [found.value if found.kind != "uscc" else None for found in identifiers],
        "identifier_kind": [found.kind for found in identifiers],
        "identifier_check": [found.check for found in identifiers],
        "registration_date": dates,
        "enterprise_type": [kind.text for kind in kinds],
        "enterprise_type_code": [kind.code for kind in kinds],
        "subject_category": [found for found, _ in categories],
        "category_basis": [basis for _, basis in categories],
        "ownership_group": [kind.ownership for kind in kinds],
        "legal_representative": list(said["legal_representative"]),
        "registered_capital_text": list(said["registered_capital_text"]),
        "registered_capital": [capital.yuan for capital in capitals],
        "capital_amount": [capital.amount for capital in capitals],
        "capital_unit": [capital.unit for capital in capitals],
        "capital_currency": [capital.currency for capital in capitals],
        "capital_rate": [capital.rate for capital in capitals],
        "capital_rate_year": [capital.rate_year for capital in capitals],
        "capital_status": [capital.status for capital in capitals],
        "industry_section": [section for section, _ in sections],
        "industry_basis": [basis for _, basis in sections],
        "registration_authority": list(said["registration_authority"]),
        "supervising_authority": list(said["supervising_authority"]),
        "supervising_district_code": [found[0] if found is not None else None for found in supervising],
        "registered_address": list(addresses),
        "district_code": [district.code for district in districts],
        "district_name": [district.name for district in districts],
        "district_confidence": [district.confidence for district in districts],
        "district_reason": [district.reason for district in districts],
        "business_scope": list(said["business_scope"]),
        "scope_truncated": [truncated for _, truncated in scopes],
        "province_name": list(said["province_name"]),
        "region_name": list(said["region_name"]),
    }
    hashes = content_hashes(record)
    parsed = [parse_name(name) for name in names]
    reasons, marks = rules.router().route(rules.Rows(delivered, said, record, identifiers, kinds, capitals, name_categories, arrived_on))
    return record | {
        "trade_name": [name.trade_name or None for name in parsed],
        "name_spellings": [spellings(name.core) or None for name in parsed],
        # Without a trade name of its own what is left is a sign that many shops have (沙县小吃店).
        "short_name": [short_key(name) if parts.trade_name else None for name, parts in zip(record["normalized_name"], parsed, strict=True)],
        "corrections": corrected,
        "crosswalks": [used for used, _ in crosswalks],
        "ended": [[*ids, *late] if late else ids for ids, (_, late) in zip(ended, crosswalks, strict=True)],
        "unmapped": unmapped.of_columns(record, said["industry_name"], kinds, capitals, reasons),
        "quality_marks": marks,
        "reasons": reasons,
        "content_hash": hashes,
    }


def _listed(ids: Iterable[str | None]) -> list[list[str]]:
    return [[identity] if identity is not None else [] for identity in ids]


def content_hash(record: Mapping[str, object]) -> str:
    """SHA-256 (hex) over the business content as a JSON list of texts in the order of BUSINESS: NULL is null, told from ''."""
    return content_hashes({column: [record[column]] for column in BUSINESS})[0]


def content_hashes(record: Mapping[str, Sequence[object]]) -> list[str]:
    """content_hash of each row of the columns."""
    # As json.dumps(..., ensure_ascii=False, separators=(",", ":")) writes it, whose set-up for each row costs more than the row.
    columns = [[_json_text(value) for value in record[column]] if column in _DISTINCT else each(_json_text, record[column]) for column in BUSINESS]
    return [hashlib.sha256(f"[{','.join(texts)}]".encode("utf-8", "surrogatepass")).hexdigest() for texts in zip(*columns, strict=True)]


def _json_text(value: object) -> str:
    return "null" if value is None else encode_basestring(value if type(value) is str else str(value))
