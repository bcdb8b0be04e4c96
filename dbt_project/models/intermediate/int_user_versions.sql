{{ config(group='core') }}

{% set profile = ['name', 'email_hash', 'country', 'locale', 'timezone', 'birth_year'] %}

with users as (

    select * from {{ ref('stg_users') }}
    where not is_deleted

),

upserts as (

    select * from {{ ref('int_user_upserts') }}
    where not is_deleted

),

-- A profile says of each column what the latest upsert that gave it did.
profiles as (

    select
        {% for column in profile %}{{ latest_so_far(column, 'so_far') }} as {{ column }},
        {% endfor %}
        user_id,
        occurred_at,
        event_id
    from upserts
    window
        so_far as (
            partition by user_id order by occurred_at, event_id
            rows between unbounded preceding and current row
        )

),

-- Of upserts at one instant the last one counts: a version that ends as it begins is none.
instants as (

    select distinct on (user_id, occurred_at)
        *,
        cast(
            array[
                {% for column in profile %}cast({{ column }} as text){{ ',' if not loop.last }}
                {% endfor %}
            ] as text
        ) as whole_profile
    from profiles
    order by user_id asc, occurred_at asc, event_id desc

),

compared as (

    select
        *,
        lag(whole_profile) over (partition by user_id order by occurred_at) as profile_before
    from instants

),

numbered as (

    select
        *,
        cast(
            row_number() over (partition by user_id order by occurred_at) as integer
        ) as version_number,
        lead(occurred_at) over (partition by user_id order by occurred_at) as next_at
    from compared
    where whole_profile is distinct from profile_before

),

-- The first version holds since the user was first seen. The current one says what silver does.
versions as (

    select
        users.user_id,
        coalesce(numbered.version_number, 1) as version_number,
        case
            when coalesce(numbered.version_number, 1) = 1 then users.first_seen_at
            else numbered.occurred_at
        end as valid_from,
        numbered.next_at as valid_to,
        numbered.next_at is null as is_current,
        {% for column in profile %}
            case
                when numbered.next_at is null then users.{{ column }} else numbered.{{ column }}
            end as {{ column }},
        {% endfor %}
        users.first_seen_at,
        users.last_seen_at,
        users.event_count,
        users.lake_version
    from users
    left join numbered on users.user_id = numbered.user_id

),

final as (

    select
        {{ user_version_key('user_id', 'version_number', 'valid_from') }} as user_key,
        user_id,
        version_number,
        valid_from,
        valid_to,
        is_current,
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
    from versions

)

select * from final
