{#
    Marts sum up groups of facts: a movie and day, a user and day, a session. Of an increment they compute anew every
    group that a fact came to, changed in, or left. Where facts are and were is kept in `int_event_places` and
    `int_play_places`.
#}

{#
    Query: the place of each row that changed in silver, and all places where it was before, under the version of its
    latest change.

    Args:
        staging: The staging model, with lake_version; rows that are gone are in it too.
        row_id: The column that names a row.
        places: SQL expression of each column of a place, by name.
#}
{% macro places_of(staging, row_id, places) -%}
    with changed as (

        select
            {{ row_id }},
            {% for name, expression in places.items() %}{{ expression }} as {{ name }},
            {% endfor %}
            lake_version
        from {{ staging }}
        {% if is_incremental() %}
            where {{ after_watermark() }}
        {% endif %}

    ),

    places as (

        select * from changed
        {% if is_incremental() %}
            union
            select
                earlier.{{ row_id }},
                {% for name in places %}earlier.{{ name }},
                {% endfor %}
                changed.lake_version
            from {{ this }} as earlier
            inner join changed on earlier.{{ row_id }} = changed.{{ row_id }}
        {% endif %}

    )

    select * from places
{%- endmacro %}


{# The first day of the UTC month of a timestamp. #}
{% macro utc_month(column) -%}
    cast(date_trunc('month', {{ column }} at time zone 'UTC') as date)
{%- endmacro %}


{# Condition: a timestamp is in a UTC day, so that an index on it can tell. #}
{% macro on_utc_day(column, day) -%}
    {{ column }} >= cast({{ day }} as timestamp) at time zone 'UTC'
    and {{ column }} < cast({{ day }} + 1 as timestamp) at time zone 'UTC'
{%- endmacro %}


{# Who is active: the user, once it is known who that is, and until then the device. #}
{% macro active_user_id() -%}
    coalesce('u:' || resolved_user_id, visitor_id)
{%- endmacro %}


{# The quotient, null where there is nothing to divide by. #}
{% macro share_of(part, whole) -%}
    cast({{ part }} as double precision) / nullif({{ whole }}, 0)
{%- endmacro %}


{# Post-hook: delete the groups that have lost their last fact, which come out of an increment with nothing in them. #}
{% macro delete_empty(condition='event_count = 0') -%}
    {% if is_incremental() %}
        delete from {{ this }} where {{ condition }}
    {% endif %}
{%- endmacro %}
