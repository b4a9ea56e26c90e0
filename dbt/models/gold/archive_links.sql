-- What a market subject has in common with others: its address to the room, a natural person who holds shares, two key persons of the same names.
--
-- One row for each thing by which it may be found, also where nobody else is there yet: so a run finds in this table alone who shares what is new.
-- It puts together anew the things that a subject of it has, and those that one had until now; rows of before that are no longer so go last.
-- Who shares a thing with more than 20 isn't named: an address at which hundreds are registered says nothing of any two of them.
{{ config(
    incremental_strategy='merge',
    unique_key=['subject_id', 'common_kind', 'common_key'],
    post_hook="{% if is_incremental() %}{{ take_out(this, linked_subjects(), 'subject_id', '', also='write_number <> ' ~ this_number()) }}{% endif %}"
) }}

{% set most_named = 20 %}
{% set most_persons = 10 %}

with linked as (
    {{ 'select distinct subject_id from ' ~ linked_subjects() if is_incremental() else "select subject_id from " ~ ref('archive_subject') }}
),

addressed as (
    select {{ few('linked') }} subject_id, district_code, district_name, {{ address_plain('registered_address') }} as address, known_at, value_kind
    from {{ ref('archive_subject') }}
    left semi join linked using (subject_id)
    where registered_address is not null and district_code is not null
),

-- The district is compared by its code, however it is written. A street without a number is no address.
placed as (
    select
        subject_id,
        district_code,
        regexp_replace(if(startswith(address, district_name), substr(address, length(district_name) + 1), address), '[室房]$', '') as place,
        known_at,
        value_kind
    from addressed
    where address rlike '[0-9一二三四五六七八九十](号|档|铺|房|室|栋|座)'
),

mine as (
    select {{ few('linked') }} subject_id, event_feed, delivery_id, row_number, known_at, value_kind
    from {{ ref('archive_timeline') }}
    left semi join linked using (subject_id)
    where
        is_standing
        and ({{ event_is('shareholders', '股东出资变动') }} or {{ event_is('key_persons', '主要人员任职') }})
),

holders as (
    select
        subject_id,
        said.shareholder_id_digest as holder,
        max_by({{ ends_a_holding('said.holding_change_kind') }}, struct(said.takes_effect_on, mine.delivery_id, mine.row_number)) as is_over,
        max(mine.known_at) as known_at,
        max(mine.value_kind) as value_kind  -- 'simulated' sorts after 'observed'
    from {{ mine_with_records('shareholders') }} and said.shareholder_id_digest <> ''
    group by subject_id, said.shareholder_id_digest
),

persons as (
    select
        subject_id,
        collect_set(said.person_name) as names,
        max(mine.known_at) as known_at,
        max(mine.value_kind) as value_kind
    from {{ mine_with_records('key_persons') }}
    group by subject_id
),

own as (
    select subject_id, 'same_address' as common_kind, {{ common_key(["'address'", 'district_code', 'place']) }} as common_key, known_at, value_kind
    from placed
    union all
    select subject_id, 'same_holder' as common_kind, {{ common_key(["'holder'", 'holder']) }} as common_key, known_at, value_kind
    from holders
    where not is_over
    union all
    select subject_id, 'same_persons' as common_kind, {{ common_key(["'persons'", 'one', 'other']) }} as common_key, known_at, value_kind
    from (select *, explode(names) as one from persons where size(names) between 2 and {{ most_persons }})
    lateral view explode(names) others as other
    where one < other
),

{% if is_incremental() %}
wanted as (
    select common_kind, common_key
    from own
    union
    select {{ few('linked') }} common_kind, common_key
    from {{ this }}
    left semi join linked using (subject_id)
),

members as (
    select * from own
    union all
    select {{ few('wanted') }} stored.subject_id, stored.common_kind, stored.common_key, stored.known_at, stored.value_kind
    from {{ this }} as stored
    left semi join wanted using (common_kind, common_key)
    left anti join linked on linked.subject_id = stored.subject_id
),
{% else %}
members as (
    select * from own
),
{% endif %}

counted as (
    select common_kind, common_key, cast(count(*) as int) as common_subjects
    from members
    group by common_kind, common_key
),

-- Most things are one subject's alone: names are looked up for the others only.
named as (
    select common_kind, common_key, array_sort(collect_list(struct(subject_id, subject_name))) as several
    from members
    inner join counted using (common_kind, common_key)
    inner join (select subject_id, subject_name from {{ ref('archive_subject') }}) using (subject_id)
    where common_subjects between 2 and {{ most_named }}
    group by common_kind, common_key
)

select
    subject_id,
    common_kind,
    common_key,
    common_subjects,
    transform(filter(several, s -> s.subject_id <> members.subject_id), s -> s.subject_id) as common_subject_ids,
    transform(filter(several, s -> s.subject_id <> members.subject_id), s -> s.subject_name) as common_subject_names,
    known_at,
    {{ write_number() }} as write_number,
    {{ china_date('known_at') }} as as_of,
    value_kind
from members
inner join counted using (common_kind, common_key)
left join named using (common_kind, common_key)
