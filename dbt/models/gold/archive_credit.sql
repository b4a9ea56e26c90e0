-- One row for each market subject of which something is on record about its credit: lists, marks, repairs, courts, other departments' penalties.
--
-- From the timeline's standing events. A listing that has not ended is one whose record says no removal; dates are those of the records.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, touched_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{% set lists = {
    'abnormal': ('abnormal_list', '列入经营异常名录', '移出经营异常名录'),
    'marked': ('individual_marks', '标记为经营异常（个体工商户）', '恢复正常记载（个体工商户）'),
    'serious': ('serious_list', '列入严重违法失信名单', '移出严重违法失信名单'),
} %}
{% set counted = {
    'repairs_applied': event_is('credit_repairs', '申请信用修复'),
    'repairs_decided': event_is('credit_repairs', '信用修复决定'),
    'court_cases': event_is('court_enforcement', '列为被执行人'),
    'other_penalties_count': event_is('other_penalties', '其他部门行政处罚'),
} %}

with events as (
    select * from {{ told_of('archive_credit') }}
),

-- A listing is one record: the day it began, and the day it ended.
records as (
    select
        subject_id,
        {% for name, (feed, begins, ends) in lists.items() %}
        max(struct(occurred_on, event_summary)) filter (where {{ event_is(feed, begins) }}) as {{ name }},
        max(occurred_on) filter (where {{ event_is(feed, ends) }}) as {{ name }}_ended,
        {% endfor %}
        {% for name, condition in counted.items() %}
        count_if({{ condition }}) as {{ name }},
        {% endfor %}
        max(occurred_on) as last_on,
        max(known_at) as known_at,
        max(value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from events
    group by subject_id, event_feed, record_ref
)

select
    subject_id,
    {% for name in lists %}
    max({{ name }} is not null and {{ name }}_ended is null) as is_{{ name }},
    min({{ name }}.occurred_on) filter (where {{ name }}_ended is null) as {{ name }}_since,
    (max({{ name }}) filter (where {{ name }}_ended is null)).event_summary as {{ name }}_reason,
    cast(count({{ name }}) as int) as times_{{ name }},
    max({{ name }}_ended) as {{ name }}_ended_on,
    {% endfor %}
    {% for name in counted %}
    cast(sum({{ name }}) as int) as {{ name }},
    {% endfor %}
    max(last_on) as last_credit_event_on,
    max(known_at) as known_at,
    {{ write_number() }} as write_number,
    {{ china_date('max(known_at)') }} as as_of,
    max(value_kind) as value_kind
from records
group by subject_id
