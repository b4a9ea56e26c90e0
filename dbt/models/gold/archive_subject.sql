-- One row for each market subject: its current state, from all records that make up its history.
--
-- Only the subjects that a run has changed are built anew: their rows are taken out and put in again, so that an id that is no longer
-- in use leaves too. Readers are on the released version meanwhile.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, changed_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{% set latest = ['credit_code', 'registration_number', 'identifier_kind', 'identifier_check', 'subject_name', 'quality_marks'] %}
{# Columns that belong together, and where a record says something about them. #}
{% set stated = {
    'kind': (['enterprise_type', 'enterprise_type_code'], 'enterprise_type is not null'),
    'category': (['subject_category', 'category_basis'], "subject_category <> 'unknown'"),
    'ownership': (['ownership_group'], "ownership_group <> 'unknown'"),
    'representative': (['legal_representative'], 'legal_representative is not null'),
    'capital': (['registered_capital_text', 'registered_capital', 'capital_amount', 'capital_unit', 'capital_currency', 'capital_rate', 'capital_rate_year', 'capital_status'], "capital_status <> 'not_stated'"),
    'industry': (['industry_section', 'industry_basis'], 'industry_section is not null'),
    'registrar': (['registration_authority'], 'registration_authority is not null'),
    'supervisor': (['supervising_authority', 'supervising_district_code'], 'supervising_authority is not null'),
    'place': (['registered_address', 'district_code', 'district_name', 'district_confidence', 'district_reason'], 'registered_address is not null'),
    'scope': (['business_scope', 'scope_truncated'], 'business_scope is not null'),
    'province': (['province_name'], 'province_name is not null'),
    'region': (['region_name'], 'region_name is not null'),
} %}

with facts as (
    select *
    from {{ source('silver_tables', 'subject_registration') }}
    where
        fact_outcome = 'applied'
        {% if is_incremental() %}
        and subject_id in {{ changed_subjects() }}
        {% endif %}
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
        max_by(registration_date, effective_from) as registration_date,
        {% for name, (columns, condition) in stated.items() %}
        {{ last_stated(columns, condition) }} as {{ name }},
        {% endfor %}
        -- In the order in which they came into use, each once.
        array_distinct(transform(array_sort(collect_list(struct(effective_from, subject_name))), used -> used.subject_name)) as names,
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
        registration_date,
        {% for name, (columns, condition) in stated.items() %}
        case when {{ condition }} then struct({{ columns | join(', ') }}) end as {{ name }},
        {% endfor %}
        array(subject_name) as names,
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
    latest.credit_code as credit_code,
    latest.registration_number as registration_number,
    latest.identifier_kind as identifier_kind,
    latest.identifier_check as identifier_check,
    subjects.registration_date,
    kind.enterprise_type as enterprise_type,
    kind.enterprise_type_code as enterprise_type_code,
    coalesce(category.subject_category, 'unknown') as subject_category,
    coalesce(category.category_basis, 'unknown') as category_basis,
    coalesce(ownership.ownership_group, 'unknown') as ownership_group,
    representative.legal_representative as legal_representative,
    capital.registered_capital_text as registered_capital_text,
    capital.registered_capital as registered_capital,
    capital.capital_amount as capital_amount,
    capital.capital_unit as capital_unit,
    capital.capital_currency as capital_currency,
    capital.capital_rate as capital_rate,
    capital.capital_rate_year as capital_rate_year,
    coalesce(capital.capital_status, 'not_stated') as capital_status,
    industry.industry_section as industry_section,
    coalesce(sections.industry_title, '未分配') as industry_section_name,
    coalesce(industry.industry_basis, 'unassigned') as industry_basis,
    registrar.registration_authority as registration_authority,
    supervisor.supervising_authority as supervising_authority,
    supervisor.supervising_district_code as supervising_district_code,
    place.registered_address as registered_address,
    place.district_code as district_code,
    coalesce(place.district_name, '未分配') as district_name,
    coalesce(place.district_confidence, 'unassigned') as district_confidence,
    case when place is null then 'no_address' else place.district_reason end as district_reason,
    scope.business_scope as business_scope,
    coalesce(scope.scope_truncated, false) as scope_truncated,
    province.province_name as province_name,
    region.region_name as region_name,
    latest.quality_marks as quality_marks,
    contested.subject_id is not null as is_contested,
    array_remove(names, latest.subject_name) as former_names,
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
left join sections on sections.industry_code = industry.industry_section
