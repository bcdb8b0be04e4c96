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
{% set doublings = 20 %}{# A chain of a million answers, which is what a batch may bring. #}

-- What is said of a comment depends on its whole thread, so threads are computed whole. A comment
-- changes its thread when the one it answers arrives, or when it turns out to answer another; then
-- all below it changed in silver too.
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
        -- And the thread that it stood in, which has lost it.
        union
        select held.thread_id
        from {{ this }} as held
        inner join changed on held.comment_id = changed.comment_id

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

-- A chain of answers has no end, and its pairs of comments are as many as the square of its length.
-- So answers are summed up in steps that double: those of a distance of 1, of 2 and 3, of 4 to 7
-- and so on. Step n has the comments that have an ancestor 2^n above them, with the answers below
-- each that are nearer than that, itself among them.
step_0 as (

    select
        answering.comment_id,
        answered.comment_id as ancestor_id,
        cast(not answering.is_deleted_by_author as integer) as answers
    from current_comments as answering
    inner join current_comments as answered on answering.parent_comment_id = answered.comment_id
    -- Where a thread is a circle, its first comment answers another of it.
    where answering.comment_id <> answering.thread_id

),

{% for step in range(doublings) %}
    below_{{ step }} as (

        select
            ancestor_id as comment_id,
            cast(sum(answers) as bigint) as answers
        from step_{{ step }}
        group by ancestor_id

    ),

    step_{{ step + 1 }} as (

        select
            near.comment_id,
            far.ancestor_id,
            near.answers + coalesce(below_{{ step }}.answers, 0) as answers
        from step_{{ step }} as near
        inner join step_{{ step }} as far on near.ancestor_id = far.comment_id
        left join below_{{ step }} on near.comment_id = below_{{ step }}.comment_id

    ),
{% endfor %}

-- Each comment of a circle is below each other one, and so is all else in its thread.
circles as (

    select
        parent_comment_id as comment_id,
        thread_id
    from current_comments
    where comment_id = thread_id and parent_comment_id is not null

    union

    select
        answering.parent_comment_id as comment_id,
        answering.thread_id
    from circles
    inner join current_comments as answering on circles.comment_id = answering.comment_id

),

threads as (

    select
        thread_id,
        count(*) filter (where not is_deleted_by_author) as answers
    from current_comments
    group by thread_id

),

in_circles as (

    select
        members.comment_id,
        threads.answers - cast(not members.is_deleted_by_author as integer) as reply_count
    from circles
    inner join current_comments as members on circles.comment_id = members.comment_id
    inner join threads on circles.thread_id = threads.thread_id

),

in_steps as (

    {% for step in range(doublings) %}
        {{ 'union all' if not loop.first }}
        select
            comment_id,
            answers
        from below_{{ step }}
    {% endfor %}

),

in_chains as (

    select
        comment_id,
        sum(answers) as reply_count
    from in_steps
    group by comment_id

),

replies as (

    select
        coalesce(in_circles.comment_id, in_chains.comment_id) as comment_id,
        cast(coalesce(in_circles.reply_count, in_chains.reply_count) as bigint) as reply_count
    from in_chains
    full join in_circles on in_chains.comment_id = in_circles.comment_id

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
