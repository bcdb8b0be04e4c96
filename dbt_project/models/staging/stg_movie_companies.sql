with source as (

    select * from {{ source('silver', 'movie_companies') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        company_id,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
