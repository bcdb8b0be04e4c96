with sessions as (

    select * from {{ ref('int_session_steps') }}

),

counted as (

    select
        date_day,
        device,
        count(*) as session_count,
        count(*) filter (where has_movie_view) as view_session_count,
        count(*) filter (where has_play) as play_session_count,
        count(*) filter (where has_play_complete) as complete_session_count,
        count(*) filter (where has_rating) as rating_session_count
    from sessions
    group by date_day, device

),

final as (

    select
        ---------- ids
        date_day,
        device,

        ---------- measures
        session_count,
        view_session_count,
        play_session_count,
        complete_session_count,
        rating_session_count,
        {{ share_of('view_session_count', 'session_count') }} as view_share,
        {{ share_of('play_session_count', 'view_session_count') }} as play_share,
        {{ share_of('complete_session_count', 'play_session_count') }} as complete_share,
        {{ share_of('rating_session_count', 'complete_session_count') }} as rating_share
    from counted

)

select * from final
