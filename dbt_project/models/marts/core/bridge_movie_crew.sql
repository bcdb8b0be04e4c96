{{ config(
    indexes=[
        {'columns': ['movie_key']},
        {'columns': ['person_key']}
    ]
) }}

with movie_crew as (

    select * from {{ ref('stg_movie_crew') }}

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
        movie_crew.movie_id,
        movie_crew.person_id,
        movie_crew.credit_id,
        movie_crew.department,
        movie_crew.job,
        movie_crew.lake_version
    from movie_crew
    inner join current_movies on movie_crew.movie_id = current_movies.movie_id
    inner join people on movie_crew.person_id = people.person_id

)

select * from bridged
