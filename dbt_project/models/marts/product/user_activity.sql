{% set windows = {'dau': 1, 'wau': 7, 'mau': 30} %}

with user_days as (

    select
        active_user_id,
        activity_date,
        lead(activity_date) over (
            partition by active_user_id order by activity_date
        ) as next_activity_date
    from {{ ref('int_user_days') }}
    where activity_date between date '{{ var("first_date") }}' and date '{{ var("last_date") }}'

),

bounds as (

    select
        min(activity_date) as first_day,
        max(activity_date) as last_day
    from user_days

),

days as (

    select dates.date_day
    from {{ ref('dim_date') }} as dates
    inner join bounds on dates.date_day between bounds.first_day and bounds.last_day

),

-- An active day counts its user for the whole window, or until the next active day takes over. So
-- each comes in once and goes out once, however long the window is.
comings_and_goings as (

    {% for name, length in windows.items() %}
        select
            activity_date as date_day,
            '{{ name }}' as window_name,
            1 as user_change
        from user_days
        union all
        select
            least(activity_date + {{ length }}, next_activity_date) as date_day,
            '{{ name }}' as window_name,
            -1 as user_change
        from user_days
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

daily as (

    select
        date_day,
        sum(user_change) filter (where window_name = 'dau') as dau,
        sum(user_change) filter (where window_name = 'wau') as wau,
        sum(user_change) filter (where window_name = 'mau') as mau
    from comings_and_goings
    group by date_day

),

running as (

    select
        days.date_day,
        cast(sum(coalesce(daily.dau, 0)) over (order by days.date_day) as bigint) as dau,
        cast(sum(coalesce(daily.wau, 0)) over (order by days.date_day) as bigint) as wau,
        cast(sum(coalesce(daily.mau, 0)) over (order by days.date_day) as bigint) as mau
    from days
    left join daily on days.date_day = daily.date_day

),

final as (

    select
        date_day,
        dau,
        wau,
        mau,
        {{ share_of('dau', 'mau') }} as stickiness
    from running

)

select * from final
