with source as (

    select * from {{ source('silver', 'movie_crew') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        credit_id,
        person_id,

        ---------- texts
        department,
        job,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
