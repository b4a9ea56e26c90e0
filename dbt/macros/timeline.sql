{# The statements of records that a run takes into the timeline. (A view of the session: spark_jobs/dbt_runs.py.) #}
{% macro told_statements() -%}
    statement
{%- endmacro %}

{# Take out the rows of the records that a run builds anew; most runs bring records of which nothing was said before. #}
{% macro take_out_records(relation) -%}
    {%- if execute and run_query('select 1 from changed_row limit 1').columns[0].values() -%}
        merge into {{ relation }} as stored using changed_row as gone
        on stored.event_feed = gone.event_feed and stored.delivery_id = gone.delivery_id and stored.row_number = gone.row_number when matched then delete
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{# Give rows the subject to which their party belongs now. #}
{% macro move_parties(relation) -%}
    {%- if execute and run_query('select 1 from moved_party limit 1').columns[0].values() -%}
        merge into {{ relation }} as stored using moved_party as moved on stored.party_key = moved.party_key
        when matched then update set stored.subject_id = moved.subject_id, stored.party_basis = moved.party_basis, stored.write_number = {{ write_number() }}
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}

{# The condition that a row of the timeline is this event, which has to be declared. #}
{% macro event_is(feed, name) -%}
    {%- set found = [] -%}
    {%- for told in timeline_feeds() if told.name == feed -%}
        {%- for e in told.events if e.event == name -%}{%- do found.append(e.number) -%}{%- endfor -%}
    {%- endfor -%}
    {%- if found | length != 1 -%}{{ exceptions.raise_compiler_error('no event ' ~ name ~ ' of ' ~ feed ~ ' is declared in gold/archive_timeline.yaml') }}{%- endif -%}
    (event_feed = '{{ feed }}' and event_number = {{ found[0] }})
{%- endmacro %}

{# Subjects of which this run has changed an event: those that the timeline's rows belonged to before, and those that they belong to now. #}
{% macro touched_subjects() -%}
    (select subject_id from touched_subject)
{%- endmacro %}
