-- depends_on: {{ ref('fact_user_event') }}
{{ config(
    group='product',
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='event_id',
    on_schema_change='append_new_columns',
    indexes=[
        {'columns': ['event_id']},
        {'columns': ['active_user_id', 'activity_date']},
        {'columns': ['session_id']},
        {'columns': ['lake_version']}
    ]
) }}

-- Built after the facts, so that it knows of every change that is in them: a mart whose watermark
-- comes from the facts would pass over one that appeared here later.
{{ places_of(
    ref('stg_events'),
    row_id='event_id',
    places={
        'active_user_id': active_user_id(),
        'session_id': 'session_id',
        'movie_id': 'movie_id',
        'activity_date': utc_date('occurred_at'),
    }
) }}
