select
    ---------- ids
    movie_id,
    genre_id,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_genres') }}
where not _deleted
