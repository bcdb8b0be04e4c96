with source as (

    select * from {{ source('silver', 'keywords') }}

),

renamed as (

    select
        ---------- ids
        keyword_id,

        ---------- texts
        name,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
