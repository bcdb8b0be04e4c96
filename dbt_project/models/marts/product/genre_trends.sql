with genre_months as (

    select * from {{ ref('int_genre_months') }}

),

genres as (

    select * from {{ ref('dim_genre') }}

),

-- The month before is that of the calendar; one without any event is nothing to compare with.
compared as (

    select
        genre_months.*,
        sum(genre_months.play_count) over (
            partition by genre_months.month_start
        ) as month_play_count,
        earlier.play_count as previous_play_count
    from genre_months
    left join genre_months as earlier
        on
            genre_months.genre_key = earlier.genre_key
            and genre_months.month_start
            = cast(earlier.month_start + interval '1 month' as date)

),

final as (

    select
        ---------- ids
        compared.genre_key,
        compared.month_start,
        genres.name as genre,

        ---------- measures
        compared.event_count,
        compared.visitor_count,
        compared.play_count,
        compared.rating_count,
        compared.mean_rating,
        {{ share_of('compared.play_count', 'compared.month_play_count') }} as play_share,
        compared.previous_play_count,
        {{ share_of(
            '(compared.play_count - compared.previous_play_count)', 'compared.previous_play_count'
        ) }} as play_change
    from compared
    inner join genres on compared.genre_key = genres.genre_key

)

select * from final
