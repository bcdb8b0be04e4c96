{{ config(
    group='core',
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='event_id',
    on_schema_change='append_new_columns',
    indexes=[
        {'columns': ['user_id', 'occurred_at']},
        {'columns': ['lake_version']}
    ]
) }}

with events as (

    select * from {{ ref('stg_events') }}
    where
        event_type = 'user_upsert'
        {% if is_incremental() %}
            and {{ after_watermark() }}
        {% endif %}

),

-- JSON that PostgreSQL cannot hold, such as half of a surrogate pair, says nothing of a profile.
parsed as (

    select
        event_id,
        user_id,
        occurred_at,
        case
            when pg_input_is_valid(properties, 'jsonb') then cast(properties as jsonb)
        end as profile,
        is_deleted,
        lake_version
    from events

),

final as (

    select
        ---------- ids
        event_id,
        user_id,

        ---------- texts
        profile ->> 'name' as name,
        profile ->> 'email_hash' as email_hash,
        profile ->> 'country' as country,
        profile ->> 'locale' as locale,
        profile ->> 'timezone' as timezone,

        ---------- numbers
        case
            when profile ->> 'birth_year' ~ '^[0-9]{1,4}$'
                then cast(profile ->> 'birth_year' as integer)
        end as birth_year,

        ---------- flags
        is_deleted,

        ---------- times
        occurred_at,

        ---------- lineage
        lake_version
    from parsed

)

select * from final
