{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['country_key']}
    ]
) }}

with movie_countries as (

    select * from {{ ref('stg_movie_countries') }}

),

current_movies as (

    select * from {{ ref('dim_movie') }}
    where is_current

),

countries as (

    select * from {{ ref('dim_country') }}

),

-- A row enters once both of its ends are there: a bridge is only ever crossed, not counted.
bridged as (

    select
        current_movies.movie_key,
        countries.country_key,
        movie_countries.movie_id,
        movie_countries.country_code,
        movie_countries.lake_version
    from movie_countries
    inner join current_movies on movie_countries.movie_id = current_movies.movie_id
    inner join countries on movie_countries.country_code = countries.country_code

)

select * from bridged
