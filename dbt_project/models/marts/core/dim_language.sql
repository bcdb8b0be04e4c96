{{ config(
    indexes=[{'columns': ['language_code'], 'unique': true}]
) }}

with languages as (

    select * from {{ ref('stg_languages') }}

),

members as (

    select
        {{ surrogate_key(['language_code']) }} as language_key,
        language_code,
        coalesce(english_name, iso_name, name, language_code) as name,
        name as native_name,
        iso_name,
        is_iso,
        lake_version
    from languages

    union all

    select
        {{ unknown_key() }} as language_key,
        null as language_code,
        'Unknown' as name,
        null as native_name,
        null as iso_name,
        false as is_iso,
        {{ unknown_key() }} as lake_version

)

select * from members
