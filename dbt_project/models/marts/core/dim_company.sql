{{ config(
    indexes=[{'columns': ['company_id'], 'unique': true}]
) }}

with production_companies as (

    select * from {{ ref('stg_production_companies') }}

),

members as (

    select
        {{ surrogate_key(['company_id']) }} as company_key,
        company_id,
        coalesce(name, 'Unknown') as name,
        origin_country,
        origin_country_is_iso,
        name_is_shared,
        lake_version
    from production_companies

    union all

    select
        {{ unknown_key() }} as company_key,
        null as company_id,
        'Unknown' as name,
        null as origin_country,
        null as origin_country_is_iso,
        false as name_is_shared,
        {{ unknown_key() }} as lake_version

)

select * from members
