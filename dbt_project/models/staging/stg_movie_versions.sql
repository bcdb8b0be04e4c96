select
    ---------- ids
    movie_id,

    ---------- texts
    title,
    status,
    popularity_bucket,
    genre_ids,

    ---------- flags
    is_current,

    ---------- times
    valid_from,
    valid_to,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'movie_versions') }}
