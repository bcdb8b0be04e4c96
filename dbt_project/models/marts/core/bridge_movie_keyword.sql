{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['keyword_key']}
    ]
) }}

with movie_keywords as (

    select * from {{ ref('stg_movie_keywords') }}

),

current_movies as (

    select * from {{ ref('dim_movie') }}
    where is_current

),

keywords as (

    select * from {{ ref('dim_keyword') }}

),

-- A row enters once both of its ends are there: a bridge is only ever crossed, not counted.
bridged as (

    select
        current_movies.movie_key,
        keywords.keyword_key,
        movie_keywords.movie_id,
        movie_keywords.keyword_id,
        movie_keywords.lake_version
    from movie_keywords
    inner join current_movies on movie_keywords.movie_id = current_movies.movie_id
    inner join keywords on movie_keywords.keyword_id = keywords.keyword_id

)

select * from bridged
