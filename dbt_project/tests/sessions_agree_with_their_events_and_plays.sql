{% set counted = [
    'page_view', 'movie_view', 'search', 'play', 'play_complete', 'rating', 'comment'
] %}

-- A session counts the events that point to it, by type, and whether there is more than one of
-- interest; the seconds watched of a visitor's sessions are those of the visitor's plays. What a
-- session does not know (null) it cannot contradict, and an event or a play may know a session that
-- is still to come.
--
-- Silver writes a batch table by table, so a publication beside it may hold a batch in part. Then
-- the sums differ, and the visitors whom the newest version of the events touched are left to the
-- next build, unless there is no other version.
with facts as (

    select
        session_id,
        visitor_id,
        event_type,
        lake_version
    from {{ ref('fact_user_event') }}

),

sessions as (

    select * from {{ ref('dim_session') }}
    where session_id is not null

),

newest as (

    select max(lake_version) as lake_version
    from facts
    having
        min(lake_version) < max(lake_version)
        and count(*) <> (select sum(sessions.event_count) from sessions)

),

unsettled as (

    select distinct facts.visitor_id
    from facts
    inner join newest on facts.lake_version = newest.lake_version

),

settled as (

    select sessions.*
    from sessions
    left join unsettled on sessions.visitor_id = unsettled.visitor_id
    where unsettled.visitor_id is null

),

of_events as (

    select
        session_id,
        {% for type in counted %}
            count(*) filter (where event_type = '{{ type }}') as {{ type }}_count,
        {% endfor %}
        count(*) as event_count,
        count(*) filter (
            where event_type not in ('session_start', 'session_end')
        ) <= 1 as is_bounce
    from facts
    group by session_id

),

of_plays as (

    select
        visitor_id,
        sum(cast(seconds_watched as numeric)) as seconds_watched,
        min(session_key) = {{ unknown_key() }} as is_ahead
    from {{ ref('watch_history') }}
    group by visitor_id

),

of_visitors as (

    select
        visitor_id,
        count(*) as session_count,
        sum(cast(seconds_watched as numeric)) as seconds_watched
    from settled
    group by visitor_id
    having count(*) = count(seconds_watched)

)

select
    settled.visitor_id,
    settled.session_id,
    'another number of events' as problem
from settled
left join of_events on settled.session_id = of_events.session_id
where
    settled.event_count <> coalesce(of_events.event_count, 0)
    or settled.is_bounce <> of_events.is_bounce
    {% for type in counted %}
        or settled.{{ type }}_count <> of_events.{{ type }}_count
    {% endfor %}
union all
select
    of_visitors.visitor_id,
    null as session_id,
    'other seconds than those of the plays' as problem
from of_visitors
left join of_plays on of_visitors.visitor_id = of_plays.visitor_id
where
    of_plays.is_ahead is not true
    -- Sessions round to a millionth; floats have some sixteen digits.
    and abs(of_visitors.seconds_watched - coalesce(of_plays.seconds_watched, 0))
    > 0.000001 * of_visitors.session_count + 0.000000001 * of_visitors.seconds_watched
