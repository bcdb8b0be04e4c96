{#
    Query: the rows of a fact that point to another member of a dimension than they should by now.

    To be called outside of the incremental branch, as dbt looks for dependencies there. See `rows_to_repoint`.

    Args:
        row_key: Columns that name a row of the fact.
        moment: Its time, which decides the day and the versions.
        movie: It has a movie_key and a movie_id.
        session: It has a session_key and a session_id.
#}
{% macro stale_pointers(row_key, moment, movie=true, session=false) -%}
    {% set pointers = [
        {'key': 'user_key', 'natural': 'user_id', 'dimension': ref('dim_user'),
         'member': 'user_id', 'moment': moment, 'gone': gone_user_keys()},
        {'key': 'date_key', 'natural': utc_date(moment), 'dimension': ref('dim_date'),
         'member': 'date_day'},
    ] %}
    {% if movie %}
        {% do pointers.append(
            {'key': 'movie_key', 'natural': 'movie_id', 'dimension': ref('dim_movie'),
             'member': 'movie_id', 'moment': moment, 'gone': gone_movie_keys()}
        ) %}
    {% endif %}
    {% if session %}
        {% do pointers.append(
            {'key': 'session_key', 'natural': 'session_id', 'dimension': ref('dim_session'),
             'member': 'session_id', 'gone': gone_session_keys()}
        ) %}
    {% endif %}
    {{ rows_to_repoint(row_key, pointers) }}
{%- endmacro %}


{# Query: keys that a version of a movie once had. #}
{% macro gone_movie_keys() -%}
    select {{ version_key('movie_id', 'valid_from') }}
    from {{ ref('stg_movie_versions') }}
    where is_deleted
{%- endmacro %}


{# Query: keys that a version of a user had or could have had, and no version has. #}
{% macro gone_user_keys() -%}
    (
        select {{ surrogate_key(['user_id']) }} from {{ ref('stg_users') }} where is_deleted
        union
        select {{ version_key('user_id', 'occurred_at') }} from {{ ref('int_user_upserts') }}
        union
        select cast(former.key as bigint)
        from {{ ref('int_user_upserts') }} as upserts
        cross join unnest(string_to_array(upserts.former_keys, ',')) as former (key)
    )
    except
    select user_key from {{ ref('dim_user') }}
{%- endmacro %}


{# Query: keys that a session once had. #}
{% macro gone_session_keys() -%}
    select {{ surrogate_key(['session_id']) }} from {{ ref('stg_sessions') }} where is_deleted
{%- endmacro %}
