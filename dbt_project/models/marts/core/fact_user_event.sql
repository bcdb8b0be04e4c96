{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='event_id',
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(ref('stg_events'), ['event_id']) }}",
    indexes=[
        {'columns': ['occurred_at']},
        {'columns': ['date_key']},
        {'columns': ['user_key', 'user_id']},
        {'columns': ['movie_key', 'movie_id']},
        {'columns': ['movie_id', 'occurred_at']},
        {'columns': ['session_key']},
        {'columns': ['lake_version']}
    ]
) }}

{% set stale = stale_pointers(['event_id'], moment='occurred_at', session=true) %}

with
{% if is_incremental() %}
    changed as (

        select event_id
        from {{ ref('stg_events') }}
        where {{ after_watermark() }}
        union
        {{ stale }}

    ),
{% endif %}

events as (

    select stg_events.*
    from {{ ref('stg_events') }} as stg_events
    {% if is_incremental() %}
        inner join changed on stg_events.event_id = changed.event_id
    {% endif %}
    where not stg_events.is_deleted

),

joined as (

    select
        ---------- ids
        events.event_id,
        events.event_type,

        ---------- dimensions
        {{ pointer_keys(session=true) }},

        ---------- natural ids
        events.user_id,
        events.resolved_user_id,
        events.visitor_id,
        events.movie_id,
        events.session_id,

        ---------- circumstances
        events.browser,
        events.os,
        events.device,
        events.country,
        events.referrer_class,
        events.app_version,
        events.local_hour,

        ---------- measures
        events.rating,

        ---------- flags
        events.is_bot,
        events.is_late,

        ---------- times
        events.occurred_at,
        events.received_at,

        ---------- lineage
        events.lake_version
    from events
    {{ pointer_joins('events', 'occurred_at', session=true) }}

)

select * from joined
