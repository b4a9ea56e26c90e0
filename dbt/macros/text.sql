{# A delivered text, or NULL where the source writes one of its words for "nothing". #}
{% macro text_or_null(column) -%}
    case when trim({{ column }}) in ('', '-', 'N/A') then null else trim({{ column }}) end
{%- endmacro %}

{# A delivered date text as DATE, NULL where it is none. Never a plain cast: ANSI mode would fail the whole build for one row.
   A time of day is cut off; full-width digits are read as digits. #}
{% macro date_or_null(column) -%}
    {%- set text = "regexp_replace(translate(trim(" ~ column ~ "), '０１２３４５６７８９', '0123456789'), '[ T]+[0-9]{1,2}:.*$', '')" -%}
    cast(coalesce(
        {%- for pattern in ['yyyy-M-d', 'yyyy/M/d', 'yyyy.M.d', 'yyyy年M月d日', 'yyyyMMdd'] %}
        try_to_timestamp({{ text }}, '{{ pattern }}'){{ "," if not loop.last }}
        {%- endfor %}
    ) as date)
{%- endmacro %}

{# The business date in China of an instant, whatever the session's time zone is. #}
{% macro china_date(instant) -%}
    cast(convert_timezone(current_timezone(), 'Asia/Shanghai', cast({{ instant }} as timestamp_ntz)) as date)
{%- endmacro %}
