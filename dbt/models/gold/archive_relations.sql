-- One row for each other party that a market subject has to do with: who holds its shares, whose it holds, its branches, whose branch it is.
--
-- A record of a share or of a branch is told of both its ends (two events of the timeline), so each end has a row of its own. Of changes of one holding
-- the last tells what is held; a change that ends it leaves the row. Which subject the other end is follows the parties, as it is known now: one that
-- is named by several codes or names is one.
{{ config(
    pre_hook="{% if is_incremental() %}{{ take_out(this, touched_subjects(), 'subject_id', '') }}{% endif %}"
) }}

{% set of_owner = event_is('shareholders', '股东出资变动') %}
{% set of_parent = event_is('branches', '设立分支机构') %}

with mine as (
    select subject_id, event_feed, event_number, record_ref, delivery_id, row_number, known_at, value_kind
    from {{ told_of('archive_relations') }}
),

party as (
    select party_key, is_trusted, subject_id
    from {{ source('silver_tables', 'party') }}
),

ends as (
    select
        mine.subject_id,
        case when {{ of_owner }} then 'shareholder' else 'investment' end as relation_kind,
        -- A person stays a person, also with a company's code beside.
        case when not {{ of_owner }} then said.subject_party when not coalesce(said.shareholder_kind rlike '自然人|个人', false) then said.shareholder_party end as other_party,
        case when {{ of_owner }} then concat_ws('/', said.shareholder_id_digest, said.shareholder_name) end as somebody,
        case when {{ of_owner }} then said.shareholder_name else said.subject_name end as name,
        said.shareholder_kind,
        said.takes_effect_on as happened_on,
        said.holding_change_kind,
        said.subscribed_amount,
        said.paid_amount,
        said.holding_ratio,
        {{ ends_a_holding('said.holding_change_kind') }} as is_over,
        mine.record_ref,
        delivery_id,
        row_number,
        mine.known_at,
        mine.value_kind
    from {{ mine_with_records('shareholders') }}
    union all
    select
        mine.subject_id,
        case when {{ of_parent }} then 'branch' else 'parent' end as relation_kind,
        case when {{ of_parent }} then said.branch_party else said.subject_party end as other_party,
        case when {{ of_parent }} then said.branch_name else said.subject_name end as somebody,
        case when {{ of_parent }} then said.branch_name else said.subject_name end as name,
        cast(null as string) as shareholder_kind,
        said.established_on as happened_on,
        cast(null as string) as holding_change_kind,
        cast(null as decimal(20, 2)) as subscribed_amount,
        cast(null as decimal(20, 2)) as paid_amount,
        cast(null as decimal(9, 6)) as holding_ratio,
        false as is_over,
        mine.record_ref,
        delivery_id,
        row_number,
        mine.known_at,
        mine.value_kind
    from {{ mine_with_records('branches') }}
),

said as (
    select
        ends.*,
        party.subject_id as other_subject_id,
        -- Who holds a share and has no code that passes its checks may be a person.
        relation_kind = 'shareholder' and not coalesce(party.is_trusted, false) as may_be_person,
        -- Persons are told apart by what is known of them, which goes no further than this.
        coalesce(party.subject_id, other_party, somebody) as other
    from ends
    left join party on party.party_key = ends.other_party
),

relations as (
    select
        subject_id,
        relation_kind,
        other,
        other_subject_id,
        min(record_ref) as record_ref,
        -- Of changes of one day one that ends the holding is the last.
        max(struct(
            happened_on, is_over, delivery_id, row_number,
            name, may_be_person, shareholder_kind, holding_change_kind, subscribed_amount, paid_amount, holding_ratio
        )) as last,
        min(happened_on) as related_since,
        max(known_at) as known_at,
        max(value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from said
    group by subject_id, relation_kind, other, other_subject_id
)

select
    subject_id,
    relation_kind,
    record_ref,
    other_subject_id,
    case when not last.may_be_person then last.name end as other_name,
    case when last.may_be_person then last.name end as shareholder_name,
    last.shareholder_kind,
    related_since,
    last.happened_on as last_changed_on,
    last.holding_change_kind,
    last.subscribed_amount,
    last.paid_amount,
    last.holding_ratio,
    not last.is_over as is_current,
    known_at,
    {{ write_number() }} as write_number,
    {{ china_date('known_at') }} as as_of,
    value_kind
from relations
