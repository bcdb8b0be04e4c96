with user_weeks as (

    select distinct
        active_user_id,
        cast(date_trunc('week', cast(activity_date as timestamp)) as date) as activity_week
    from {{ ref('int_user_days') }}
    where activity_date between date '{{ var("first_date") }}' and date '{{ var("last_date") }}'

),

cohorts as (

    select
        active_user_id,
        activity_week,
        min(activity_week) over (partition by active_user_id) as cohort_week
    from user_weeks

),

sizes as (

    select
        cohort_week,
        count(distinct active_user_id) as cohort_size
    from cohorts
    group by cohort_week

),

last_weeks as (

    select max(activity_week) as last_week from user_weeks

),

active as (

    select
        cohort_week,
        (activity_week - cohort_week) / 7 as week_number,
        count(*) as active_user_count
    from cohorts
    group by cohort_week, week_number

),

-- The first weeks are told without anybody too, as far as there is data; of the later ones, of
-- which there may be hundreds, those in which somebody was there.
weeks as (

    select
        sizes.cohort_week,
        series.week_number
    from sizes
    cross join last_weeks
    cross join
        generate_series(
            0,
            least((last_weeks.last_week - sizes.cohort_week) / 7, {{ var('retention_weeks') }})
        ) as series (week_number)
    union
    select
        cohort_week,
        week_number
    from active

),

filled as (

    select
        weeks.cohort_week,
        weeks.week_number,
        sizes.cohort_size,
        coalesce(active.active_user_count, 0) as active_user_count
    from weeks
    inner join sizes on weeks.cohort_week = sizes.cohort_week
    left join active
        on weeks.cohort_week = active.cohort_week and weeks.week_number = active.week_number

),

final as (

    select
        *,
        {{ share_of('active_user_count', 'cohort_size') }} as retention_share
    from filled

)

select * from final
