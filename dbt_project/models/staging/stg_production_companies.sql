select
    ---------- ids
    company_id,

    ---------- texts
    name,
    origin_country,

    ---------- flags
    origin_country_is_iso,
    name_is_shared,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'production_companies') }}
where not _deleted
