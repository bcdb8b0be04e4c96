{% set counted = [
    'page_view', 'movie_view', 'search', 'play', 'play_complete', 'rating', 'comment'
] %}

-- A session counts the events that point to it, by type, and whether there is more than one of
-- interest; the seconds watched of a visitor's sessions are those of the visitor's plays. What a
-- session does not know (null) it cannot contradict, and an event or a play may know a session that
-- is still to come.
with facts as (

    select
        session_id,
        event_type
    from {{ ref('fact_user_event') }}

),

sessions as (

    select * from {{ ref('dim_session') }}
    where session_id is not null

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
    from sessions
    group by visitor_id
    having count(*) = count(seconds_watched)

)

select
    sessions.visitor_id,
    sessions.session_id,
    'another number of events' as problem
from sessions
left join of_events on sessions.session_id = of_events.session_id
where
    sessions.event_count <> coalesce(of_events.event_count, 0)
    or sessions.is_bounce <> of_events.is_bounce
    {% for type in counted %}
        or sessions.{{ type }}_count <> of_events.{{ type }}_count
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
