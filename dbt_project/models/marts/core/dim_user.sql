{{ config(
    indexes=[
        {'columns': ['user_id', 'version_number'], 'unique': true},
        {'columns': ['country']}
    ]
) }}

-- Who the users are is in dim_user_personal, which not every analyst may read.
with members as (

    select
        user_key,
        user_id,
        version_number,
        valid_from,
        valid_to,
        is_current,
        email_hash,
        country,
        locale,
        timezone,
        first_seen_at,
        last_seen_at,
        event_count,
        lake_version
    from {{ ref('int_user_versions') }}

    union all

    select
        {{ unknown_key() }} as user_key,
        null as user_id,
        1 as version_number,
        null as valid_from,
        null as valid_to,
        true as is_current,
        null as email_hash,
        null as country,
        null as locale,
        null as timezone,
        null as first_seen_at,
        null as last_seen_at,
        null as event_count,
        {{ unknown_key() }} as lake_version

)

select * from members
