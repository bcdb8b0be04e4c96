{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='watch_id',
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(ref('stg_watch_history'), ['watch_id']) }}",
    indexes=[
        {'columns': ['movie_key', 'started_at']},
        {'columns': ['user_key']},
        {'columns': ['session_key']},
        {'columns': ['date_key']},
        {'columns': ['lake_version']}
    ]
) }}

{% set stale = stale_pointers(['watch_id'], moment='started_at', session=true) %}

with
{% if is_incremental() %}
    changed as (

        select watch_id
        from {{ ref('stg_watch_history') }}
        where {{ after_watermark() }}
        union
        {{ stale }}

    ),
{% endif %}

plays as (

    select stg_watch_history.*
    from {{ ref('stg_watch_history') }} as stg_watch_history
    {% if is_incremental() %}
        inner join changed on stg_watch_history.watch_id = changed.watch_id
    {% endif %}
    where not stg_watch_history.is_deleted

),

movies as (

    select * from {{ ref('dim_movie') }}

),

users as (

    select * from {{ ref('dim_user') }}

),

sessions as (

    select * from {{ ref('dim_session') }}

),

dates as (

    select * from {{ ref('dim_date') }}

),

joined as (

    select
        ---------- dimensions
        coalesce(users.user_key, {{ unknown_key() }}) as user_key,
        coalesce(movies.movie_key, {{ unknown_key() }}) as movie_key,
        coalesce(sessions.session_key, {{ unknown_key() }}) as session_key,
        coalesce(dates.date_key, {{ unknown_key() }}) as date_key,

        ---------- ids
        plays.watch_id,
        plays.user_id,
        plays.resolved_user_id,
        plays.visitor_id,
        plays.movie_id,
        plays.session_id,
        plays.play_id,

        ---------- measures
        plays.seconds_watched,
        plays.last_position_seconds,
        plays.event_count,

        ---------- flags
        plays.is_completed,

        ---------- times
        plays.started_at,
        plays.ended_at,

        ---------- lineage
        plays.lake_version
    from plays
    left join movies
        on
            plays.movie_id = movies.movie_id
            and {{ version_covers('movies', 'plays.started_at') }}
    left join users
        on
            plays.user_id = users.user_id
            and {{ version_covers('users', 'plays.started_at') }}
    left join sessions on plays.session_id = sessions.session_id
    left join dates on {{ utc_date('plays.started_at') }} = dates.date_day

)

select * from joined
