{{ config(
    indexes=[{'columns': ['popularity_rank'], 'unique': true}]
) }}

with movies as (

    select * from {{ ref('dim_movie') }}
    where is_current and movie_id is not null

),

ratings as (

    select
        movie_id,
        count(*) as rating_count,
        avg(rating) as mean_rating
    from {{ ref('ratings') }}
    group by movie_id

),

all_ratings as (

    select avg(rating) as mean_rating from {{ ref('ratings') }}

),

plays as (

    select
        movie_id,
        cast(sum(play_count) as bigint) as play_count,
        cast(sum(complete_count) as bigint) as complete_count
    from {{ ref('movie_daily') }}
    group by movie_id

),

joined as (

    select
        movies.movie_key,
        movies.movie_id,
        movies.title,
        coalesce(ratings.rating_count, 0) as rating_count,
        ratings.mean_rating,
        coalesce(plays.play_count, 0) as play_count,
        coalesce(plays.complete_count, 0) as complete_count,
        all_ratings.mean_rating as prior_mean,
        cast({{ var('minimum_votes') }} as double precision) as prior_count
    from movies
    cross join all_ratings
    left join ratings on movies.movie_id = ratings.movie_id
    left join plays on movies.movie_id = plays.movie_id

),

-- v / (v + m) * R + m / (v + m) * C: few ratings stay near the mean of all. Divided once, it cannot
-- leave the range of ratings by rounding.
weighted as (

    select
        *,
        (rating_count * coalesce(mean_rating, prior_mean) + prior_count * prior_mean)
        / (rating_count + prior_count) as weighted_rating
    from joined

),

final as (

    select
        ---------- ids
        movie_key,
        movie_id,
        title,

        ---------- measures
        rating_count,
        mean_rating,
        weighted_rating,
        play_count,
        complete_count,
        row_number() over (
            order by weighted_rating desc nulls last, rating_count desc, movie_id asc
        ) as popularity_rank
    from weighted

)

select * from final
