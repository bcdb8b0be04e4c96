select
    ---------- ids
    genre_id,

    ---------- texts
    name,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'genres') }}
where not _deleted
