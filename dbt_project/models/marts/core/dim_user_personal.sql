{{ config(post_hook="{{ readable_by('analyst_pii') }}") }}

with members as (

    select
        user_key,
        name,
        birth_year
    from {{ ref('int_user_versions') }}

    union all

    select
        {{ unknown_key() }} as user_key,
        'Unknown' as name,
        null as birth_year

)

select * from members
