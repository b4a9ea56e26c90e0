{# Generated from catalog/contracts by `python -m catalog.dbt_files`; change the contract, not this file. #}
{% macro stated_groups() %}{{ return([
 {
  "by": "enterprise_type",
  "columns": [
   "enterprise_type",
   "enterprise_type_code"
  ],
  "condition": "enterprise_type is not null"
 },
 {
  "by": "subject_category",
  "columns": [
   "subject_category",
   "category_basis"
  ],
  "condition": "subject_category <> 'unknown'"
 },
 {
  "by": "ownership_group",
  "columns": [
   "ownership_group"
  ],
  "condition": "ownership_group <> 'unknown'"
 },
 {
  "by": "legal_representative",
  "columns": [
   "legal_representative"
  ],
  "condition": "legal_representative is not null"
 },
 {
  "by": "capital_status",
  "columns": [
   "capital_status",
   "registered_capital_text",
   "registered_capital",
   "capital_amount",
   "capital_unit",
   "capital_currency",
   "capital_rate",
   "capital_rate_year"
  ],
  "condition": "capital_status <> 'not_stated'"
 },
 {
  "by": "industry_section",
  "columns": [
   "industry_section",
   "industry_basis"
  ],
  "condition": "industry_section is not null"
 },
 {
  "by": "registration_authority",
  "columns": [
   "registration_authority"
  ],
  "condition": "registration_authority is not null"
 },
 {
  "by": "supervising_authority",
  "columns": [
   "supervising_authority",
   "supervising_district_code"
  ],
  "condition": "supervising_authority is not null"
 },
 {
  "by": "registered_address",
  "columns": [
   "registered_address",
   "district_code",
   "district_name",
   "district_confidence",
   "district_reason"
  ],
  "condition": "registered_address is not null"
 },
 {
  "by": "business_scope",
  "columns": [
   "business_scope",
   "scope_truncated"
  ],
  "condition": "business_scope is not null"
 },
 {
  "by": "province_name",
  "columns": [
   "province_name"
  ],
  "condition": "province_name is not null"
 },
 {
  "by": "region_name",
  "columns": [
   "region_name"
  ],
  "condition": "region_name is not null"
 }
]) }}{% endmacro %}
