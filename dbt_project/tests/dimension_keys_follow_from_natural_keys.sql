{% set dimensions = {
    'dim_movie': ['movie_key', 'movie_id'],
    'dim_user': ['user_key', 'user_id'],
    'dim_session': ['session_key', 'session_id'],
    'dim_genre': ['genre_key', 'genre_id'],
} %}

-- A key computed in another way would no longer agree with gold_next or a full refresh.
{% for dimension, (key, natural_key) in dimensions.items() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ dimension }}' as dimension,
        {{ key }} as found_key
    from {{ ref(dimension) }}
    where {{ natural_key }} is not null and {{ key }} <> {{ surrogate_key([natural_key]) }}
{% endfor %}
