with source as (

    select * from {{ source('silver', 'movie_cast') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        credit_id,
        person_id,

        ---------- texts
        character_name,

        ---------- numbers
        cast_order,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
