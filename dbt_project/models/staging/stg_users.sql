select
    ---------- ids
    user_id,

    ---------- texts
    name,
    email_hash,
    country,
    locale,
    timezone,

    ---------- numbers
    birth_year,
    event_count,

    ---------- times
    first_seen_at,
    last_seen_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'users') }}
