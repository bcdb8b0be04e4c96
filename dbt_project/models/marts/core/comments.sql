{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='comment_id',
    on_schema_change='append_new_columns',
    pre_hook="{{ note_watermark() }}",
    post_hook="{{ delete_gone(ref('stg_comments'), ['comment_id']) }}",
    indexes=[
        {'columns': ['movie_key', 'commented_at']},
        {'columns': ['user_key']},
        {'columns': ['date_key']},
        {'columns': ['thread_id']},
        {'columns': ['parent_comment_id']},
        {'columns': ['lake_version']},
        {'columns': ['votes_lake_version']}
    ]
) }}

{% set stale = stale_pointers(['comment_id'], moment='commented_at') %}

-- What is said of a comment depends on its whole thread, so threads are computed whole. A comment
-- changes its thread when the one it answers arrives; then all below it changed in silver too.
with recursive
{% if is_incremental() %}
    changed as (

        select comment_id
        from {{ ref('stg_comments') }}
        where {{ after_watermark() }}
        union
        select comment_id
        from {{ ref('stg_comment_votes') }}
        where {{ after_watermark(mark='votes_lake_version') }}
        union
        {{ stale }}

    ),

    changed_threads as (

        select distinct stg_comments.thread_id
        from {{ ref('stg_comments') }} as stg_comments
        inner join changed on stg_comments.comment_id = changed.comment_id

    ),
{% endif %}

current_comments as (

    select stg_comments.*
    from {{ ref('stg_comments') }} as stg_comments
    {% if is_incremental() %}
        inner join changed_threads on stg_comments.thread_id = changed_threads.thread_id
    {% endif %}
    where not stg_comments.is_deleted

),

votes as (

    select stg_comment_votes.*
    from {{ ref('stg_comment_votes') }} as stg_comment_votes
    inner join current_comments on stg_comment_votes.comment_id = current_comments.comment_id
    where not stg_comment_votes.is_deleted

),

-- Each comment with every other one above it. `union` takes a pair once, so that a circle ends.
lineage as (

    select
        parent_comment_id as ancestor_id,
        comment_id,
        is_deleted_by_author
    from current_comments
    where parent_comment_id is not null

    union

    select
        above.parent_comment_id as ancestor_id,
        lineage.comment_id,
        lineage.is_deleted_by_author
    from lineage
    inner join current_comments as above on lineage.ancestor_id = above.comment_id
    where above.parent_comment_id is not null

),

replies as (

    select
        ancestor_id as comment_id,
        count(*) as reply_count
    from lineage
    where ancestor_id <> comment_id and not is_deleted_by_author
    group by ancestor_id

),

direct_replies as (

    select
        parent_comment_id as comment_id,
        count(*) as direct_reply_count
    from current_comments
    where parent_comment_id <> comment_id and not is_deleted_by_author
    group by parent_comment_id

),

scores as (

    select
        comment_id,
        count(*) filter (where vote = 'up') as upvote_count,
        count(*) filter (where vote = 'down') as downvote_count,
        max(lake_version) as votes_lake_version
    from votes
    group by comment_id

),

joined as (

    select
        ---------- dimensions
        {{ pointer_keys() }},

        ---------- ids
        current_comments.comment_id,
        current_comments.user_id,
        current_comments.movie_id,
        current_comments.parent_comment_id,
        current_comments.thread_id,
        current_comments.event_id,

        ---------- texts
        current_comments.path,
        case when not current_comments.is_deleted_by_author then current_comments.text end as text,

        ---------- measures
        current_comments.depth,
        coalesce(direct_replies.direct_reply_count, 0) as direct_reply_count,
        coalesce(replies.reply_count, 0) as reply_count,
        coalesce(scores.upvote_count, 0) as upvote_count,
        coalesce(scores.downvote_count, 0) as downvote_count,
        coalesce(scores.upvote_count - scores.downvote_count, 0) as score,

        ---------- flags
        current_comments.is_edited,
        current_comments.is_deleted_by_author as is_deleted,

        ---------- times
        current_comments.commented_at,
        current_comments.edited_at,
        current_comments.deleted_at,

        ---------- lineage
        current_comments.lake_version,
        coalesce(scores.votes_lake_version, {{ unknown_key() }}) as votes_lake_version
    from current_comments
    {{ pointer_joins('current_comments', 'commented_at') }}
    left join replies on current_comments.comment_id = replies.comment_id
    left join direct_replies on current_comments.comment_id = direct_replies.comment_id
    left join scores on current_comments.comment_id = scores.comment_id

)

select * from joined
