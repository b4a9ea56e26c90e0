-- One row for each mark and class that a market subject has applied for, holds or held: its course from the application on.
--
-- A mark keeps its number from the application on. Decisions and transfers that name no class count for each class of the mark.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, touched_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{# What a review reviews is of its kind; of each kind the last decision on the whole mark counts (spark_jobs/trademark/validity.py reads the words). #}
{% set kinds = ['异议', '无效', '撤销', '注销', '其他'] %}

with mine as (
    select subject_id, event_feed, event_number, delivery_id, row_number, known_at, value_kind
    from {{ told_of('archive_property') }}
),

stages as (
    select
        subject_id, application_number as mark_number, coalesce(nice_class, 0) as nice_class, trademark_name, agent_name, applied_on,
        cast(null as date) as preliminarily_published_on, cast(null as date) as mark_registered_on, cast(null as date) as exclusive_until, mine.known_at, mine.value_kind
    from {{ mine_with_records('trademark_applications') }}
    union all
    select
        subject_id, application_number, coalesce(nice_class, 0), trademark_name, agent_name, cast(null as date),
        preliminarily_published_on, cast(null as date), cast(null as date), mine.known_at, mine.value_kind
    from {{ mine_with_records('trademark_publications') }}
    union all
    select
        subject_id, mark_registration_number, coalesce(nice_class, 0), trademark_name, cast(null as string), cast(null as date),
        cast(null as date), registration_published_on, exclusive_until, mine.known_at, mine.value_kind
    from {{ mine_with_records('trademark_registrations') }}
),

-- Of whomever they are told: a mark that went to somebody else ends for them, too.
decisions as (
    select
        said.application_number as mark_number,
        said.nice_class as of_class,
        struct(said.decided_on, said.mark_procedure, delivery_id, row_number, said.decision_result) as decision,
        effect.procedure_kind,
        effect.ends_mark,
        told.known_at,
        told.value_kind
    from (
        select distinct delivery_id, row_number, known_at, value_kind
        from {{ ref('archive_timeline') }}
        where event_feed = 'trademark_outcomes' and is_standing
    ) as told
    inner join {{ records('trademark_outcomes') }} as said using (delivery_id, row_number)
    left join {{ decision_effects() }} as effect
        on effect.mark_procedure <=> said.mark_procedure and effect.decision_result <=> said.decision_result
),

transfers as (
    select
        subject_id,
        mark_registration_number as mark_number,
        max(gazetted_on) filter (where {{ event_is('trademark_renewals', '商标续展转让（现注册人）') }}) as taken_on,
        max(gazetted_on) filter (where {{ event_is('trademark_renewals', '商标续展转让（原注册人）') }}) as given_on,
        max(said.exclusive_until) as exclusive_until,
        max(mine.known_at) as known_at,
        max(mine.value_kind) as value_kind
    from {{ mine_with_records('trademark_renewals') }}
    group by subject_id, mark_registration_number
),

marks as (
    select
        subject_id,
        mark_number,
        nice_class,
        max(trademark_name) as trademark_name,
        max(agent_name) as agent_name,
        min(applied_on) as applied_on,
        min(preliminarily_published_on) as preliminarily_published_on,
        min(mark_registered_on) as mark_registered_on,
        max(exclusive_until) as exclusive_until,
        max(known_at) as known_at,
        max(value_kind) as value_kind
    from stages
    group by subject_id, mark_number, nice_class
    union all
    -- Of a mark that came to the subject later nothing else may be on record.
    select subject_id, mark_number, 0, null, null, null, null, null, null, known_at, value_kind
    from transfers
    left anti join stages using (subject_id, mark_number)
),

told as (
    select
        marks.subject_id,
        marks.mark_number,
        marks.nice_class,
        max(trademark_name) as trademark_name,
        max(agent_name) as agent_name,
        max(applied_on) as applied_on,
        max(preliminarily_published_on) as preliminarily_published_on,
        max(mark_registered_on) as mark_registered_on,
        max(greatest(marks.exclusive_until, t.exclusive_until)) as exclusive_until,
        max(t.taken_on) as taken_on,
        max(t.given_on) as given_on,
        max(d.decision) as last,
        -- A registration that came later than a decision says that the mark did not end there.
        {% for kind in kinds -%}
        coalesce(
            max_by(d.ends_mark, d.decision) filter (where d.ends_mark is not null and d.procedure_kind = '{{ kind }}')
            and max(d.decision.decided_on) filter (where d.ends_mark is not null and d.procedure_kind = '{{ kind }}')
            >= coalesce(max(mark_registered_on), date '0001-01-01'), false
        ){{ ' or ' if not loop.last }}
        {%- endfor %} as is_ended,
        max(greatest(marks.known_at, t.known_at, d.known_at)) as known_at,
        max(greatest(marks.value_kind, t.value_kind, d.value_kind)) as value_kind
    from marks
    left join transfers as t on marks.subject_id = t.subject_id and marks.mark_number = t.mark_number
    left join decisions as d
        on marks.mark_number = d.mark_number and (d.of_class is null or d.of_class = marks.nice_class)
    group by marks.subject_id, marks.mark_number, marks.nice_class
)

select
    subject_id,
    mark_number,
    nice_class,
    trademark_name,
    agent_name,
    applied_on,
    preliminarily_published_on,
    mark_registered_on,
    exclusive_until,
    -- A mark that went from the subject to itself, as when it is renewed, is still its own.
    coalesce(given_on is null or taken_on >= given_on, false) as is_holder,
    given_on,
    taken_on,
    case
        when is_ended then 'ended'
        when mark_registered_on is not null or taken_on is not null or given_on is not null then 'registered'
        when preliminarily_published_on is not null then 'published'
        else 'applied'
    end as mark_state,
    last.mark_procedure as last_procedure,
    last.decision_result as last_decision,
    last.decided_on as last_decided_on,
    known_at,
    {{ write_number() }} as write_number,
    {{ china_date('known_at') }} as as_of,
    value_kind
from told
