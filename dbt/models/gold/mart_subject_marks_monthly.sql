-- Market subjects with a quality mark, by month of registration, district of the address, category and mark.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, changed_months(), 'registration_month', 'date') }}{% endif %}"
) }}

with marked as (
    select {{ few('changed') }}
        cast(trunc(registration_date, 'MM') as date) as month,
        district_code, district_name, subject_category, as_of, value_kind,
        explode(quality_marks) as mark
    from {{ ref('archive_subject') }}
    {% if is_incremental() %}
    left semi join {{ changed_months() }} as changed on cast(trunc(registration_date, 'MM') as date) = changed.registration_month
    {% endif %}
)

select
    marked.month as registration_month,
    max(marked.district_code) as district_code,
    marked.district_name,
    marked.subject_category,
    marked.mark,
    max(rules.rule_description) as mark_name,
    max(rules.dimension) as dimension,
    count(*) as subjects,
    max(marked.as_of) as as_of,
    max(marked.value_kind) as value_kind  -- 'simulated' sorts after 'observed'
from marked
inner join {{ source('silver_tables', 'ref_quality_rule') }} as rules
    on rules.feed = 'registration_subjects' and rules.rule_id = marked.mark
group by marked.month, marked.district_name, marked.subject_category, marked.mark
