{{ config(group='product') }}

{% set types = {
    'movie_view': 'view',
    'play': 'play',
    'play_complete': 'complete',
    'rating': 'rating',
    'comment': 'comment',
    'movie_reaction': 'reaction',
    'watchlist_add': 'watchlist_add',
} %}

-- Whatever the increments did, each day and month has in the marts what the facts say of it.
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

user_days as (

    select
        date_day,
        active_user_id,
        count(*) as event_count,
        count(*) filter (where event_type = 'play') as play_count
    from facts
    group by date_day, active_user_id

),

sessions as (

    select
        session_id,
        min(date_day) as date_day
    from facts
    group by session_id

),

watched as (

    select
        {{ utc_date('started_at') }} as date_day,
        count(*) as watch_count,
        sum(cast(seconds_watched as numeric)) as seconds_watched
    from {{ ref('watch_history') }}
    group by {{ utc_date('started_at') }}

),

watched_in_mart as (

    select
        date_day,
        sum(watch_count) as watch_count,
        sum(cast(seconds_watched as numeric)) as seconds_watched
    from {{ ref('movie_daily') }}
    group by date_day

),

expected as (

    select
        'int_user_days' as mart,
        date_day,
        cast(array[sum(event_count), sum(play_count), count(*)] as bigint[]) as counts
    from user_days
    group by date_day
    union all
    select
        'user_activity' as mart,
        date_day,
        array[count(*)] as counts
    from user_days
    where date_day between date '{{ var("first_date") }}' and date '{{ var("last_date") }}'
    group by date_day
    union all
    select
        'movie_daily' as mart,
        date_day,
        array[
            {% for type in types %}count(*) filter (where event_type = '{{ type }}'),
            {% endfor %}
            count(*)
        ] as counts
    from facts
    where movie_id is not null
    group by date_day
    union all
    select
        'session_funnel' as mart,
        date_day,
        array[count(*)] as counts
    from sessions
    group by date_day
    union all
    select
        'int_genre_months' as mart,
        cast(date_trunc('month', facts.date_day) as date) as date_day,
        array[
            count(*),
            count(*) filter (where facts.event_type = 'play'),
            count(*) filter (where facts.event_type = 'rating')
        ] as counts
    from facts
    inner join {{ ref('bridge_movie_genre') }} as movie_genres
        on facts.movie_id = movie_genres.movie_id
    group by cast(date_trunc('month', facts.date_day) as date)

),

found as (

    select
        'int_user_days' as mart,
        activity_date as date_day,
        cast(array[sum(event_count), sum(play_count), count(*)] as bigint[]) as counts
    from {{ ref('int_user_days') }}
    group by activity_date
    union all
    select
        'user_activity' as mart,
        date_day,
        array[dau] as counts
    from {{ ref('user_activity') }}
    where dau > 0
    union all
    select
        'movie_daily' as mart,
        date_day,
        cast(array[
            {% for name in types.values() %}sum({{ name }}_count),
            {% endfor %}
            sum(event_count)
        ] as bigint[]) as counts
    from {{ ref('movie_daily') }}
    group by date_day
    having sum(event_count) > 0
    union all
    select
        'session_funnel' as mart,
        date_day,
        cast(array[sum(session_count)] as bigint[]) as counts
    from {{ ref('session_funnel') }}
    group by date_day
    union all
    select
        'int_genre_months' as mart,
        month_start as date_day,
        cast(array[sum(event_count), sum(play_count), sum(rating_count)] as bigint[]) as counts
    from {{ ref('int_genre_months') }}
    group by month_start
    having sum(event_count) > 0

)

select
    coalesce(expected.mart, found.mart) as mart,
    coalesce(expected.date_day, found.date_day) as date_day,
    expected.counts as expected_counts,
    found.counts as found_counts
from expected
full join found on expected.mart = found.mart and expected.date_day = found.date_day
where expected.counts is distinct from found.counts
union all
select
    'movie_daily' as mart,
    coalesce(watched.date_day, watched_in_mart.date_day) as date_day,
    array[watched.watch_count] as expected_counts,
    cast(array[watched_in_mart.watch_count] as bigint[]) as found_counts
from watched
full join watched_in_mart on watched.date_day = watched_in_mart.date_day
where
    coalesce(watched.watch_count, 0) <> coalesce(watched_in_mart.watch_count, 0)
    -- Floats have some sixteen digits.
    or abs(coalesce(watched.seconds_watched, 0) - coalesce(watched_in_mart.seconds_watched, 0))
    > 0.000000001 * coalesce(watched.seconds_watched, 0)
