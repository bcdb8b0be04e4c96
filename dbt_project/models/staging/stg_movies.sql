with source as (

    select * from {{ source('silver', 'movies') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        imdb_id,

        ---------- texts
        title,
        original_title,
        original_language,
        overview,
        tagline,
        status,
        homepage,
        content_hash,

        ---------- numbers
        runtime_minutes,
        budget_usd,
        revenue_usd,
        popularity,
        vote_average,
        vote_count,

        ---------- flags
        adult as is_adult,

        ---------- times
        release_date,
        fetched_at,

        ---------- lineage
        _lake_version as lake_version,
        _deleted as is_deleted

    from source

)

select * from renamed
