{# The standing events that an archive of a theme is made from (its contract says of which feeds), of the subjects that this run touches. #}
{% macro told_of(theme) -%}
    (select {{ few('touched') }} subject_id, event_feed, event_number, record_ref, delivery_id, row_number, occurred_on, event_summary, known_at, value_kind
    from {{ ref('archive_timeline') }}
    {%- if is_incremental() %}
    left semi join {{ touched_subjects() }} as touched using (subject_id)
    {%- endif %}
    where is_standing and subject_id is not null and event_feed in ('{{ theme_feeds()[theme] | join("', '") }}'))
{%- endmacro %}

{# The typed records of a feed; none where it never came. #}
{% macro records(feed) -%}
    {%- set table = source('silver_tables', feed) -%}
    {%- if not execute or is_there(table) -%}
        {{ table }}
    {%- else -%}
        (select {% for name, type in record_types()[feed].items() %}cast(null as {{ type }}) as {{ name }}{{ ', ' if not loop.last }}{% endfor %} where false)
    {%- endif -%}
{%- endmacro %}

{# A model's own standing rows of a feed (`mine`, from told_of), each with its record (`said`). #}
{% macro mine_with_records(feed) -%}
    mine
    inner join {{ records(feed) }} as said using (delivery_id, row_number)
    where event_feed = '{{ feed }}'
{%- endmacro %}

{% macro is_there(table) -%}
    {{ return(load_relation(table) is not none) }}
{%- endmacro %}

{# The order in which steps of one name and day are counted by their source, as 2 or 第2次; 0 where it doesn't say. #}
{% macro sequence(column) -%}
    coalesce(try_cast(regexp_extract({{ column }}, '([0-9]+)', 1) as int), 0)
{%- endmacro %}

{# Changes after which a shareholder holds nothing any more; one that nobody has told of is none. #}
{% macro ends_a_holding(kind) -%}
    coalesce({{ kind }} rlike '退出|转让|转出|注销', false)
{%- endmacro %}

{# Steps after which a matter is done. Any other, also one that nobody here knows, leaves it open. #}
{% macro is_closing(step) -%}
    coalesce({{ step }} in ('结案', '办结', '答复', '执行完毕', '不予立案', '不予处罚', '撤销案件', '移送'), false)
{%- endmacro %}

{# What decisions about marks do, by their words: mark_procedure, decision_result, procedure_kind, ends_mark (null: nothing to the whole mark).
   (A view of the session: spark_jobs/dbt_runs.py.) #}
{% macro decision_effects() -%}
    decision_effect
{%- endmacro %}
