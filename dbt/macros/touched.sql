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
    (select registration_month from changed_month)
{%- endmacro %}

{# In a run that builds a part: that what is joined under this name is few rows, which Spark doesn't know and would sort everything for. #}
{% macro few(name) -%}
    {%- if is_incremental() -%} /*+ broadcast({{ name }}) */ {%- endif -%}
{%- endmacro %}

{# Take out the rows that the run builds anew. Few keys are named in a DELETE, which passes over the files that hold none of them; many are
   matched by a MERGE, because Delta's DELETE takes no subquery. #}
{% macro take_out(relation, touched, key, kind, most=500, also='true') -%}
    {%- set keys = run_query('select distinct ' ~ key ~ ' from ' ~ touched ~ ' as touched limit ' ~ (most + 1)).columns[0].values() if execute else [] -%}
    {%- if keys | length > most -%}
        merge into {{ relation }} as stored using {{ touched }} as touched
        on stored.{{ key }} = touched.{{ key }} and {{ also }} when matched then delete
    {%- elif keys -%}
        delete from {{ relation }} where {{ key }} in ({% for value in keys %}{{ kind }} '{{ value }}'{{ ', ' if not loop.last }}{% endfor %}) and {{ also }}
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{# Months in which a subject whose exit or register entry this run has changed is or was counted as having left. (Views: spark_jobs/dbt_runs.py.) #}
{% macro changed_exit_months() -%}
    (select exit_month from exit_month_before
    union
    select cast(trunc(day, 'MM') as date) as exit_month
    from (
        select explode(array(ended_on, revoked_on)) as day
        from {{ ref('archive_exit') }}
        left semi join concerned_subject using (subject_id)
    )
    where day is not null)
{%- endmacro %}
