select
    ---------- ids
    country_code,

    ---------- texts
    name,
    iso_name,

    ---------- flags
    is_iso,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'countries') }}
where not _deleted
