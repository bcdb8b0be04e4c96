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
        {'columns': ['user_key']},
        {'columns': ['movie_key', 'occurred_at']},
        {'columns': ['session_key']},
        {'columns': ['lake_version']}
    ]
) }}

{# dbt looks for dependencies outside of the incremental branches. #}
{% set pointers = [
    {'key': 'movie_key', 'natural': 'movie_id', 'dimension': ref('dim_movie'),
     'member': 'movie_id', 'moment': 'occurred_at', 'staging': ref('stg_movie_versions'),
     'staging_key': movie_version_key('movie_id', 'valid_from')},
    {'key': 'user_key', 'natural': 'user_id', 'dimension': ref('dim_user'),
     'member': 'user_id', 'staging': ref('stg_users')},
    {'key': 'session_key', 'natural': 'session_id', 'dimension': ref('dim_session'),
     'member': 'session_id', 'staging': ref('stg_sessions')},
    {'key': 'date_key', 'natural': utc_date('occurred_at'), 'dimension': ref('dim_date'),
     'member': 'date_day'},
] %}

with
{% if is_incremental() %}
    changed as (

        select event_id
        from {{ ref('stg_events') }}
        where {{ after_watermark() }}
        union
        {{ rows_to_repoint(['event_id'], pointers) }}

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
        ---------- ids
        events.event_id,
        events.event_type,

        ---------- dimensions
        coalesce(dates.date_key, {{ unknown_key() }}) as date_key,
        coalesce(users.user_key, {{ unknown_key() }}) as user_key,
        coalesce(movies.movie_key, {{ unknown_key() }}) as movie_key,
        coalesce(sessions.session_key, {{ unknown_key() }}) as session_key,

        ---------- natural ids
        events.user_id,
        events.visitor_id,
        events.movie_id,
        events.session_id,

        ---------- measures
        events.rating,

        ---------- flags
        events.is_late,

        ---------- times
        events.occurred_at,
        events.received_at,

        ---------- lineage
        events.lake_version
    from events
    left join movies
        on
            events.movie_id = movies.movie_id
            and {{ version_covers('movies', 'events.occurred_at') }}
    left join users on events.user_id = users.user_id
    left join sessions on events.session_id = sessions.session_id
    left join dates on {{ utc_date('events.occurred_at') }} = dates.date_day

)

select * from joined
