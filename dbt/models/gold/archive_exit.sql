-- One row for each market subject of which an exit is on record: whether it has left the register, when and how, or was struck off without having left.
--
-- A restoration undoes what came until its day. Of several exits since, the first counts: who has left can't leave again.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, touched_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{% set ends = "exit_kind in ('deregistered', 'compulsory', 'annulled', 'moved_out')" %}
{% set revokes = "exit_kind in ('revoked', 'closed')" %}

with mine as (
    select subject_id, event_feed, delivery_id, row_number, known_at, value_kind
    from {{ told_of('archive_exit') }}
),

statements as (
    select
        subject_id,
        said.exited_on,
        said.exit_kind,
        said.exit_reason,
        max(case when said.exit_kind = 'restored' then said.exited_on end) over (partition by subject_id) as restored_on,
        mine.known_at,
        mine.value_kind
    from {{ mine_with_records('registration_cancellations') }}
),

subjects as (
    select
        subject_id,
        min(struct(exited_on, exit_kind, exit_reason)) filter (where {{ ends }} and (restored_on is null or exited_on > restored_on)) as ended,
        min(struct(exited_on, exit_kind, exit_reason)) filter (where {{ revokes }} and (restored_on is null or exited_on > restored_on)) as revoked,
        cast(count_if(exit_kind = 'restored') as int) as times_restored,
        max(exited_on) as last_exit_event_on,
        max(known_at) as known_at,
        max(value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from statements
    group by subject_id
)

select
    subject_id,
    case when ended is not null then 'ended' when revoked is not null then 'revoked' when times_restored > 0 then 'restored' else 'unclear' end as exit_status,
    ended.exited_on as ended_on,
    ended.exit_kind as end_kind,
    revoked.exited_on as revoked_on,
    revoked.exit_kind as revocation_kind,
    coalesce(ended.exit_reason, revoked.exit_reason) as exit_reason,
    times_restored,
    last_exit_event_on,
    known_at,
    {{ write_number() }} as write_number,
    {{ china_date('known_at') }} as as_of,
    value_kind
from subjects
