{# Schemas are named in full by the contracts: gold_tables is gold_tables, never <target>_gold_tables. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
