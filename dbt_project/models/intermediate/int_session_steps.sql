{{ config(
    group='product',
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='session_id',
    on_schema_change='append_new_columns',
    post_hook="{{ delete_empty() }}",
    indexes=[
        {'columns': ['date_day']},
        {'columns': ['lake_version']}
    ]
) }}

{% set event_places = ref('int_event_places') %}
{% set facts = ref('fact_user_event') %}
{% set steps = ['movie_view', 'play', 'play_complete', 'rating'] %}

with
{% if is_incremental() %}
    changed as (

        select distinct session_id
        from {{ event_places }}
        where {{ after_watermark() }}

    ),

    members as (

        select distinct places.event_id
        from {{ event_places }} as places
        inner join changed on places.session_id = changed.session_id

    ),
{% endif %}

events as (

    select
        facts.event_id,
        facts.session_id,
        facts.movie_id,
        facts.event_type,
        facts.device,
        facts.occurred_at,
        facts.lake_version
    {% if is_incremental() %}
        from members
        cross join {{ looked_up(facts, 'looked_up.event_id = members.event_id') }} as facts
    {% else %}
        from {{ facts }} as facts
    {% endif %}
    where facts.is_bot is not true

),

-- When a session first reached each step with a movie, after it had reached the one before.
{% for step in steps %}
    {% set before = loop.previtem %}
    {{ step }}_steps as (

        select
            *,
            min(occurred_at) filter (
                where
                event_type = '{{ step }}'
                {% if before %}
                    and occurred_at >= {{ before }}_at
                {% else %}
                    and movie_id is not null
                {% endif %}
            ) over (partition by session_id, movie_id) as {{ step }}_at
        from {% if before %}{{ before }}_steps{% else %}events{% endif %}

    ),
{% endfor %}

summed as (

    select
        session_id,
        {{ utc_date('min(occurred_at)') }} as date_day,
        coalesce(
            (array_agg(device order by occurred_at, event_id) filter (where device is not null))[1],
            'Unknown'
        ) as device,
        {% for step in steps %}
            count({{ step }}_at) > 0 as has_{{ step }},
        {% endfor %}
        count(*) as event_count,
        max(lake_version) as lake_version
    from {{ steps | last }}_steps
    group by session_id

),

sessions as (

    select session_id
    from {% if is_incremental() %}changed{% else %}summed{% endif %}

),

final as (

    select
        sessions.session_id,
        summed.date_day,
        summed.device,
        {% for step in steps %}
            coalesce(summed.has_{{ step }}, false) as has_{{ step }},
        {% endfor %}
        coalesce(summed.event_count, 0) as event_count,
        coalesce(summed.lake_version, {{ unknown_key() }}) as lake_version
    from sessions
    left join summed on sessions.session_id = summed.session_id

)

select * from final
