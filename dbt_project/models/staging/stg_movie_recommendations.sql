select
    ---------- ids
    user_id,
    movie_id,
    because_movie_id,
    model_id,

    ---------- numbers
    rank,
    score,
    predicted_rating,

    ---------- texts
    basis,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'movie_recommendations') }}
