{% set facts = {
    'fact_user_event': 'occurred_at',
    'ratings': 'rated_at',
    'comments': 'commented_at',
    'movie_reactions': 'reacted_at',
    'watchlist': 'changed_at',
    'watch_history': 'started_at',
} %}

-- Each fact points to the version of its movie and of its user that was valid then, and to -1 only
-- when there is no such movie or user.
with facts as (

    {% for fact, moment in facts.items() %}
        select
            '{{ fact }}' as fact,
            movie_key,
            movie_id,
            user_key,
            user_id,
            {{ moment }} as fact_moment
        from {{ ref(fact) }}
        union all
    {% endfor %}
    select
        'comment_votes' as fact,
        {{ unknown_key() }} as movie_key,
        null as movie_id,
        user_key,
        user_id,
        voted_at as fact_moment
    from {{ ref('comment_votes') }}

),

expected as (

    select
        facts.*,
        movie_versions.movie_key as expected_movie_key,
        user_versions.user_key as expected_user_key
    from facts
    left join {{ ref('dim_movie') }} as movie_versions
        on
            facts.movie_id = movie_versions.movie_id
            and {{ version_covers('movie_versions', 'facts.fact_moment') }}
    left join {{ ref('dim_user') }} as user_versions
        on
            facts.user_id = user_versions.user_id
            and {{ version_covers('user_versions', 'facts.fact_moment') }}

)

select *
from expected
where
    movie_key <> coalesce(expected_movie_key, {{ unknown_key() }})
    or user_key <> coalesce(expected_user_key, {{ unknown_key() }})
