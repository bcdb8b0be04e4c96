select
    ---------- ids
    user_id,
    movie_id,
    event_id,

    ---------- texts
    reaction,

    ---------- times
    reacted_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'movie_reactions') }}
