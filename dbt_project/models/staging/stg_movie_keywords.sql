select
    ---------- ids
    movie_id,
    keyword_id,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_keywords') }}
where not _deleted
