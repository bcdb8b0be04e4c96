{{ config(
    indexes=[{'columns': ['user_id', 'rank'], 'unique': true}]
) }}

with recommendations as (

    select * from {{ ref('stg_movie_recommendations') }}
    where not is_deleted

),

movies as (

    select * from {{ ref('dim_movie') }}
    where is_current and movie_id is not null

),

users as (

    select * from {{ ref('dim_user') }}
    where is_current and user_id is not null

),

ratings as (

    select * from {{ ref('ratings') }}

),

final as (

    select
        ---------- dimensions
        coalesce(users.user_key, {{ unknown_key() }}) as user_key,
        coalesce(movies.movie_key, {{ unknown_key() }}) as movie_key,

        ---------- ids
        recommendations.user_id,
        recommendations.movie_id,
        movies.title,
        recommendations.model_id,

        ---------- measures
        recommendations.rank,
        recommendations.score,
        recommendations.predicted_rating,

        ---------- why
        recommendations.basis,
        recommendations.because_movie_id,
        case
            when reasons.title is null then 'because users with your taste liked it'
            when ratings.rating is null then 'because you watched or listed ' || reasons.title
            else 'because you rated ' || reasons.title || ' ' || ratings.rating
        end as explanation
    from recommendations
    left join movies on recommendations.movie_id = movies.movie_id
    left join users on recommendations.user_id = users.user_id
    left join movies as reasons on recommendations.because_movie_id = reasons.movie_id
    left join ratings
        on
            recommendations.user_id = ratings.user_id
            and recommendations.because_movie_id = ratings.movie_id

)

select * from final
