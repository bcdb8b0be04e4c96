with source as (

    select * from {{ source('ops', 'ledger') }}

),

renamed as (

    select
        run_id,
        hop,
        rows as row_count,
        recorded_at
    from source

)

select * from renamed
