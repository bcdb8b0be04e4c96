{#
    From a fact to its dimensions: each by its natural key, those with versions by the time of the fact as well. Which facts
    have to be pointed anew later is told by `stale_pointers`.

    Args:
        fact: The alias of the fact's rows.
        moment: Their time, which decides the day and the versions.
        movie: They have a movie_id, and get a movie_key.
        session: They have a session_id, and get a session_key.
#}
{% macro pointer_joins(fact, moment, movie=true, session=false) -%}
    left join {{ ref('dim_user') }} as users
        on
            {{ fact }}.user_id = users.user_id
            and {{ version_covers('users', fact ~ '.' ~ moment) }}
    left join {{ ref('dim_date') }} as dates
        on {{ utc_date(fact ~ '.' ~ moment) }} = dates.date_day
    {% if movie %}
        left join {{ ref('dim_movie') }} as movies
            on
                {{ fact }}.movie_id = movies.movie_id
                and {{ version_covers('movies', fact ~ '.' ~ moment) }}
    {% endif %}
    {% if session %}
        left join {{ ref('dim_session') }} as sessions
            on {{ fact }}.session_id = sessions.session_id
    {% endif %}
{%- endmacro %}


{# The columns that `pointer_joins` finds: the unknown member where there is none. #}
{% macro pointer_keys(movie=true, session=false) -%}
    coalesce(users.user_key, {{ unknown_key() }}) as user_key,
    coalesce(dates.date_key, {{ unknown_key() }}) as date_key
    {%- if movie %},
        coalesce(movies.movie_key, {{ unknown_key() }}) as movie_key
    {%- endif %}
    {%- if session %},
        coalesce(sessions.session_key, {{ unknown_key() }}) as session_key
    {%- endif %}
{%- endmacro %}
