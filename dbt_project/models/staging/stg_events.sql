select
    ---------- ids
    event_id,
    user_id,
    anonymous_id,
    visitor_id,
    resolved_user_id,
    session_id,
    movie_id,

    ---------- texts
    event_type,
    movie_title,
    movie_genre_ids,
    user_agent,
    browser,
    os,
    device,
    ip_hash,
    country,
    locale,
    referrer,
    referrer_class,
    app_version,
    screen,
    properties,

    ---------- numbers
    schema_version,
    rating,
    movie_runtime_minutes,
    local_hour,

    ---------- flags
    is_late,
    is_bot,

    ---------- times
    occurred_at,
    received_at,

    ---------- lineage
    kafka_topic,
    kafka_partition,
    kafka_offset,
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'events') }}
