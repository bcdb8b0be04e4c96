{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['language_key']}
    ]
) }}

with movie_languages as (

    select * from {{ ref('stg_movie_languages') }}

),

current_movies as (

    select * from {{ ref('dim_movie') }}
    where is_current

),

languages as (

    select * from {{ ref('dim_language') }}

),

-- A row enters once both of its ends are there: a bridge is only ever crossed, not counted.
bridged as (

    select
        current_movies.movie_key,
        languages.language_key,
        movie_languages.movie_id,
        movie_languages.language_code,
        movie_languages.lake_version
    from movie_languages
    inner join current_movies on movie_languages.movie_id = current_movies.movie_id
    inner join languages on movie_languages.language_code = languages.language_code

)

select * from bridged
