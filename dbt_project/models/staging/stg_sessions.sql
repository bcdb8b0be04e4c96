select
    ---------- ids
    session_id,
    visitor_id,
    user_id,
    resolved_user_id,
    anonymous_id,
    client_session_id,
    entry_page,
    exit_page,

    ---------- circumstances
    device,
    browser,
    os,

    ---------- numbers
    event_count,
    page_view_count,
    movie_view_count,
    search_count,
    play_count,
    play_complete_count,
    rating_count,
    comment_count,
    duration_seconds,
    seconds_watched,

    ---------- flags
    is_given,
    is_bounce,
    is_bot,

    ---------- times
    started_at,
    ended_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'sessions') }}
