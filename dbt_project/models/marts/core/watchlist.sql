{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['user_id', 'movie_id'],
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(ref('stg_watchlist'), ['user_id', 'movie_id']) }}",
    indexes=[
        {'columns': ['movie_key', 'changed_at']},
        {'columns': ['user_key']},
        {'columns': ['date_key']},
        {'columns': ['lake_version']}
    ]
) }}

{% set stale = stale_pointers(['user_id', 'movie_id'], moment='changed_at') %}

with
{% if is_incremental() %}
    changed as (

        select
            user_id,
            movie_id
        from {{ ref('stg_watchlist') }}
        where {{ after_watermark() }}
        union
        {{ stale }}

    ),
{% endif %}

entries as (

    select stg_watchlist.*
    from {{ ref('stg_watchlist') }} as stg_watchlist
    {% if is_incremental() %}
        inner join changed
            on
                stg_watchlist.user_id = changed.user_id
                and stg_watchlist.movie_id = changed.movie_id
    {% endif %}
    where not stg_watchlist.is_deleted

),

joined as (

    select
        ---------- dimensions
        {{ pointer_keys() }},

        ---------- ids
        entries.user_id,
        entries.movie_id,
        entries.event_id,

        ---------- flags
        entries.is_listed,

        ---------- times
        entries.added_at,
        entries.removed_at,
        entries.changed_at,

        ---------- lineage
        entries.lake_version
    from entries
    {{ pointer_joins('entries', 'changed_at') }}

)

select * from joined
