with source as (

    select * from {{ source('silver', 'events') }}

),

renamed as (

    select
        ---------- ids
        event_id,
        user_id,
        anonymous_id,
        visitor_id,
        session_id,
        movie_id,

        ---------- texts
        event_type,
        user_agent,
        ip_hash,
        locale,
        referrer,
        app_version,
        screen,
        properties,

        ---------- numbers
        schema_version,
        rating,

        ---------- flags
        is_late,

        ---------- times
        occurred_at,
        received_at,

        ---------- lineage
        kafka_topic,
        kafka_partition,
        kafka_offset,
        _lake_version as lake_version,
        _deleted as is_deleted

    from source

)

select * from renamed
