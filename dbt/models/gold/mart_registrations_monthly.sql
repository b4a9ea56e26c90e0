-- Market subjects by month of registration, district of the address, category, type and industry section.
--
-- Only months in which a changed subject is or was counted are built anew: taken out, then put in again.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, changed_months(), 'registration_month', 'date') }}{% endif %}"
) }}

with subjects as (
    select {{ few('changed') }} *, cast(trunc(registration_date, 'MM') as date) as month
    from {{ ref('archive_subject') }}
    {% if is_incremental() %}
    left semi join {{ changed_months() }} as changed on cast(trunc(registration_date, 'MM') as date) = changed.registration_month
    {% endif %}
)

select
    month as registration_month,
    max(district_code) as district_code,
    district_name,
    subject_category,
    coalesce(enterprise_type, '未填写') as enterprise_type,
    max(industry_section) as industry_section,
    industry_section_name,
    count(*) as subjects,
    count(registered_capital) as subjects_with_capital,
    cast(sum(registered_capital) as decimal(28, 2)) as registered_capital_total,
    count_if(size(quality_marks) > 0) as marked_subjects,
    max(as_of) as as_of,
    -- The weakest of what went in; a section told by the name, or money converted by a yearly rate, is an estimate.
    case
        when bool_or(value_kind = 'simulated') then 'simulated'
        when bool_or(industry_basis = 'name' or capital_status = 'converted') then 'estimated'
        else 'observed'
    end as value_kind
from subjects
group by month, district_name, subject_category, coalesce(enterprise_type, '未填写'), industry_section_name
