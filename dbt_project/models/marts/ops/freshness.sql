-- What the contracts promise: the time of a row, and how many hours the newest may be old.
{% set promises = {
    'events': ('received_at', 24),
    'movies': ('fetched_at', 720),
} %}

with published as (

    select
        table_name,
        lake_version,
        loaded_at as published_at
    from {{ source('ops', 'watermarks') }}
    where table_name like 'silver.%'

),

newest as (

    {% for table, (loaded_at, hours) in promises.items() %}
        select
            'silver.{{ table }}' as table_name,
            max({{ loaded_at }}) as newest_row_at,
            {{ hours }} as allowed_age_hours
        from {{ source('silver', table) }}
        where not _deleted
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

joined as (

    select
        published.table_name,
        published.lake_version,
        published.published_at,
        newest.newest_row_at,
        cast(
            extract(epoch from now() - newest.newest_row_at) / 3600 as double precision
        ) as age_hours,
        newest.allowed_age_hours
    from published
    left join newest on published.table_name = newest.table_name

),

final as (

    select
        *,
        age_hours <= allowed_age_hours as is_fresh
    from joined

)

select * from final
