{{ config(
    indexes=[{'columns': ['country_code'], 'unique': true}]
) }}

with countries as (

    select * from {{ ref('stg_countries') }}

),

members as (

    select
        {{ surrogate_key(['country_code']) }} as country_key,
        country_code,
        coalesce(name, iso_name, country_code) as name,
        iso_name,
        is_iso,
        lake_version
    from countries

    union all

    select
        {{ unknown_key() }} as country_key,
        null as country_code,
        'Unknown' as name,
        null as iso_name,
        false as is_iso,
        {{ unknown_key() }} as lake_version

)

select * from members
