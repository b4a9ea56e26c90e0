{# The business date in China of an instant, whatever the session's time zone is. #}
{% macro china_date(instant) -%}
    cast(convert_timezone(current_timezone(), 'Asia/Shanghai', cast({{ instant }} as timestamp_ntz)) as date)
{%- endmacro %}

{# The columns as the subject's last record with something in them states them: a record that leaves a thing out says nothing about it.
   Columns that belong together are taken from one record. #}
{% macro last_stated(columns, stated) -%}
    max_by(struct({{ columns | join(', ') }}), effective_from) filter (where {{ stated }})
{%- endmacro %}
