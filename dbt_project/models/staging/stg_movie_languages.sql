with source as (

    select * from {{ source('silver', 'movie_languages') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        language_code,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
