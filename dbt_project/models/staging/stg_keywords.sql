select
    ---------- ids
    keyword_id,

    ---------- texts
    name,

    ---------- lineage
    _lake_version as lake_version

from {{ source('silver', 'keywords') }}
where not _deleted
