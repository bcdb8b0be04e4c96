{{ config(
    indexes=[{'columns': ['keyword_id'], 'unique': true}]
) }}

with keywords as (

    select * from {{ ref('stg_keywords') }}

),

members as (

    select
        {{ surrogate_key(['keyword_id']) }} as keyword_key,
        keyword_id,
        coalesce(name, 'Unknown') as name,
        lake_version
    from keywords

    union all

    select
        {{ unknown_key() }} as keyword_key,
        null as keyword_id,
        'Unknown' as name,
        {{ unknown_key() }} as lake_version

)

select * from members
