-- Each year has as many days as its 31 December says: no month is cut and no day is missing.
select
    year_number,
    count(*) as day_count
from {{ ref('dim_date') }}
where date_key <> {{ unknown_key() }}
group by year_number
having count(*) <> extract(doy from make_date(year_number, 12, 31))
