select
    event_id,
    rating
from {{ ref('ratings') }}
where rating is null or rating not between 0.5 and 10 or rating * 2 <> trunc(rating * 2)

union all

-- Among the events, a rating stands on rating events and nowhere else.
select
    event_id,
    rating
from {{ ref('fact_user_event') }}
where
    (event_type = 'rating') <> (rating is not null)
    or rating not between 0.5 and 10
    or rating * 2 <> trunc(rating * 2)
