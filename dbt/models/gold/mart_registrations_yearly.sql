-- Registrations by year, enterprise type and district of the address.
--
-- The district comes from the address alone: the digits of a credit code name the first registrar, not the location. An address
-- counts as located only where it begins with (province, city and) the name of a district, so that a road named after a district
-- (黄埔大道 lies in 天河) or a district of the same name in another city never decides.
-- Rows without a name or a readable date are quarantined by the feed's contract and are not counted here.

with arrivals as (
    select
        {{ text_or_null('subject_name') }} as subject_name,
        {{ text_or_null('credit_code') }} as credit_code,
        {{ text_or_null('enterprise_type') }} as enterprise_type,
        -- A blank inside an address would hide its beginning.
        translate({{ text_or_null('registered_address') }}, ' 　', '') as address,
        {{ date_or_null('registration_date') }} as registration_date,
        {{ china_date('arrived_at') }} as arrived_on,
        arrived_at,
        delivery_id,
        row_number as line
    from {{ source('bronze', 'registration_subjects') }}
    where raw_line is null
),

-- One row per subject, the one known last. Code and name together: a code may be shared by two companies.
subjects as (
    select * from (
        select
            *,
            row_number() over (
                partition by credit_code, subject_name
                order by arrived_at desc, delivery_id desc, line desc
            ) as recency
        from arrivals
        where subject_name is not null and registration_date between date '1900-01-01' and arrived_on
    )
    where recency = 1
),

areas as (
    select area_code, area_name, parent_area_code, start_year, end_year, successors
    from {{ source('silver_tables', 'ref_area') }}
),

-- Where the former divisions of the city went. A link with a time is a part that left earlier, no successor.
links as (
    select area_code, area_name, start_year, end_year, link.code as next_code
    from areas
    lateral view explode(from_json(successors, 'array<struct<code: string, time: int>>')) as link
    where parent_area_code = '{{ var("city_code") }}' and end_year is not null and link.time is null
),

-- From a former division to the one that was valid under that code when it ended.
steps as (
    select
        links.area_code, links.area_name, links.start_year, links.next_code,
        later.area_name as next_name, later.start_year as next_start_year, later.end_year as next_end_year,
        later.parent_area_code as next_parent_code
    from links
    inner join areas as later
        on later.area_code = links.next_code
        and later.start_year <= links.end_year
        and (later.end_year is null or later.end_year > links.end_year)
),

-- Two steps reach today from every division of the city (花县 → 花都市 → 花都区). Whatever would need a third stays unassigned.
successors as (
    select
        step_one.area_name,
        max(coalesce(step_two.next_code, step_one.next_code)) as district_code,
        max(coalesce(step_two.next_name, step_one.next_name)) as district_name
    from steps as step_one
    left join steps as step_two
        on step_two.area_code = step_one.next_code and step_two.start_year = step_one.next_start_year
    group by step_one.area_code, step_one.area_name, step_one.start_year
    having
        count(distinct coalesce(step_two.next_code, step_one.next_code)) = 1
        and max(coalesce(step_two.next_parent_code, step_one.next_parent_code)) = '{{ var("city_code") }}'
        -- Every path ends in a division of today.
        and every(coalesce(step_two.next_end_year, case when step_two.next_code is null then step_one.next_end_year end) is null)
),

-- What an address may call a district, each text with the one district that it stands for.
names as (
    select
        name,
        max(district_code) as district_code,
        max(district_name) as district_name,
        max_by(confidence, rank) as confidence
    from (
        select area_name as name, area_code as district_code, area_name as district_name, 'exact' as confidence, 3 as rank
        from areas
        where parent_area_code = '{{ var("city_code") }}' and end_year is null
        union all
        -- Former counties and cities are written without their suffix too (增城新塘镇). Urban districts are not taken so:
        -- their bare names are names of roads.
        select stack(
            2,
            area_name, district_code, district_name, 'successor', 2,
            case when right(area_name, 1) in ('市', '县') and length(area_name) > 2 then left(area_name, length(area_name) - 1) end,
            district_code, district_name, 'abbreviated', 1
        )
        from successors
    )
    where name is not null
    group by name
    having count(distinct district_code) = 1
),

-- How an address may begin before the district: 广东省广州市, 广东广州, 广州, or not at all.
prefix as (
    select concat(
        '^(?:', max(area_name) filter (where area_code <> '{{ var("city_code") }}'), '?)?',
        '(?:', max(area_name) filter (where area_code = '{{ var("city_code") }}'), '?)?'
    ) as expression
    from areas
    where area_code in ('{{ var("city_code") }}', '{{ var("city_code")[:2] }}0000') and end_year is null
),

-- All names in one row: one expression reads an address once, and the text found leads to its district.
lookup as (
    select
        map_from_entries(collect_list(struct(name, struct(district_code, district_name, confidence)))) as districts,
        concat(
            max(prefix.expression),
            '(', concat_ws('|', collect_list(name) filter (where confidence <> 'abbreviated')),
            '|(?:', concat_ws('|', collect_list(name) filter (where confidence = 'abbreviated')), ')',
            -- 番禺大道 and 花都北路 are roads, not places in 番禺 and 花都.
            '(?![东西南北中]?(?:路|大道|大街|公路)))'
        ) as expression
    from names
    cross join prefix
),

located as (
    select
        year(subjects.registration_date) as registration_year,
        coalesce(subjects.enterprise_type, '未知') as enterprise_type,
        try_element_at(lookup.districts, regexp_extract(subjects.address, lookup.expression, 1)) as district
    from subjects
    cross join lookup
)

select
    registration_year,
    enterprise_type,
    district.district_code as district_code,
    coalesce(district.district_name, '未分配') as district_name,
    coalesce(district.confidence, 'unassigned') as district_confidence,
    count(*) as subjects,
    max(as_of.as_of) as as_of,
    'observed' as value_kind
from located
cross join (select max(arrived_on) as as_of from arrivals) as as_of
group by 1, 2, 3, 4, 5
