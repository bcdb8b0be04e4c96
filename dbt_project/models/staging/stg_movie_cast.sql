select
    ---------- ids
    movie_id,
    credit_id,
    person_id,

    ---------- texts
    character_name,

    ---------- numbers
    cast_order,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'movie_cast') }}
where not _deleted
