-- Market subjects that have left, or were struck off, by month, way, district of the address, category and industry section.
--
-- Of whoever is on the register: an exit of a code that the register never had is in the archive of exits, and takes nobody out of the stock.
-- Only months in which a changed subject is or was counted are built anew: taken out, then put in again.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, changed_exit_months(), 'exit_month', 'date') }}{% endif %}"
) }}

with exits as (
    select subject_id, ended_on as exited_on, end_kind as exit_kind, as_of, value_kind
    from {{ ref('archive_exit') }}
    where ended_on is not null
    union all
    select subject_id, revoked_on, revocation_kind, as_of, value_kind
    from {{ ref('archive_exit') }}
    where revoked_on is not null
),

counted as (
    select {{ few('changed') }} *, cast(trunc(exited_on, 'MM') as date) as month
    from exits
    {% if is_incremental() %}
    left semi join {{ changed_exit_months() }} as changed on cast(trunc(exited_on, 'MM') as date) = changed.exit_month
    {% endif %}
),

subjects as (
    select subject_id, district_code, district_name, subject_category, industry_section, industry_section_name, industry_basis, as_of, value_kind
    from {{ ref('archive_subject') }}
)

select
    counted.month as exit_month,
    counted.exit_kind,
    max(subjects.district_code) as district_code,
    subjects.district_name,
    subjects.subject_category,
    max(subjects.industry_section) as industry_section,
    subjects.industry_section_name,
    count(*) as subjects,
    max(greatest(counted.as_of, subjects.as_of)) as as_of,
    -- The weakest of what went in; a section told by the name is an estimate.
    case
        when bool_or('simulated' in (counted.value_kind, subjects.value_kind)) then 'simulated'
        when bool_or(subjects.industry_basis = 'name') then 'estimated'
        else 'observed'
    end as value_kind
from counted
inner join subjects on subjects.subject_id = counted.subject_id
group by counted.month, counted.exit_kind, subjects.district_name, subjects.subject_category, subjects.industry_section_name
