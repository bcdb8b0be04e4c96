with source as (

    select * from {{ source('silver', 'movie_keywords') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        keyword_id,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
