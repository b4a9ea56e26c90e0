{# Which part of a model a run builds anew. The run's own list of changed subjects decides; a first or full build takes everything. #}
{% macro changed_subjects() -%}
    (select distinct subject_id from {{ source('work', 'changed_subject') }})
{%- endmacro %}

{# Months in which a changed subject is or was counted: all registration dates that any of its records states, or stated before it was
   withdrawn. #}
{% macro changed_months() -%}
    (
        select distinct cast(trunc(registration_date, 'MM') as date) as registration_month
        from {{ source('silver_tables', 'subject_registration') }}
        where subject_id in {{ changed_subjects() }}
        union
        select cast(trunc(registration_date, 'MM') as date)
        from {{ source('work', 'changed_subject') }}
        where registration_date is not null
    )
{%- endmacro %}

{# Take out the rows that the run builds anew. A MERGE, because Delta's DELETE takes no subquery. #}
{% macro take_out(relation, touched, key) -%}
    merge into {{ relation }} as stored using {{ touched }} as touched
    on stored.{{ key }} = touched.{{ key }} when matched then delete
{%- endmacro %}
