select
    ---------- ids
    movie_id,
    language_code,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_languages') }}
where not _deleted
