-- Events %(first)s to %(last)s of one stream, and what silver makes of them. Ten events are a session; a session comes
-- every 155 seconds, so that a million events take half a year. Seven visitors of ten are signed in, one session of
-- fifty is a robot's. Movies are watched the more, the lower their number is.
create temporary table batch on commit drop as
with sessions as (
    select
        s as session_number,
        timestamptz '2024-01-01 00:00+00' + s * interval '155 seconds' as began_at,
        (s * 7919::bigint) %% 20000 as visitor_number,
        1 + floor(4999 * power((s * 2654435761) %% 4294967296 / 4294967296.0, 2))::bigint as movie_id,
        s %% 50 = 0 as is_bot
    from generate_series(%(first)s / 10, %(last)s / 10) as s
)

select
    e as event_number,
    md5('event ' || e)::uuid as event_id,
    case when e %% 10 = 0 and session_number %% 20 = 0 and visitor_number %% 10 < 7 then 'user_upsert' else (array[
        'session_start', 'movie_view', 'play', 'play_progress', 'play_complete', 'rating', 'movie_view',
        'watchlist_add', 'comment', 'movie_reaction'
    ])[1 + e %% 10] end as event_type,
    encode(sha256(('session ' || session_number)::bytea), 'hex') as session_id,
    case when visitor_number %% 10 < 7 then 'user ' || visitor_number end as user_id,
    case when visitor_number %% 10 >= 7 then 'device ' || visitor_number end as anonymous_id,
    case when visitor_number %% 10 < 7 then 'u:user ' else 'a:device ' end || visitor_number as visitor_id,
    1 + (movie_id + 37 * (e %% 10 / 6)) %% 5000 as movie_id,
    case when e %% 10 = 5 then (1 + (e * 31 / 10) %% 20) / 2.0 end as rating,
    began_at + (e %% 10) * interval '30 seconds' as occurred_at,
    (array['iPhone', 'Mac', 'Other', 'Generic Smartphone'])[1 + session_number %% 4] as device,
    is_bot
from sessions, generate_series(session_number * 10, session_number * 10 + 9) as e
where e between %(first)s and %(last)s;

insert into silver.events
    (event_id, event_type, schema_version, occurred_at, received_at, user_id, anonymous_id, visitor_id, session_id,
    movie_id, rating, is_late, kafka_topic, kafka_partition, kafka_offset, resolved_user_id, device, is_bot,
    properties, _lake_version)
select
    event_id, event_type, 1, occurred_at, occurred_at, user_id, anonymous_id, visitor_id, session_id,
    case when event_type not in ('session_start', 'user_upsert') then movie_id end, rating, false, 'user_logs', 0, event_number, user_id,
    device, is_bot, case when event_type = 'user_upsert' then '{"name": "Name"}' end, %(version)s
from batch;

insert into silver.sessions
    (session_id, visitor_id, user_id, resolved_user_id, anonymous_id, is_given, started_at, ended_at, event_count,
    _lake_version)
select
    session_id, visitor_id, user_id, user_id, anonymous_id, false, min(occurred_at), max(occurred_at), count(*),
    %(version)s
from batch
group by session_id, visitor_id, user_id, anonymous_id;

insert into silver.users (user_id, first_seen_at, last_seen_at, event_count, _lake_version)
select user_id, min(occurred_at), max(occurred_at), count(*), %(version)s
from batch
where user_id is not null
group by user_id
on conflict (user_id) do update set
    last_seen_at = excluded.last_seen_at, event_count = users.event_count + excluded.event_count,
    _lake_version = excluded._lake_version;

insert into silver.watch_history
    (watch_id, visitor_id, user_id, resolved_user_id, anonymous_id, movie_id, session_id, started_at, ended_at,
    last_position_seconds, seconds_watched, is_completed, event_count, _lake_version)
select
    encode(sha256(('play ' || session_id)::bytea), 'hex'), visitor_id, user_id, user_id, anonymous_id, movie_id,
    session_id, min(occurred_at), max(occurred_at), 5400, 5400, true, count(*), %(version)s
from batch
where event_type like 'play%%'
group by session_id, visitor_id, user_id, anonymous_id, movie_id;

insert into silver.ratings (user_id, movie_id, rating, event_id, rated_at, is_removed, _lake_version)
select distinct on (user_id, movie_id) user_id, movie_id, rating, event_id, occurred_at, false, %(version)s
from batch
where event_type = 'rating' and user_id is not null
order by user_id, movie_id, occurred_at desc
on conflict (user_id, movie_id) do update set
    rating = excluded.rating, event_id = excluded.event_id, rated_at = excluded.rated_at,
    _lake_version = excluded._lake_version;

insert into silver.movie_reactions (user_id, movie_id, reaction, event_id, reacted_at, _lake_version)
select distinct on (user_id, movie_id)
    user_id, movie_id, case when event_number %% 3 = 0 then 'dislike' else 'like' end, event_id, occurred_at,
    %(version)s
from batch
where event_type = 'movie_reaction' and user_id is not null
order by user_id, movie_id, occurred_at desc
on conflict (user_id, movie_id) do update set
    event_id = excluded.event_id, reacted_at = excluded.reacted_at, _lake_version = excluded._lake_version;

insert into silver.watchlist (user_id, movie_id, is_listed, added_at, event_id, changed_at, _lake_version)
select distinct on (user_id, movie_id) user_id, movie_id, true, occurred_at, event_id, occurred_at, %(version)s
from batch
where event_type = 'watchlist_add' and user_id is not null
order by user_id, movie_id, occurred_at desc
on conflict (user_id, movie_id) do update set
    event_id = excluded.event_id, changed_at = excluded.changed_at, _lake_version = excluded._lake_version;

insert into silver.comments
    (comment_id, user_id, movie_id, thread_id, depth, path, text, is_edited, is_deleted, event_id, commented_at,
    _lake_version)
select
    'comment ' || event_number, user_id, movie_id, 'comment ' || event_number, 0, 'comment ' || event_number,
    'A text.', false, false, event_id, occurred_at, %(version)s
from batch
where event_type = 'comment' and user_id is not null;

insert into silver.comment_votes (user_id, comment_id, vote, event_id, voted_at, _lake_version)
select user_id, comment_id, 'up', event_id, commented_at, %(version)s
from silver.comments
where _lake_version = %(version)s;
