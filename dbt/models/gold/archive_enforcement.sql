-- One row for each matter of supervision and enforcement that a market subject has on record: a case with its steps and the penalties decided in it,
-- a penalty whose case is not on record, an inspection with its result.
--
-- Whose a record is and which statement of it stands is taken from the timeline; its columns from the records.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, touched_subjects(), 'subject_id', '') }}{% endif %}"
) }}

with mine as (
    select distinct subject_id, event_feed, delivery_id, row_number, known_at, value_kind
    from {{ told_of('archive_enforcement') }}
),

-- Of steps of one day that which closes the case is the later one.
steps as (
    select
        subject_id, case_number, case_step, stepped_on, case_cause, handling_office,
        struct(stepped_on, {{ is_closing('case_step') }} as closes, {{ sequence('step_sequence') }} as number, case_step, delivery_id, row_number) as place,
        mine.known_at,
        mine.value_kind
    from {{ mine_with_records('enforcement_cases') }}
),

cases as (
    select
        subject_id,
        case_number,
        min(stepped_on) as began_on,
        max(place) as last,
        max_by(case_cause, place) filter (where case_cause is not null) as case_cause,
        max_by(handling_office, place) filter (where handling_office is not null) as handling_office,
        concat_ws('；', transform(array_sort(collect_list(place)), s -> concat(s.stepped_on, ' ', s.case_step))) as steps,
        max(place.closes) as is_closed,
        max(known_at) as known_at,
        max(value_kind) as value_kind
    from steps
    group by subject_id, case_number
),

-- What was decided against the subject in one case; a decision that names no case is a matter of its own.
decisions as (
    select
        subject_id,
        case_number,
        case when case_number is null then decision_number end as alone,
        concat_ws('；', array_sort(collect_set(decision_number))) as decision_list,
        concat_ws('；', array_sort(collect_set(penalty_kind))) as penalty_list,
        max_by(violation_kind, struct(decided_on, decision_number, delivery_id, row_number)) filter (where violation_kind is not null) as violation_kind,
        max(decided_on) as decided_on,
        min(decided_on) as first_decided_on,
        max(published_until) as published_until,
        cast(count(*) as int) as decision_count,
        cast(sum(fine_amount) as decimal(20, 2)) as fine_amount,
        cast(sum(confiscated_amount) as decimal(20, 2)) as confiscated_amount,
        max(mine.known_at) as known_at,
        max(mine.value_kind) as value_kind
    from {{ mine_with_records('penalties') }}
    group by subject_id, case_number, case when case_number is null then decision_number end
),

matters as (
    select
        subject_id,
        case when c.case_number is not null then 'case' else 'penalty' end as matter_kind,
        coalesce(c.case_number, d.decision_list) as matter_number,
        coalesce(c.case_cause, d.violation_kind) as matter_cause,
        c.handling_office,
        least(c.began_on, d.first_decided_on) as began_on,
        coalesce(c.last.case_step, '处罚决定') as last_step,
        coalesce(c.last.stepped_on, d.decided_on) as last_step_on,
        c.steps as matter_steps,
        coalesce(not c.is_closed, false) as is_open,
        cast(null as string) as inspection_result,
        coalesce(d.decision_count, 0) as decision_count,
        d.decision_list,
        d.penalty_list,
        d.decided_on,
        d.published_until,
        d.fine_amount,
        d.confiscated_amount,
        greatest(c.known_at, d.known_at) as known_at,
        greatest(c.value_kind, d.value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from cases as c
    full outer join decisions as d using (subject_id, case_number)
    union all
    select
        subject_id,
        'inspection' as matter_kind,
        task_number as matter_number,
        max(struct(inspected_on, delivery_id, row_number, plan_number, inspection_result)).plan_number as matter_cause,
        cast(null as string) as handling_office,
        min(inspected_on) as began_on,
        '检查' as last_step,
        max(inspected_on) as last_step_on,
        cast(null as string) as matter_steps,
        false as is_open,
        max(struct(inspected_on, delivery_id, row_number, plan_number, inspection_result)).inspection_result as inspection_result,
        0 as decision_count,
        cast(null as string) as decision_list,
        cast(null as string) as penalty_list,
        cast(null as date) as decided_on,
        cast(null as date) as published_until,
        cast(null as decimal(20, 2)) as fine_amount,
        cast(null as decimal(20, 2)) as confiscated_amount,
        max(mine.known_at) as known_at,
        max(mine.value_kind) as value_kind
    from {{ mine_with_records('inspection_results') }}
    group by subject_id, task_number
)

select *, {{ write_number() }} as write_number, {{ china_date('known_at') }} as as_of
from matters
