{% set types = {
    'movie_view': 'view',
    'play': 'play',
    'play_complete': 'complete',
    'rating': 'rating',
    'comment': 'comment',
    'movie_reaction': 'reaction',
    'watchlist_add': 'watchlist_add',
} %}

-- Whatever the increments did, each day has in the marts what the facts say of it.
with facts as (

    select
        {{ utc_date('occurred_at') }} as date_day,
        {{ active_user_id() }} as active_user_id,
        session_id,
        movie_id,
        event_type
    from {{ ref('fact_user_event') }}
    where is_bot is not true

),

of_facts as (

    select
        date_day,
        count(*) as event_count,
        count(*) filter (where event_type = 'play') as play_count,
        count(distinct active_user_id) as user_count
    from facts
    group by date_day

),

of_users as (

    select
        activity_date as date_day,
        sum(event_count) as event_count,
        sum(play_count) as play_count,
        count(*) as user_count
    from {{ ref('int_user_days') }}
    group by activity_date

),

movies_of_facts as (

    select
        date_day,
        {% for type, name in types.items() %}
            count(*) filter (where event_type = '{{ type }}') as {{ name }}_count,
        {% endfor %}
        count(*) as event_count
    from facts
    where movie_id is not null
    group by date_day

),

of_plays as (

    select
        {{ utc_date('started_at') }} as date_day,
        count(*) as watch_count,
        sum(cast(seconds_watched as numeric)) as seconds_watched
    from {{ ref('watch_history') }}
    group by date_day

),

of_movies as (

    select
        date_day,
        {% for name in types.values() %}
            sum({{ name }}_count) as {{ name }}_count,
        {% endfor %}
        sum(event_count) as event_count,
        sum(watch_count) as watch_count,
        sum(cast(seconds_watched as numeric)) as seconds_watched
    from {{ ref('movie_daily') }}
    group by date_day

),

sessions_of_facts as (

    select
        date_day,
        count(*) as session_count
    from (
        select min(date_day) as date_day
        from facts
        group by session_id
    ) as sessions
    group by date_day

),

of_funnel as (

    select
        date_day,
        sum(session_count) as session_count
    from {{ ref('session_funnel') }}
    group by date_day

),

active as (

    select
        date_day,
        dau as user_count
    from {{ ref('user_activity') }}

)

select
    date_day,
    'int_user_days' as mart
from of_facts
full join of_users using (date_day)
where
    (of_facts.event_count, of_facts.play_count, of_facts.user_count)
    is distinct from (of_users.event_count, of_users.play_count, of_users.user_count)
union all
select
    date_day,
    'user_activity' as mart
from active
left join of_facts using (date_day)
where active.user_count <> coalesce(of_facts.user_count, 0)
union all
select
    date_day,
    'movie_daily' as mart
from of_movies
full join movies_of_facts using (date_day)
full join of_plays using (date_day)
where
    {% for name in ['event', *types.values()] %}
        coalesce(of_movies.{{ name }}_count, 0) <> coalesce(movies_of_facts.{{ name }}_count, 0)
        or
    {% endfor %}
    coalesce(of_movies.watch_count, 0) <> coalesce(of_plays.watch_count, 0)
    -- Sums of floats: they have some sixteen digits.
    or abs(coalesce(of_movies.seconds_watched, 0) - coalesce(of_plays.seconds_watched, 0))
    > 0.000000001 * coalesce(of_plays.seconds_watched, 0)
union all
select
    date_day,
    'session_funnel' as mart
from of_funnel
full join sessions_of_facts using (date_day)
where of_funnel.session_count is distinct from sessions_of_facts.session_count
