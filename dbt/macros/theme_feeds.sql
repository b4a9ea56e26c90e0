{# Generated from catalog/contracts by `python -m catalog.dbt_files`; change the contract, not this file. #}
{% macro theme_feeds() %}{{ return({
 "archive_complaint": [
  "complaints",
  "complaint_steps"
 ],
 "archive_credit": [
  "abnormal_list",
  "individual_marks",
  "serious_list",
  "credit_repairs",
  "court_enforcement",
  "other_penalties"
 ],
 "archive_enforcement": [
  "enforcement_cases",
  "penalties",
  "inspection_results"
 ],
 "archive_exit": [
  "registration_cancellations"
 ],
 "archive_property": [
  "trademark_applications",
  "trademark_publications",
  "trademark_registrations",
  "trademark_outcomes",
  "trademark_renewals"
 ],
 "archive_relations": [
  "shareholders",
  "branches"
 ]
}) }}{% endmacro %}
