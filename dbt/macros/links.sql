{# Subjects of which this run may have changed what they have in common with others. (A view of the session: spark_jobs/dbt_runs.py.) #}
{% macro linked_subjects() -%}
    (select subject_id from linked_subject)
{%- endmacro %}

{# Subjects whose row in the archive of traders and private enterprises this run builds anew: those of which it has changed anything, and those at
   their addresses, before and now: whom a trader has become is told there. #}
{% macro private_subjects() -%}
    (select subject_id from concerned_subject
    union
    select subject_id from {{ ref('archive_links') }} where common_kind = 'same_address' and write_number = {{ this_number() }}
    union
    select explode(common_subject_ids) as subject_id
    from (select * from {{ ref('archive_links') }} where common_kind = 'same_address')
    left semi join concerned_subject using (subject_id))
{%- endmacro %}

{# The number of this run as a literal: for statements that take no subquery. #}
{% macro this_number() -%}
    {{ run_query('select write_number from this_run').columns[0].values()[0] if execute else 0 }}
{%- endmacro %}

{# An address without what is written in many ways: width, spaces, remarks in brackets (in which a number may be
   the very place: 吕田镇(广新路51号)), province and city at its beginning. #}
{% macro address_plain(column) -%}
    regexp_replace(regexp_replace(translate({{ column }}, '０１２３４５６７８９－（）　', '0123456789-() '), r'\([^0-9()]*\)|[\s,，。]', ''), r'^(广东省)?(广州市)?', '')
{%- endmacro %}

{# 16 hexadecimal digits of a thing that subjects may have in common. #}
{% macro common_key(parts) -%}
    substr(sha2(concat_ws('/', {{ parts | join(', ') }}), 256), 1, 16)
{%- endmacro %}
