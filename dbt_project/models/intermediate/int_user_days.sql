{{ config(
    group='product',
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['active_user_id', 'activity_date'],
    on_schema_change='append_new_columns',
    post_hook="{{ delete_empty() }}",
    indexes=[{'columns': ['lake_version']}]
) }}

{% set event_places = ref('int_event_places') %}

with
{% if is_incremental() %}
    changed as (

        select distinct
            active_user_id,
            activity_date
        from {{ event_places }}
        where {{ after_watermark() }}

    ),

    members as (

        select distinct places.event_id
        from {{ event_places }} as places
        inner join changed
            on
                places.active_user_id = changed.active_user_id
                and places.activity_date = changed.activity_date

    ),
{% endif %}

events as (

    select
        {{ active_user_id() }} as active_user_id,
        {{ utc_date('facts.occurred_at') }} as activity_date,
        facts.event_type,
        facts.lake_version
    from {{ ref('fact_user_event') }} as facts
    {% if is_incremental() %}
        inner join members on facts.event_id = members.event_id
    {% endif %}
    where facts.is_bot is not true

),

summed as (

    select
        active_user_id,
        activity_date,
        count(*) as event_count,
        count(*) filter (where event_type = 'play') as play_count,
        max(lake_version) as lake_version
    from events
    group by active_user_id, activity_date

),

days as (

    select
        active_user_id,
        activity_date
    from {% if is_incremental() %}changed{% else %}summed{% endif %}

),

final as (

    select
        days.active_user_id,
        days.activity_date,
        coalesce(summed.event_count, 0) as event_count,
        coalesce(summed.play_count, 0) as play_count,
        coalesce(summed.lake_version, {{ unknown_key() }}) as lake_version
    from days
    left join summed
        on
            days.active_user_id = summed.active_user_id
            and days.activity_date = summed.activity_date

)

select * from final
