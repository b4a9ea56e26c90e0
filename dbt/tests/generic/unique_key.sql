{# The columns together identify a row. `tracked`: rows say which run wrote them; those with a key of this run's are looked at. #}
{% test unique_key(model, columns, tracked=false) %}
select {{ columns | join(', ') }}, count(*) as row_count
from {{ model }}
{% if tracked and not flags.FULL_REFRESH %}
left semi join (select {{ columns | join(', ') }} from {{ model }} where write_number >= {{ write_number() }}) as written
    using ({{ columns | join(', ') }})
{% endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
