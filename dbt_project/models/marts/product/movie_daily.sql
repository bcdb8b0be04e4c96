{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['movie_id', 'date_day'],
    on_schema_change='append_new_columns',
    post_hook="{{ delete_empty('event_count = 0 and watch_count = 0') }}",
    indexes=[
        {'columns': ['date_day']},
        {'columns': ['lake_version']},
        {'columns': ['plays_lake_version']}
    ]
) }}

{% set event_places = ref('int_event_places') %}
{% set play_places = ref('int_play_places') %}

with
{% if is_incremental() %}
    changed as (

        select
            movie_id,
            activity_date as date_day
        from {{ event_places }}
        where movie_id is not null and {{ after_watermark() }}
        union
        select
            movie_id,
            activity_date as date_day
        from {{ play_places }}
        where {{ after_watermark(mark='plays_lake_version') }}

    ),
{% endif %}

events as (

    select
        events.movie_id,
        {{ utc_date('events.occurred_at') }} as date_day,
        events.visitor_id,
        events.event_type,
        events.rating,
        events.lake_version
    from {{ ref('fact_user_event') }} as events
    {% if is_incremental() %}
        inner join changed
            on
                events.movie_id = changed.movie_id
                and {{ on_utc_day('events.occurred_at', 'changed.date_day') }}
    {% endif %}
    where events.movie_id is not null and events.is_bot is not true

),

plays as (

    select
        plays.movie_id,
        {{ utc_date('plays.started_at') }} as date_day,
        -- Numeric, as a sum of floats depends on their order.
        cast(plays.seconds_watched as numeric) as seconds_watched,
        plays.lake_version
    from {{ ref('watch_history') }} as plays
    {% if is_incremental() %}
        inner join changed
            on
                plays.movie_id = changed.movie_id
                and {{ on_utc_day('plays.started_at', 'changed.date_day') }}
    {% endif %}

),

event_days as (

    select
        movie_id,
        date_day,
        count(*) as event_count,
        count(distinct visitor_id) as visitor_count,
        {% for type, name in {
            'movie_view': 'view',
            'play': 'play',
            'play_complete': 'complete',
            'rating': 'rating',
            'comment': 'comment',
            'movie_reaction': 'reaction',
            'watchlist_add': 'watchlist_add',
        }.items() %}
            count(*) filter (where event_type = '{{ type }}') as {{ name }}_count,
        {% endfor %}
        avg(rating) filter (where event_type = 'rating') as mean_rating,
        max(lake_version) as lake_version
    from events
    group by movie_id, date_day

),

play_days as (

    select
        movie_id,
        date_day,
        count(*) as watch_count,
        sum(seconds_watched) as seconds_watched,
        max(lake_version) as lake_version
    from plays
    group by movie_id, date_day

),

days as (

    select
        movie_id,
        date_day
    from event_days
    union
    select
        movie_id,
        date_day
    from play_days
    {% if is_incremental() %}
        union
        select
            movie_id,
            date_day
        from changed
    {% endif %}

),

final as (

    select
        ---------- ids
        days.movie_id,
        days.date_day,

        ---------- measures
        {% for name in [
            'event', 'visitor', 'view', 'play', 'complete', 'rating', 'comment', 'reaction',
            'watchlist_add',
        ] %}
            coalesce(event_days.{{ name }}_count, 0) as {{ name }}_count,
        {% endfor %}
        event_days.mean_rating,
        coalesce(play_days.watch_count, 0) as watch_count,
        cast(coalesce(play_days.seconds_watched, 0) as double precision) as seconds_watched,

        ---------- lineage
        coalesce(event_days.lake_version, {{ unknown_key() }}) as lake_version,
        coalesce(play_days.lake_version, {{ unknown_key() }}) as plays_lake_version
    from days
    left join event_days
        on days.movie_id = event_days.movie_id and days.date_day = event_days.date_day
    left join play_days
        on days.movie_id = play_days.movie_id and days.date_day = play_days.date_day

)

select * from final
