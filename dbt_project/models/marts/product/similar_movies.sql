{{ config(
    indexes=[{'columns': ['movie_id', 'rank'], 'unique': true}]
) }}

with pairs as (

    select * from {{ ref('stg_similar_movies') }}
    where not is_deleted

),

movies as (

    select * from {{ ref('dim_movie') }}
    where is_current and movie_id is not null

),

final as (

    select
        ---------- ids
        coalesce(movies.movie_key, {{ unknown_key() }}) as movie_key,
        pairs.movie_id,
        pairs.similar_movie_id,
        movies.title,
        pairs.model_id,

        ---------- measures
        pairs.rank,
        pairs.score,

        ---------- why
        pairs.basis
    from pairs
    left join movies on pairs.similar_movie_id = movies.movie_id

)

select * from final
