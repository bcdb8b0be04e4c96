select
    ---------- ids
    movie_id,
    country_code,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_countries') }}
where not _deleted
