select
    ---------- ids
    watch_id,
    visitor_id,
    user_id,
    resolved_user_id,
    anonymous_id,
    movie_id,
    play_id,
    session_id,

    ---------- numbers
    last_position_seconds,
    seconds_watched,
    event_count,

    ---------- flags
    is_completed,

    ---------- times
    started_at,
    ended_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'watch_history') }}
