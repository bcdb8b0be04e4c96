with source as (

    select * from {{ source('ops', 'gate_results') }}

),

renamed as (

    select
        ---------- ids
        run_id,
        gate,
        table_name,
        rule,

        ---------- texts
        severity,
        observed,
        expected,
        data_docs,

        ---------- measures
        rows_checked as row_count,

        ---------- flags
        success as is_passed,

        ---------- times
        recorded_at
    from source

)

select * from renamed
