select
    ---------- ids
    movie_id,
    similar_movie_id,
    model_id,

    ---------- numbers
    rank,
    score,

    ---------- texts
    basis,

    ---------- lineage
    _lake_version as lake_version,
    _deleted as is_deleted

from {{ source('silver', 'similar_movies') }}
