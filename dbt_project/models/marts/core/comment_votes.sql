{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['user_id', 'comment_id'],
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(
        ref('stg_comment_votes'), ['user_id', 'comment_id'],
        'removed.vote = $$none$$ or removed.is_deleted'
    ) }}",
    indexes=[
        {'columns': ['comment_id']},
        {'columns': ['user_key']},
        {'columns': ['date_key']},
        {'columns': ['lake_version']}
    ]
) }}

{% set stale = stale_pointers(['user_id', 'comment_id'], moment='voted_at', movie=false) %}

with
{% if is_incremental() %}
    changed as (

        select
            user_id,
            comment_id
        from {{ ref('stg_comment_votes') }}
        where {{ after_watermark() }}
        union
        {{ stale }}

    ),
{% endif %}

current_votes as (

    select stg_comment_votes.*
    from {{ ref('stg_comment_votes') }} as stg_comment_votes
    {% if is_incremental() %}
        inner join changed
            on
                stg_comment_votes.user_id = changed.user_id
                and stg_comment_votes.comment_id = changed.comment_id
    {% endif %}
    where stg_comment_votes.vote <> 'none' and not stg_comment_votes.is_deleted

),

joined as (

    select
        ---------- dimensions
        {{ pointer_keys(movie=false) }},

        ---------- ids
        current_votes.user_id,
        current_votes.comment_id,
        current_votes.event_id,

        ---------- texts
        current_votes.vote,

        ---------- measures
        case current_votes.vote when 'up' then 1 else -1 end as vote_value,

        ---------- times
        current_votes.voted_at,

        ---------- lineage
        current_votes.lake_version
    from current_votes
    {{ pointer_joins('current_votes', 'voted_at', movie=false) }}

)

select * from joined
