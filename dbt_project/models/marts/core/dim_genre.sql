{{ config(
    indexes=[{'columns': ['genre_id'], 'unique': true}]
) }}

with genres as (

    select * from {{ ref('stg_genres') }}

),

members as (

    select
        {{ surrogate_key(['genre_id']) }} as genre_key,
        genre_id,
        name,
        lake_version
    from genres

    union all

    select
        {{ unknown_key() }} as genre_key,
        null as genre_id,
        'Unknown' as name,
        {{ unknown_key() }} as lake_version

)

select * from members
