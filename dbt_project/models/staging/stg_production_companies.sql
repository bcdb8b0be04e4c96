with source as (

    select * from {{ source('silver', 'production_companies') }}

),

renamed as (

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

    from source
    where not _deleted

)

select * from renamed
