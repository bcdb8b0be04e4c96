{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['user_id', 'movie_id'],
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(
        ref('stg_ratings'), ['user_id', 'movie_id'], 'removed.is_removed or removed.is_deleted'
    ) }}",
    indexes=[
        {'columns': ['movie_key', 'rated_at']},
        {'columns': ['user_key']},
        {'columns': ['date_key']},
        {'columns': ['lake_version']}
    ]
) }}

{% set stale = stale_pointers(['user_id', 'movie_id'], moment='rated_at') %}

with
{% if is_incremental() %}
    changed as (

        select
            user_id,
            movie_id
        from {{ ref('stg_ratings') }}
        where {{ after_watermark() }}
        union
        {{ stale }}

    ),
{% endif %}

current_ratings as (

    select stg_ratings.*
    from {{ ref('stg_ratings') }} as stg_ratings
    {% if is_incremental() %}
        inner join changed
            on stg_ratings.user_id = changed.user_id and stg_ratings.movie_id = changed.movie_id
    {% endif %}
    where not stg_ratings.is_removed and not stg_ratings.is_deleted

),

joined as (

    select
        ---------- dimensions
        {{ pointer_keys() }},

        ---------- ids
        current_ratings.user_id,
        current_ratings.movie_id,
        current_ratings.event_id,

        ---------- measures
        current_ratings.rating,

        ---------- times
        current_ratings.rated_at,

        ---------- lineage
        current_ratings.lake_version
    from current_ratings
    {{ pointer_joins('current_ratings', 'rated_at') }}

)

select * from joined
