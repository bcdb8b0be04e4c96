{{ config(
    indexes=[{'columns': ['date_day'], 'unique': true}]
) }}

with bounds as (

    select
        {{ utc_date('min(occurred_at)') }} as first_day,
        {{ utc_date('max(occurred_at)') }} as last_day
    from {{ ref('stg_events') }}
    where
        not is_deleted
        and occurred_at >= timestamptz '{{ var("first_date") }} 00:00:00+00'
        and occurred_at < timestamptz '{{ var("last_date") }} 00:00:00+00' + interval '24 hours'

),

-- Whole years, so that no month or quarter of the calendar is cut.
days as (

    select cast(day as date) as date_day
    from bounds
    cross join
        generate_series(
            date_trunc('year', cast(first_day as timestamp)),
            date_trunc('year', cast(last_day as timestamp)) + interval '1 year - 1 day',
            interval '1 day'
        ) as series (day)

),

members as (

    select
        cast(to_char(date_day, 'YYYYMMDD') as integer) as date_key,
        date_day,
        cast(extract(year from date_day) as integer) as year_number,
        cast(extract(quarter from date_day) as integer) as quarter_number,
        cast(extract(month from date_day) as integer) as month_number,
        to_char(date_day, 'FMMonth') as month_name,
        cast(date_trunc('month', cast(date_day as timestamp)) as date) as month_start,
        cast(extract(isoyear from date_day) as integer) as iso_year,
        cast(extract(week from date_day) as integer) as iso_week,
        cast(extract(day from date_day) as integer) as day_of_month,
        cast(extract(isodow from date_day) as integer) as day_of_week,
        to_char(date_day, 'FMDay') as day_name,
        extract(isodow from date_day) in (6, 7) as is_weekend
    from days

    union all

    select
        {{ unknown_key() }} as date_key,
        null as date_day,
        null as year_number,
        null as quarter_number,
        null as month_number,
        'Unknown' as month_name,
        null as month_start,
        null as iso_year,
        null as iso_week,
        null as day_of_month,
        null as day_of_week,
        'Unknown' as day_name,
        null as is_weekend

)

select * from members
