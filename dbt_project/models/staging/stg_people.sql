select
    ---------- ids
    person_id,

    ---------- texts
    name,
    original_name,
    known_for_department,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'people') }}
where not _deleted
