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
    original_language_is_iso,
    is_deleted as is_deleted_in_tmdb,

    ---------- times
    release_date,
    fetched_at,
    deleted_at as deleted_in_tmdb_at,
    keywords_at,
    credits_at,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'movies') }}
