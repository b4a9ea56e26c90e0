-- Everything that the feeds' records say of a market subject, one row for each event that a row of a record states.
--
-- All statements of a record are here, also those that no longer stand: what was known on a day is then a question about rows. A run builds
-- anew the records of which it wrote a row, and the register's events of the subjects that it changed; where only the subject of a party
-- has changed, its rows are given the other one.
{{ config(
    pre_hook=[
        "{% if is_incremental() %}{{ take_out_records(this) }}{% endif %}",
        "{% if is_incremental() %}{{ take_out(this, changed_subjects(), 'subject_id', '', also=\"event_feed = 'registration_subjects'\") }}{% endif %}",
        "{% if is_incremental() %}{{ move_parties(this) }}{% endif %}",
    ]
) }}

{% set shown = ['subject_name', 'enterprise_type', 'registered_capital_text', 'registered_address', 'business_scope'] %}
{# What the statements are made of, for whoever reads dbt's lineage. #}
{% if not execute %}{% for feed in timeline_feeds() %}{{ source('silver_tables', feed.name) }} {% endfor %}{% endif %}

with statements as (
    select * from {{ told_statements() }}
),

several as (
    select record_id
    from statements
    group by record_id
    having count(*) > 1
),

-- Most records are stated once: they need no order.
ranked as (
    select
        statements.* except (record_id, content_hash, statement_order),
        min(struct(delivery_id, row_number)) over (partition by record_id) as first_row,
        dense_rank() over (partition by record_id order by effective_from, statement_order, content_hash) as statement_rank,
        max(struct(effective_from, statement_order, content_hash)) over (partition by record_id)
            = struct(effective_from, statement_order, content_hash) as is_last,
        -- Of copies of one statement the first that came is shown as standing.
        row_number() over (partition by record_id, effective_from, statement_order, content_hash order by known_at, delivery_id, row_number) = 1 as is_first_copy,
        max(size(events)) over (partition by record_id) > 0 as is_told
    from statements
    left semi join several using (record_id)
    union all
    select
        statements.* except (record_id, content_hash, statement_order),
        struct(delivery_id, row_number) as first_row,
        1 as statement_rank,
        true as is_last,
        true as is_first_copy,
        size(events) > 0 as is_told
    from statements
    left anti join several using (record_id)
),

of_records as (
    select
        event_feed,
        delivery_id,
        row_number,
        coalesce(event.number, 0) as event_number,
        party.subject_id,
        event.party_key,
        party.party_basis,
        event.section as archive_section,
        event.event as event_name,
        event.occurred_on,
        event.matter as matter_number,
        event.summary as event_summary,
        is_last and is_first_copy and fact_state = 'active' and event is not null as is_standing,
        concat(first_row.delivery_id, '/', first_row.row_number) as record_ref,
        statement_rank,
        fact_state,
        effective_from,
        known_at,
        value_kind
    from (
        select * except (events), event
        from ranked
        -- A statement without an event may end one of an earlier statement; where the record never told of any, it is left out.
        lateral view outer explode(events) as event
        where is_told
    )
    left join {{ source('silver_tables', 'party') }} as party on party.party_key = event.party_key
),

facts as (
    select
        subject_id, {{ shown | join(', ') }}, registration_date,
        delivery_id, row_number, effective_from, known_at, value_kind,
        row_number() over (partition by subject_id order by effective_from) as number,
        -- A record that leaves a thing out says nothing about it.
        {% for column in shown %}
        lag({{ column }}) ignore nulls over (partition by subject_id order by effective_from) as {{ column }}_before{{ ',' if not loop.last }}
        {% endfor %}
    from {{ 'changed_fact' if is_incremental() else source('silver_tables', 'subject_registration') }}
    where fact_outcome = 'applied'
),

told as (
    select
        *,
        concat_ws('；',
            case when subject_name <> subject_name_before then concat('名称：', subject_name_before, ' → ', subject_name) end,
            case when enterprise_type <> enterprise_type_before then concat('类型：', enterprise_type_before, ' → ', enterprise_type) end,
            case when registered_capital_text <> registered_capital_text_before
                then concat('注册资金：', registered_capital_text_before, ' → ', registered_capital_text) end,
            case when registered_address <> registered_address_before then '住所有变' end,
            case when business_scope <> business_scope_before then '经营范围有变' end
        ) as changes
    from facts
)

select *, {{ write_number() }} as write_number, {{ china_date('known_at') }} as as_of
from of_records
union all
select
    'registration_subjects' as event_feed,
    delivery_id,
    row_number,
    0 as event_number,
    subject_id,
    cast(null as string) as party_key,
    cast(null as string) as party_basis,
    'registration' as archive_section,
    case when number = 1 then '设立登记' else '登记信息更新' end as event_name,
    case when number = 1 then registration_date else effective_from end as occurred_on,
    cast(null as string) as matter_number,
    case when number = 1 then concat_ws('；', concat('名称：', subject_name), concat('类型：', enterprise_type), concat('注册资金：', registered_capital_text)) else changes end as event_summary,
    true as is_standing,
    concat(delivery_id, '/', row_number) as record_ref,
    1 as statement_rank,
    'active' as fact_state,
    effective_from,
    known_at,
    value_kind,
    {{ write_number() }} as write_number,
    {{ china_date('known_at') }} as as_of
from told
where number = 1 or changes <> ''
