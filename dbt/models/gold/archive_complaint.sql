-- One row for each demand (complaint, report, question) about a market subject: what it is about, how it was handled, how it ended.
--
-- Whose it is and which statement stands is taken from the timeline, where steps follow the demand of their number. Nothing of who made the demand.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, touched_subjects(), 'subject_id', '') }}{% endif %}"
) }}

with mine as (
    select distinct subject_id, event_feed, delivery_id, row_number, known_at, value_kind
    from {{ told_of('archive_complaint') }}
),

steps as (
    select
        subject_id,
        demand_number,
        max(struct(handled_on, closes, number, delivery_id, row_number, demand_step, step_result)) as last,
        max_by(handling_office, struct(handled_on, closes, number, delivery_id, row_number)) filter (where handling_office is not null) as handling_office,
        min(handled_on) filter (where closes) as closed_on,
        cast(count(*) as int) as step_count,
        -- What was got back stands in the step that ends the mediation; a later one states the same again.
        max(recovered_amount) as recovered_amount,
        max(known_at) as known_at,
        max(value_kind) as value_kind
    from (
        select
            subject_id, delivery_id, row_number, mine.known_at, mine.value_kind, demand_number, demand_step, step_result, handled_on, handling_office, recovered_amount,
            {{ sequence('step_sequence') }} as number,
            {{ is_closing('demand_step') }} or coalesce(step_result = '不予受理', false) as closes
        from {{ mine_with_records('complaint_steps') }}
    )
    group by subject_id, demand_number
),

demands as (
    select
        subject_id, demand_number, {{ china_date('lodged_at') }} as lodged_on, demand_kind, object_kind, object_category, problem_kind, disputed_amount,
        mine.known_at, mine.value_kind
    from {{ mine_with_records('complaints') }}
)

select
    subject_id,
    demand_number,
    d.lodged_on,
    d.demand_kind,
    d.object_kind,
    d.object_category,
    d.problem_kind,
    d.disputed_amount,
    s.handling_office,
    s.last.demand_step as last_step,
    s.last.step_result as last_result,
    s.last.handled_on as last_step_on,
    coalesce(s.step_count, 0) as step_count,
    s.closed_on is null as is_open,
    s.closed_on,
    cast(datediff(s.closed_on, d.lodged_on) as int) as days_to_close,
    s.recovered_amount,
    greatest(d.known_at, s.known_at) as known_at,
    {{ write_number() }} as write_number,
    {{ china_date('greatest(d.known_at, s.known_at)') }} as as_of,
    greatest(d.value_kind, s.value_kind) as value_kind
from demands as d
left join steps as s using (subject_id, demand_number)
