{% set dimensions = {
    'dim_movie': ['movie_key', 'movie_id'],
    'dim_user': ['user_key', 'user_id'],
} %}

-- No gap and no overlap: a version ends when the next one of its movie or user begins, and the last
-- one is the current one.
with in_order as (

    {% for dimension, (key, natural_key) in dimensions.items() %}
        {{ 'union all' if not loop.first }}
        select
            '{{ dimension }}' as dimension,
            cast({{ natural_key }} as text) as member,
            version_number,
            valid_from,
            valid_to,
            is_current,
            row_number() over (partition by {{ natural_key }} order by valid_from) as place,
            lead(valid_from) over (partition by {{ natural_key }} order by valid_from) as next_from
        from {{ ref(dimension) }}
        where {{ key }} <> {{ unknown_key() }}
    {% endfor %}

)

select *
from in_order
where
    valid_from is null
    or version_number <> place
    or valid_to is distinct from next_from
    or valid_to <= valid_from
    or is_current <> (next_from is null)
