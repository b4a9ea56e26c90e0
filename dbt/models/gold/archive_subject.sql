-- One row for each market subject: its current state, from all records that make up its history.
--
-- Only the subjects that a run has changed are built anew: their rows are taken out and put in again, so that an id that is no longer
-- in use leaves too. Readers are on the released version meanwhile.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, changed_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{% set latest = ['subject_name', 'trade_name', 'name_spellings', 'quality_marks'] %}
{% set identifier = ['credit_code', 'registration_number', 'identifier_kind', 'identifier_check'] %}
{# A code that passes its checks is not replaced by a mistyped one that came later. #}
{% set checked = "identifier_kind = 'uscc' and identifier_check in ('passed', 'pilot')" %}
with facts as (
    select *
    from {{ 'changed_fact' if is_incremental() else source('silver_tables', 'subject_registration') }}
    where fact_outcome = 'applied'
),

several as (
    select subject_id
    from facts
    group by subject_id
    having count(*) > 1
),

subjects as (
    select
        subject_id,
        max_by(struct({{ latest | join(', ') }}), effective_from) as latest,
        coalesce({{ last_stated(identifier, checked) }}, max_by(struct({{ identifier | join(', ') }}), effective_from)) as identifier,
        max_by(registration_date, effective_from) as registration_date,
        {% for group in stated_groups() %}
        {{ last_stated(group.columns, group.condition) }} as of_{{ group.by }},
        {% endfor %}
        -- In the order in which they came into use, each once.
        array_distinct(transform(array_sort(collect_list(struct(effective_from, subject_name))), used -> used.subject_name)) as names,
        array_distinct(transform(array_sort(collect_list(struct(effective_from, credit_code)) filter (where {{ checked }})), used -> used.credit_code)) as codes,
        max(effective_from) as effective_from,
        count(*) as fact_count,
        count_if(is_conflict) as conflict_count,
        min(known_at) as first_known_at,
        max(known_at) as known_at,
        max(value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from facts
    left semi join several using (subject_id)
    group by subject_id
    union all
    -- Most subjects have one record: it says all, and nothing has to be sorted.
    select
        subject_id,
        struct({{ latest | join(', ') }}) as latest,
        struct({{ identifier | join(', ') }}) as identifier,
        registration_date,
        {% for group in stated_groups() %}
        case when {{ group.condition }} then struct({{ group.columns | join(', ') }}) end as of_{{ group.by }},
        {% endfor %}
        array(subject_name) as names,
        cast(array() as array<string>) as codes,
        effective_from,
        cast(1 as bigint) as fact_count,
        cast(is_conflict as bigint) as conflict_count,
        known_at as first_known_at,
        known_at,
        value_kind
    from facts
    left anti join several using (subject_id)
),

contested as (
    select distinct subject_id
    from {{ source('silver_tables', 'subject_key') }}
    where key_kind = 'uscc_name'
),

-- Letters of sections mean the same in both editions; the newest name is shown.
sections as (
    select industry_code, max_by(industry_title, industry_edition) as industry_title
    from {{ source('silver_tables', 'ref_industry') }}
    where industry_level = 'section'
    group by industry_code
)

select
    subjects.subject_id,
    latest.subject_name as subject_name,
    identifier.credit_code as credit_code,
    identifier.registration_number as registration_number,
    identifier.identifier_kind as identifier_kind,
    identifier.identifier_check as identifier_check,
    subjects.registration_date,
    of_enterprise_type.enterprise_type as enterprise_type,
    of_enterprise_type.enterprise_type_code as enterprise_type_code,
    coalesce(of_subject_category.subject_category, 'unknown') as subject_category,
    coalesce(of_subject_category.category_basis, 'unknown') as category_basis,
    coalesce(of_ownership_group.ownership_group, 'unknown') as ownership_group,
    of_legal_representative.legal_representative as legal_representative,
    of_capital_status.registered_capital_text as registered_capital_text,
    of_capital_status.registered_capital as registered_capital,
    of_capital_status.capital_amount as capital_amount,
    of_capital_status.capital_unit as capital_unit,
    of_capital_status.capital_currency as capital_currency,
    of_capital_status.capital_rate as capital_rate,
    of_capital_status.capital_rate_year as capital_rate_year,
    coalesce(of_capital_status.capital_status, 'not_stated') as capital_status,
    of_industry_section.industry_section as industry_section,
    coalesce(sections.industry_title, '未分配') as industry_section_name,
    coalesce(of_industry_section.industry_basis, 'unassigned') as industry_basis,
    of_registration_authority.registration_authority as registration_authority,
    of_supervising_authority.supervising_authority as supervising_authority,
    of_supervising_authority.supervising_district_code as supervising_district_code,
    of_registered_address.registered_address as registered_address,
    of_registered_address.district_code as district_code,
    coalesce(of_registered_address.district_name, '未分配') as district_name,
    coalesce(of_registered_address.district_confidence, 'unassigned') as district_confidence,
    case when of_registered_address is null then 'no_address' else of_registered_address.district_reason end as district_reason,
    of_business_scope.business_scope as business_scope,
    coalesce(of_business_scope.scope_truncated, false) as scope_truncated,
    of_province_name.province_name as province_name,
    of_region_name.region_name as region_name,
    latest.trade_name as trade_name,
    -- What is typed to find a subject: parts of its names, a code, how its name is read.
    concat_ws(' ',
        latest.subject_name,
        nullif(array_join(array_remove(names, latest.subject_name), ' '), ''),
        identifier.credit_code,
        nullif(array_join(case when identifier.credit_code is null then codes else array_remove(codes, identifier.credit_code) end, ' '), ''),
        identifier.registration_number,
        latest.name_spellings
    ) as search_text,
    latest.quality_marks as quality_marks,
    contested.subject_id is not null as is_contested,
    array_remove(names, latest.subject_name) as former_names,
    case when identifier.credit_code is null then codes else array_remove(codes, identifier.credit_code) end as former_codes,
    subjects.effective_from,
    subjects.fact_count,
    subjects.conflict_count,
    subjects.first_known_at,
    subjects.known_at,
    {{ write_number() }} as write_number,
    {{ china_date('subjects.known_at') }} as as_of,
    subjects.value_kind
from subjects
left join contested on contested.subject_id = subjects.subject_id
left join sections on sections.industry_code = of_industry_section.industry_section
