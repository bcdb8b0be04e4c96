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
         'member': 'user_id', 'staging': ref('stg_users')},
        {'key': 'date_key', 'natural': utc_date(moment), 'dimension': ref('dim_date'),
         'member': 'date_day'},
    ] %}
    {% if movie %}
        {% do pointers.append(
            {'key': 'movie_key', 'natural': 'movie_id', 'dimension': ref('dim_movie'),
             'member': 'movie_id', 'moment': moment, 'staging': ref('stg_movie_versions'),
             'staging_key': movie_version_key('movie_id', 'valid_from')}
        ) %}
    {% endif %}
    {% if session %}
        {% do pointers.append(
            {'key': 'session_key', 'natural': 'session_id', 'dimension': ref('dim_session'),
             'member': 'session_id', 'staging': ref('stg_sessions')}
        ) %}
    {% endif %}
    {{ rows_to_repoint(row_key, pointers) }}
{%- endmacro %}
