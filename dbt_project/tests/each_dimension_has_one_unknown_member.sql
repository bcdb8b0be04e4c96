{% set dimensions = {
    'dim_movie': ['movie_key', 'movie_id'],
    'dim_user': ['user_key', 'user_id'],
    'dim_session': ['session_key', 'session_id'],
    'dim_genre': ['genre_key', 'genre_id'],
    'dim_company': ['company_key', 'company_id'],
    'dim_country': ['country_key', 'country_code'],
    'dim_language': ['language_key', 'language_code'],
    'dim_keyword': ['keyword_key', 'keyword_id'],
    'dim_person': ['person_key', 'person_id'],
    'dim_date': ['date_key', 'date_day'],
} %}

-- The member with key -1 is there once, and only it has no natural key.
{% for dimension, (key, natural_key) in dimensions.items() %}
    {{ 'union all' if not loop.first }}
    select
        '{{ dimension }}' as dimension,
        count(*) filter (where {{ key }} = {{ unknown_key() }}) as unknown_members,
        count(*) filter (where {{ natural_key }} is null) as without_natural_key
    from {{ ref(dimension) }}
    having
        count(*) filter (where {{ key }} = {{ unknown_key() }}) <> 1
        or count(*) filter (where {{ natural_key }} is null) <> 1
{% endfor %}
