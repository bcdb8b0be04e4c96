-- Each event and rating points to the version of its movie that was valid then, and to -1 only
-- when there is no such movie.
with facts as (

    select
        'fact_user_event' as fact,
        movie_key,
        movie_id,
        occurred_at as moment
    from {{ ref('fact_user_event') }}

    union all

    select
        'ratings' as fact,
        movie_key,
        movie_id,
        rated_at as moment
    from {{ ref('ratings') }}

),

expected as (

    select
        facts.*,
        versions.movie_key as expected_key
    from facts
    left join {{ ref('dim_movie') }} as versions
        on
            facts.movie_id = versions.movie_id
            and {{ version_covers('versions', 'facts.moment') }}

)

select *
from expected
where movie_key <> coalesce(expected_key, {{ unknown_key() }})
