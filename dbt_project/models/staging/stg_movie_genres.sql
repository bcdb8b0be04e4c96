with source as (

    select * from {{ source('silver', 'movie_genres') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        genre_id,

        ---------- lineage
        _lake_version as lake_version

    from source
    where not _deleted

)

select * from renamed
