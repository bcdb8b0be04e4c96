{{ config(
    indexes=[{'columns': ['movie_id', 'valid_from'], 'unique': true}]
) }}

with versions as (

    select * from {{ ref('stg_movie_versions') }}
    where not is_deleted

),

movies as (

    select * from {{ ref('stg_movies') }}
    where not is_deleted

),

genres as (

    select * from {{ ref('stg_genres') }}

),

version_genres as (

    select
        versions.movie_id,
        versions.valid_from,
        string_agg(genres.name, ', ' order by genres.name) as genres
    from versions
    cross join
        lateral unnest(string_to_array(versions.genre_ids, ',')) as listed (genre_id)
    inner join genres on cast(listed.genre_id as bigint) = genres.genre_id
    group by versions.movie_id, versions.valid_from

),

-- What is tracked comes from the version, all else from the latest answer.
members as (

    select
        {{ version_key('versions.movie_id', 'versions.valid_from') }} as movie_key,
        movies.movie_id,
        movies.imdb_id,
        cast(
            row_number() over (
                partition by versions.movie_id order by versions.valid_from
            ) as integer
        ) as version_number,
        versions.valid_from,
        versions.valid_to,
        versions.is_current,
        versions.title,
        versions.status,
        versions.popularity_bucket,
        version_genres.genres,
        movies.original_title,
        movies.original_language,
        movies.original_language_is_iso,
        movies.overview,
        movies.tagline,
        movies.homepage,
        movies.release_date,
        cast(extract(year from movies.release_date) as integer) as release_year,
        movies.runtime_minutes,
        movies.budget_usd,
        movies.revenue_usd,
        movies.popularity,
        movies.vote_average,
        movies.vote_count,
        movies.is_adult,
        movies.is_deleted_in_tmdb,
        movies.deleted_in_tmdb_at,
        movies.fetched_at,
        movies.lake_version
    from versions
    inner join movies on versions.movie_id = movies.movie_id
    left join version_genres
        on
            versions.movie_id = version_genres.movie_id
            and versions.valid_from = version_genres.valid_from

    union all

    select
        {{ unknown_key() }} as movie_key,
        null as movie_id,
        null as imdb_id,
        1 as version_number,
        null as valid_from,
        null as valid_to,
        true as is_current,
        'Unknown' as title,
        null as status,
        'unknown' as popularity_bucket,
        null as genres,
        null as original_title,
        null as original_language,
        null as original_language_is_iso,
        null as overview,
        null as tagline,
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
        false as is_deleted_in_tmdb,
        null as deleted_in_tmdb_at,
        null as fetched_at,
        {{ unknown_key() }} as lake_version

)

select * from members
