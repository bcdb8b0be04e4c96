{{ config(
    indexes=[{'columns': ['user_id'], 'unique': true}]
) }}

with users as (

    select * from {{ ref('stg_users') }}
    where not is_deleted

),

members as (

    select
        {{ surrogate_key(['user_id']) }} as user_key,
        user_id,
        name,
        email_hash,
        country,
        locale,
        timezone,
        birth_year,
        first_seen_at,
        last_seen_at,
        event_count,
        lake_version
    from users

    union all

    select
        {{ unknown_key() }} as user_key,
        null as user_id,
        'Unknown' as name,
        null as email_hash,
        null as country,
        null as locale,
        null as timezone,
        null as birth_year,
        null as first_seen_at,
        null as last_seen_at,
        null as event_count,
        {{ unknown_key() }} as lake_version

)

select * from members
