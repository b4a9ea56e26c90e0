-- One row for each individual trader and private enterprise: whether it is still there, what it last reported, how it stands, what it became.
--
-- That a trader became an enterprise is presumed of two at one address whose operator and legal representative bear one name, where the enterprise was
-- registered from 30 days before the trader left until 180 days after. No register says so, and counted apart they are a death and a birth.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, private_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{% set counted = {
    'penalties_count': event_is('penalties', '行政处罚'),
    'complaints_count': event_is('complaints', '被投诉举报'),
    'marks_applied_count': event_is('trademark_applications', '申请商标'),
} %}

with subjects as (
    select
        subject_id, subject_name, subject_category, legal_representative, registration_date, registered_capital,
        district_code, supervising_district_code, district_name, industry_section_name, known_at, value_kind
    from {{ ref('archive_subject') }}
    where subject_category = 'individual' or (subject_category = 'enterprise' and ownership_group = 'private')
),

touched as (
    {{ 'select subject_id from ' ~ private_subjects() if is_incremental() else 'select subject_id from subjects' }}
),

private as (
    select {{ few('touched') }} * from subjects
    left semi join touched using (subject_id)
),

mine as (
    select {{ few('touched') }} subject_id, event_feed, event_number, delivery_id, row_number, known_at, value_kind
    from {{ ref('archive_timeline') }}
    left semi join touched using (subject_id)
    where is_standing and event_feed in ('annual_reports', 'penalties', 'complaints', 'trademark_applications')
),

events as (
    select
        subject_id,
        {% for name, condition in counted.items() %}
        cast(count_if({{ condition }}) as int) as {{ name }},
        {% endfor %}
        max(known_at) as known_at,
        max(value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from mine
    group by subject_id
),

reports as (
    select
        subject_id,
        max(struct(
            said.report_year, said.reported_on, said.operating_status,
            case when said.employees_public then said.employees end as employees
        )) as last
    from {{ mine_with_records('annual_reports') }}
    group by subject_id
),

exits as (
    select subject_id, exit_status, ended_on
    from {{ ref('archive_exit') }}
),

-- Two at one address, a trader that has left and an enterprise, told of both.
conversions as (
    select
        trader.subject_id as trader_id,
        trader.subject_name as trader_name,
        firm.subject_id as firm_id,
        firm.subject_name as firm_name,
        abs(datediff(firm.registration_date, exits.ended_on)) as days_apart
    from (
        select subject_id, explode(common_subject_ids) as other_id
        from {{ ref('archive_links') }}
        left semi join touched using (subject_id)
        where common_kind = 'same_address' and common_subject_ids is not null
    ) as at_one_address
    inner join subjects as trader on trader.subject_id = at_one_address.subject_id and trader.subject_category = 'individual'
    inner join exits on exits.subject_id = trader.subject_id
    inner join subjects as firm on firm.subject_id = at_one_address.other_id and firm.subject_category = 'enterprise'
    where
        trader.legal_representative = firm.legal_representative
        and firm.registration_date between date_sub(exits.ended_on, 30) and date_add(exits.ended_on, 180)
),

became as (
    select trader_id, min(struct(days_apart, firm_id, firm_name)) as firm
    from conversions
    group by trader_id
),

was as (
    select firm_id, min(struct(days_apart, trader_id, trader_name)) as trader
    from conversions
    group by firm_id
)

select
    private.subject_id,
    case when private.subject_category = 'individual' then 'individual' else 'private' end as private_kind,
    private.subject_name,
    private.registration_date,
    private.registered_capital,
    private.district_code,
    private.supervising_district_code,
    private.district_name,
    private.industry_section_name,
    exits.exit_status,
    exits.ended_on,
    last.report_year as last_report_year,
    last.reported_on as last_reported_on,
    last.operating_status as last_report_status,
    last.employees as public_employees,
    coalesce(credit.is_abnormal, false) as is_abnormal,
    coalesce(credit.is_marked, false) as is_marked,
    {% for name in counted %}
    coalesce({{ name }}, 0) as {{ name }},
    {% endfor %}
    trader.trader_id as converted_from_id,
    trader.trader_name as converted_from_name,
    firm.firm_id as converted_into_id,
    firm.firm_name as converted_into_name,
    greatest(private.known_at, events.known_at) as known_at,
    {{ write_number() }} as write_number,
    {{ china_date('greatest(private.known_at, events.known_at)') }} as as_of,
    greatest(private.value_kind, events.value_kind) as value_kind
from private
left join events on events.subject_id = private.subject_id
left join reports on reports.subject_id = private.subject_id
left join exits on exits.subject_id = private.subject_id
left join (select subject_id, is_abnormal, is_marked from {{ ref('archive_credit') }}) as credit on credit.subject_id = private.subject_id
left join became on became.trader_id = private.subject_id
left join was on was.firm_id = private.subject_id
