"""One delivered record of the feed registration_subjects, refined: typed, standardised, routed."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping

from spark_jobs.refine import corrections, rules, unmapped
from spark_jobs.refine.capital import parse_capital
from spark_jobs.refine.dates import parse_date
from spark_jobs.refine.districts import authority_district, locate
from spark_jobs.refine.identifiers import identify
from spark_jobs.refine.industry import industry_section
from spark_jobs.refine.kinds import category, crosswalk_used, read_type
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
# (ids that were used, or would have been before they ended), `unmapped` (unmapped.of_record).
OUTPUTS = (*BUSINESS, "corrections", "crosswalks", "ended", "unmapped", "quality_marks", "reasons", "content_hash")
FEED = "registration_subjects"


def refine(values: Mapping[str, str | None], arrived_on: dt.date, business_date: dt.date | None = None) -> dict[str, object]:
    """The record that the delivered texts state, and the rules it fails.

    `values`: delivered text by bronze column (INPUTS). `arrived_on`: day of arrival, Asia/Shanghai. `business_date`: that of the delivery;
    corrections and crosswalks are taken as they stood on it, else on the day of arrival. Keys of the result: OUTPUTS; money in
    yuan (registered_capital) or whole units of the currency (capital_amount); `quality_marks` and `reasons` are sorted rule ids. A record
    with reasons is quarantined. Never raises for any text. Raises MappingError where a file of corrections or crosswalks is not in order.
    """
    delivered_on = business_date if business_date is not None else arrived_on
    values, corrected, ended = corrections.correct(values, corrections.of_feed(FEED, INPUTS), delivered_on)
    scope, truncated = clean_scope(values.get("business_scope"))
    said = {column: stated(values.get(column)) for column in _SHORT}
    said["business_scope"] = scope
    name = clean_name(said["subject_name"])
    identifier = identify(said["credit_code"])
    date = parse_date(said["registration_date"])
    kind = read_type(said["enterprise_type"], delivered_on)
    crosswalk, ended_row = crosswalk_used(said["enterprise_type"], delivered_on)
    code = identifier.value if identifier.kind == "uscc" else None
    subject_category, basis = category(kind, name, code, identifier.check)
    capital = parse_capital(said["registered_capital_text"], date.year if date is not None else None)
    section, industry_basis = industry_section(said["industry_name"], name, date)
    address = said["registered_address"]
    district = locate(address)
    supervisor = said["supervising_authority"]
    supervising = authority_district(supervisor)
    record: dict[str, object] = {
        "subject_name": name,
        "normalized_name": name_key(name),
        "credit_code": code,
        "registration_number": identifier.value if identifier.kind != "uscc" else None,
        "identifier_kind": identifier.kind,
        "identifier_check": identifier.check,
        "registration_date": date,
        "enterprise_type": kind.text,
        "enterprise_type_code": kind.code,
        "subject_category": subject_category,
        "category_basis": basis,
        "ownership_group": kind.ownership,
        "legal_representative": said["legal_representative"],
        "registered_capital_text": said["registered_capital_text"],
        "registered_capital": capital.yuan,
        "capital_amount": capital.amount,
        "capital_unit": capital.unit,
        "capital_currency": capital.currency,
        "capital_rate": capital.rate,
        "capital_rate_year": capital.rate_year,
        "capital_status": capital.status,
        "industry_section": section,
        "industry_basis": industry_basis,
        "registration_authority": said["registration_authority"],
        "supervising_authority": supervisor,
        "supervising_district_code": supervising[0] if supervising is not None else None,
        "registered_address": address,
        "district_code": district.code,
        "district_name": district.name,
        "district_confidence": district.confidence,
        "district_reason": district.reason,
        "business_scope": scope,
        "scope_truncated": truncated,
        "province_name": said["province_name"],
        "region_name": said["region_name"],
    }
    reasons, marks = rules.router().route(rules.Row(values, said, record, identifier, kind, capital, arrived_on))
    return record | {
        "corrections": corrected,
        "crosswalks": [crosswalk] if crosswalk is not None else [],
        "ended": [*ended, *([ended_row] if ended_row is not None else [])],
        # Of a record that is set aside nothing is listed: where columns have slipped, a person's name may stand in place of a code.
        "unmapped": [] if reasons else unmapped.of_record(record, said["industry_name"], kind, capital),
        "quality_marks": marks,
        "reasons": reasons,
        "content_hash": content_hash(record),
    }


def content_hash(record: Mapping[str, object]) -> str:
    """SHA-256 (hex) over the business content as a JSON list of texts in the order of BUSINESS: NULL is null, told from ''."""
    content = [None if (value := record[column]) is None else str(value) for column in BUSINESS]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")).hexdigest()
