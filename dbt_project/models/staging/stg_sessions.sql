with source as (

    select * from {{ source('silver', 'sessions') }}

),

renamed as (

    select
        ---------- ids
        session_id,
        visitor_id,
        user_id,
        anonymous_id,
        client_session_id,

        ---------- numbers
        event_count,

        ---------- flags
        is_given,

        ---------- times
        started_at,
        ended_at,

        ---------- lineage
        _lake_version as lake_version,
        _deleted as is_deleted

    from source

)

select * from renamed
