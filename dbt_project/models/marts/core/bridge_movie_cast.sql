{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['person_key']}
    ]
) }}

with movie_cast as (

    select * from {{ ref('stg_movie_cast') }}

),

current_movies as (

    select * from {{ ref('dim_movie') }}
    where is_current

),

people as (

    select * from {{ ref('dim_person') }}

),

-- A row enters once both of its ends are there: a bridge is only ever crossed, not counted.
bridged as (

    select
        current_movies.movie_key,
        people.person_key,
        movie_cast.movie_id,
        movie_cast.person_id,
        movie_cast.credit_id,
        movie_cast.character_name,
        movie_cast.cast_order,
        movie_cast.lake_version
    from movie_cast
    inner join current_movies on movie_cast.movie_id = current_movies.movie_id
    inner join people on movie_cast.person_id = people.person_id

)

select * from bridged
