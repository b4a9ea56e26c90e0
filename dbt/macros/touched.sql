{# Which part of a model a run builds anew. The run's own list of changed subjects decides; a first or full build takes everything. #}
{% macro changed_subjects() -%}
    (select distinct subject_id from {{ source('work', 'changed_subject') }})
{%- endmacro %}

{# The number of the run that builds; it stands in what the run writes. (A view of the session: spark_jobs/dbt_runs.py.) #}
{% macro write_number() -%}
    cast((select write_number from this_run) as bigint)
{%- endmacro %}

{# Months in which a changed subject is or was counted (staged by spark_jobs/dbt_runs.py). #}
{% macro changed_months() -%}
    (select registration_month from {{ source('work', 'changed_month') }})
{%- endmacro %}

{# Take out the rows that the run builds anew. Few keys are named in a DELETE, which passes over the files that hold none of them; many are
   matched by a MERGE, because Delta's DELETE takes no subquery. #}
{% macro take_out(relation, touched, key, kind, most=500) -%}
    {%- set keys = run_query('select distinct ' ~ key ~ ' from ' ~ touched ~ ' as touched limit ' ~ (most + 1)).columns[0].values() if execute else [] -%}
    {%- if keys | length > most -%}
        merge into {{ relation }} as stored using {{ touched }} as touched
        on stored.{{ key }} = touched.{{ key }} when matched then delete
    {%- elif keys -%}
        delete from {{ relation }} where {{ key }} in ({% for value in keys %}{{ kind }} '{{ value }}'{{ ', ' if not loop.last }}{% endfor %})
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}
