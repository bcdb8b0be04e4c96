select
    ---------- ids
    language_code,

    ---------- texts
    name,
    english_name,
    iso_name,

    ---------- flags
    is_iso,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'languages') }}
where not _deleted
