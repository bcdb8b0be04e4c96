select
    ---------- ids
    movie_id,
    credit_id,
    person_id,

    ---------- texts
    department,
    job,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_crew') }}
where not _deleted
