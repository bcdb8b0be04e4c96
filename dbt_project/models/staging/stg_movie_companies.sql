select
    ---------- ids
    movie_id,
    company_id,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_companies') }}
where not _deleted
