{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['company_key']}
    ]
) }}

with movie_companies as (

    select * from {{ ref('stg_movie_companies') }}

),

current_movies as (

    select * from {{ ref('dim_movie') }}
    where is_current

),

companies as (

    select * from {{ ref('dim_company') }}

),

-- A row enters once both of its ends are there: a bridge is only ever crossed, not counted.
bridged as (

    select
        current_movies.movie_key,
        companies.company_key,
        movie_companies.movie_id,
        movie_companies.company_id,
        movie_companies.lake_version
    from movie_companies
    inner join current_movies on movie_companies.movie_id = current_movies.movie_id
    inner join companies on movie_companies.company_id = companies.company_id

)

select * from bridged
