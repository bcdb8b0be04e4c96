-- No gap and no overlap: a version ends when the next one of its movie begins, and the last one is
-- the current one.
with in_order as (

    select
        movie_id,
        valid_from,
        valid_to,
        is_current,
        lead(valid_from) over (partition by movie_id order by valid_from) as next_from
    from {{ ref('dim_movie') }}
    where movie_key <> {{ unknown_key() }}

)

select *
from in_order
where
    valid_from is null
    or valid_to is distinct from next_from
    or valid_to <= valid_from
    or is_current <> (next_from is null)
