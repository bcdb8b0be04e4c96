-- depends_on: {{ ref('watch_history') }}
{{ config(
    group='product',
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='watch_id',
    on_schema_change='append_new_columns',
    indexes=[
        {'columns': ['watch_id']},
        {'columns': ['lake_version']}
    ]
) }}

-- Built after the facts, as int_event_places is.
{{ places_of(
    ref('stg_watch_history'),
    row_id='watch_id',
    places={
        'movie_id': 'movie_id',
        'activity_date': utc_date('started_at'),
    }
) }}
