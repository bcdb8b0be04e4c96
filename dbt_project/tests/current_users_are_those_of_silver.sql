-- Versions come from events, users from silver.users: both must know the same users.
with silver as (

    select user_id
    from {{ ref('stg_users') }}
    where not is_deleted

),

gold as (

    select user_id
    from {{ ref('dim_user') }}
    where is_current and user_key <> {{ unknown_key() }}

)

select
    silver.user_id as silver_user_id,
    gold.user_id as gold_user_id
from silver
full join gold on silver.user_id = gold.user_id
where silver.user_id is null or gold.user_id is null
