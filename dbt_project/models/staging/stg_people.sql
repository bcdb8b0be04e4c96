with source as (

    select * from {{ source('silver', 'people') }}

),

renamed as (

    select
        ---------- ids
        person_id,

        ---------- texts
        name,
        original_name,
        known_for_department,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
