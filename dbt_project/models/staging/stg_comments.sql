select
    ---------- ids
    comment_id,
    user_id,
    movie_id,
    parent_comment_id,
    thread_id,
    event_id,

    ---------- texts
    path,
    text,

    ---------- numbers
    depth,

    ---------- flags
    is_edited,
    is_deleted as is_deleted_by_author,

    ---------- times
    commented_at,
    edited_at,
    deleted_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'comments') }}
