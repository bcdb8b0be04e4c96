select
    ---------- ids
    user_id,
    movie_id,
    event_id,

    ---------- numbers
    rating,

    ---------- flags
    is_removed,

    ---------- times
    rated_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'ratings') }}
