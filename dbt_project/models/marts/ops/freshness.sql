-- What the contracts promise: the time of a row, and how many hours the newest may be old.
{% set promises = {
    'events': ('received_at', 24),
    'movies': ('fetched_at', 720),
} %}
-- What is made of them is as fresh as they are: nothing newer could stand in it.
{% set made_of = {
    'events': [
        'events', 'comment_votes', 'comments', 'identities', 'movie_reactions', 'ratings', 'sessions',
        'users', 'watch_history', 'watchlist',
    ],
    'movies': [
        'movies', 'countries', 'genres', 'keywords', 'languages', 'movie_cast', 'movie_companies',
        'movie_countries', 'movie_crew', 'movie_genres', 'movie_keywords', 'movie_languages',
        'movie_versions', 'people', 'production_companies',
    ],
} %}

with published as (

    select
        table_name,
        lake_version,
        loaded_at as published_at
    from {{ source('ops', 'watermarks') }}
    where table_name like 'silver.%'

),

newest as (

    {% for table, (loaded_at, hours) in promises.items() %}
        select
            'silver.{{ table }}' as measured_by,
            max({{ loaded_at }}) as newest_row_at,
            {{ hours }} as allowed_age_hours
        from {{ source('silver', table) }}
        where not _deleted
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

makings as (

    {% for table, names in made_of.items() %}
        select
            'silver.' || name as table_name,
            'silver.{{ table }}' as measured_by
        from unnest(array{{ names }}) as made (name)
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

joined as (

    select
        published.table_name,
        published.lake_version,
        published.published_at,
        makings.measured_by,
        newest.newest_row_at,
        cast(
            extract(epoch from now() - newest.newest_row_at) / 3600 as double precision
        ) as age_hours,
        newest.allowed_age_hours
    from published
    left join makings on published.table_name = makings.table_name
    left join newest on makings.measured_by = newest.measured_by

),

final as (

    select
        *,
        age_hours <= allowed_age_hours as is_fresh
    from joined

)

select * from final
