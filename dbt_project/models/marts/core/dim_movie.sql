{{ config(
    indexes=[
        {'columns': ['movie_id'], 'unique': true},
        {'columns': ['title']}
    ]
) }}

with movies as (

    select * from {{ ref('stg_movies') }}
    where not is_deleted

),

members as (

    select
        {{ surrogate_key(['movie_id']) }} as movie_key,
        movie_id,
        imdb_id,
        title,
        original_title,
        original_language,
        overview,
        tagline,
        status,
        homepage,
        release_date,
        cast(extract(year from release_date) as integer) as release_year,
        runtime_minutes,
        budget_usd,
        revenue_usd,
        popularity,
        vote_average,
        vote_count,
        is_adult,
        fetched_at,
        lake_version
    from movies

    union all

    select
        {{ unknown_key() }} as movie_key,
        null as movie_id,
        null as imdb_id,
        'Unknown' as title,
        null as original_title,
        null as original_language,
        null as overview,
        null as tagline,
        null as status,
        null as homepage,
        null as release_date,
        null as release_year,
        null as runtime_minutes,
        null as budget_usd,
        null as revenue_usd,
        null as popularity,
        null as vote_average,
        null as vote_count,
        null as is_adult,
        null as fetched_at,
        {{ unknown_key() }} as lake_version

)

select * from members
