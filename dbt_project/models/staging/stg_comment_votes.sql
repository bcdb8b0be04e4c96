select
    ---------- ids
    user_id,
    comment_id,
    event_id,

    ---------- texts
    vote,

    ---------- times
    voted_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'comment_votes') }}
