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

-- Another message of an event may take its place in silver, one that was received before it: then
-- it may be of another user, time or type.
with events as (

    select
        events.event_id,
        events.properties,
        events.lake_version,
        events.is_deleted or events.event_type <> 'user_upsert' as is_deleted,
        {% if is_incremental() %}
            case
                when events.event_type = 'user_upsert' then events.user_id else held.user_id
            end as user_id,
            case
                when events.event_type = 'user_upsert' then events.occurred_at
                else held.occurred_at
            end as occurred_at,
            case
                when
                    events.event_type = 'user_upsert'
                    and (held.user_id, held.occurred_at) <> (events.user_id, events.occurred_at)
                    then concat_ws(
                        ',',
                        held.former_keys,
                        {{ version_key('held.user_id', 'held.occurred_at') }}
                    )
                else held.former_keys
            end as former_keys
        {% else %}
            events.user_id,
            events.occurred_at,
            cast(null as text) as former_keys
        {% endif %}
    from {{ ref('stg_events') }} as events
    {% if is_incremental() %}
        left join {{ this }} as held on events.event_id = held.event_id
    {% endif %}
    where
        {% if is_incremental() %}
            {{ after_watermark('events.lake_version') }}
            and (events.event_type = 'user_upsert' or held.event_id is not null)
        {% else %}
            events.event_type = 'user_upsert'
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
        former_keys,
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
        former_keys,
        lake_version
    from parsed

)

select * from final
