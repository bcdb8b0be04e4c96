with source as (

    select * from {{ source('silver', 'countries') }}

),

renamed as (

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

    from source
    where not _deleted

)

select * from renamed
