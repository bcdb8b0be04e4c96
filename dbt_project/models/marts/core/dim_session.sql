{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='session_key',
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(ref('stg_sessions'), ['session_id']) }}",
    indexes=[
        {'columns': ['session_id'], 'unique': true},
        {'columns': ['user_id']},
        {'columns': ['started_at']},
        {'columns': ['lake_version']}
    ]
) }}

with sessions as (

    select * from {{ ref('stg_sessions') }}
    where
        not is_deleted
        {% if is_incremental() %}
            and {{ after_watermark() }}
        {% endif %}

),

members as (

    select
        {{ surrogate_key(['session_id']) }} as session_key,
        session_id,
        visitor_id,
        user_id,
        resolved_user_id,
        anonymous_id,
        client_session_id,
        entry_page,
        exit_page,
        device,
        browser,
        os,
        is_given,
        is_bounce,
        is_bot,
        started_at,
        ended_at,
        cast(extract(epoch from ended_at - started_at) as double precision) as duration_seconds,
        seconds_watched,
        event_count,
        page_view_count,
        movie_view_count,
        search_count,
        play_count,
        play_complete_count,
        rating_count,
        comment_count,
        lake_version
    from sessions

    union all

    select
        {{ unknown_key() }} as session_key,
        null as session_id,
        null as visitor_id,
        null as user_id,
        null as resolved_user_id,
        null as anonymous_id,
        null as client_session_id,
        null as entry_page,
        null as exit_page,
        null as device,
        null as browser,
        null as os,
        null as is_given,
        null as is_bounce,
        null as is_bot,
        null as started_at,
        null as ended_at,
        null as duration_seconds,
        null as seconds_watched,
        0 as event_count,
        0 as page_view_count,
        0 as movie_view_count,
        0 as search_count,
        0 as play_count,
        0 as play_complete_count,
        0 as rating_count,
        0 as comment_count,
        {{ unknown_key() }} as lake_version

)

select * from members
