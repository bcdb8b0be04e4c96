select
    ---------- ids
    user_id,
    movie_id,
    event_id,

    ---------- flags
    is_listed,

    ---------- times
    added_at,
    removed_at,
    changed_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'watchlist') }}
