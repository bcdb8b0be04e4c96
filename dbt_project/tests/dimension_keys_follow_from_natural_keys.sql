{% set dimensions = {
    'dim_session': ['session_key', 'session_id'],
    'dim_genre': ['genre_key', 'genre_id'],
    'dim_company': ['company_key', 'company_id'],
    'dim_country': ['country_key', 'country_code'],
    'dim_language': ['language_key', 'language_code'],
    'dim_keyword': ['keyword_key', 'keyword_id'],
    'dim_person': ['person_key', 'person_id'],
} %}

-- A key computed in another way would no longer agree with gold_next or a full refresh.
{% for dimension, (key, natural_key) in dimensions.items() %}
    select
        '{{ dimension }}' as dimension,
        {{ key }} as found_key
    from {{ ref(dimension) }}
    where {{ natural_key }} is not null and {{ key }} <> {{ surrogate_key([natural_key]) }}
    union all
{% endfor %}
select
    'dim_movie' as dimension,
    movie_key as found_key
from {{ ref('dim_movie') }}
where movie_id is not null and movie_key <> {{ version_key('movie_id', 'valid_from') }}
union all
select
    'dim_user' as dimension,
    user_key as found_key
from {{ ref('dim_user') }}
where
    user_id is not null
    and user_key <> {{ user_version_key('user_id', 'version_number', 'valid_from') }}
