select
    movie_id,
    count(*) filter (where is_current) as current_versions
from {{ ref('dim_movie') }}
group by movie_id
having count(*) filter (where is_current) <> 1
