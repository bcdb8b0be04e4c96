{{ config(
    indexes=[{'columns': ['person_id'], 'unique': true}]
) }}

with people as (

    select * from {{ ref('stg_people') }}

),

members as (

    select
        {{ surrogate_key(['person_id']) }} as person_key,
        person_id,
        coalesce(name, 'Unknown') as name,
        original_name,
        known_for_department,
        lake_version
    from people

    union all

    select
        {{ unknown_key() }} as person_key,
        null as person_id,
        'Unknown' as name,
        null as original_name,
        null as known_for_department,
        {{ unknown_key() }} as lake_version

)

select * from members
