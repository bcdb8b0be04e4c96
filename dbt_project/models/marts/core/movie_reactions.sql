{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['user_id', 'movie_id'],
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(
        ref('stg_movie_reactions'), ['user_id', 'movie_id'],
        'removed.reaction = $$none$$ or removed.is_deleted'
    ) }}",
    indexes=[
        {'columns': ['movie_key', 'reacted_at']},
        {'columns': ['user_key']},
        {'columns': ['date_key']},
        {'columns': ['lake_version']}
    ]
) }}

{% set stale = stale_pointers(['user_id', 'movie_id'], moment='reacted_at') %}

with
{% if is_incremental() %}
    changed as (

        select
            user_id,
            movie_id
        from {{ ref('stg_movie_reactions') }}
        where {{ after_watermark() }}
        union
        {{ stale }}

    ),
{% endif %}

current_reactions as (

    select stg_movie_reactions.*
    from {{ ref('stg_movie_reactions') }} as stg_movie_reactions
    {% if is_incremental() %}
        inner join changed
            on
                stg_movie_reactions.user_id = changed.user_id
                and stg_movie_reactions.movie_id = changed.movie_id
    {% endif %}
    where stg_movie_reactions.reaction <> 'none' and not stg_movie_reactions.is_deleted

),

joined as (

    select
        ---------- dimensions
        {{ pointer_keys() }},

        ---------- ids
        current_reactions.user_id,
        current_reactions.movie_id,
        current_reactions.event_id,

        ---------- texts
        current_reactions.reaction,

        ---------- flags
        current_reactions.reaction = 'like' as is_like,

        ---------- times
        current_reactions.reacted_at,

        ---------- lineage
        current_reactions.lake_version
    from current_reactions
    {{ pointer_joins('current_reactions', 'reacted_at') }}

)

select * from joined
