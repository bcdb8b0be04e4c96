{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='watch_id',
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(ref('stg_watch_history'), ['watch_id']) }}",
    indexes=[
        {'columns': ['movie_key', 'started_at']},
        {'columns': ['movie_id', 'started_at']},
        {'columns': ['user_key', 'user_id']},
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

joined as (

    select
        ---------- dimensions
        {{ pointer_keys(session=true) }},

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
    {{ pointer_joins('plays', 'started_at', session=true) }}

)

select * from joined
