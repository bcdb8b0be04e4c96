{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['genre_key']}
    ]
) }}

with movie_genres as (

    select * from {{ ref('stg_movie_genres') }}

),

current_movies as (

    select * from {{ ref('dim_movie') }}
    where is_current

),

genres as (

    select * from {{ ref('dim_genre') }}

),

-- A row enters once both of its ends are there: a bridge is only ever crossed, not counted.
bridged as (

    select
        current_movies.movie_key,
        genres.genre_key,
        movie_genres.movie_id,
        movie_genres.genre_id,
        1.0 / count(*) over (partition by movie_genres.movie_id) as weight,
        movie_genres.lake_version
    from movie_genres
    inner join current_movies on movie_genres.movie_id = current_movies.movie_id
    inner join genres on movie_genres.genre_id = genres.genre_id

),

final as (

    select
        movie_key,
        genre_key,
        movie_id,
        genre_id,
        cast(weight as double precision) as weight,
        lake_version
    from bridged

)

select * from final
