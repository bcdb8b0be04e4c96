"""Rules that no contract can say: how all events together are, and how they usually are.

What is unusual may still be true, so these rules warn, unless `CINELAKE_GATE_BLOCKS` names them. Only a flood of
quarantined events stops a run by itself: what made it is more likely a producer than the world.
"""

from collections.abc import Collection, Iterator

from great_expectations.expectations.expectation import Expectation

from cinelake.errors import SettingError
from expectations.query_rule import BROKEN_ROWS, QueryRule
from expectations.results import Severity
from expectations.suites import UNKNOWN_KEY, rule_meta
from ingestion.topics import USER_LOGS
from lakehouse.contract import table
from lakehouse.watermarks import SILVER_RULES

RUNS = 7
"""Earlier runs that say what is usual."""
LEAST_SHARE = 0.5
"""Of the mean of those runs; a run that brings less is unusual."""
LEAST_EVENTS_A_DAY = 10
"""An event type that came so often in the week before does not end by chance."""
UNKNOWN_SHARE = 0.5
"""Of the events that name a movie: those whose movie nobody knows."""
QUARANTINED_SHARE, LEAST_QUARANTINED = 0.5, 100
"""Of the events judged since the run before, after a rebuild of silver all; below that many rows a share says little."""
LEAST_RATINGS, LOWEST_MEAN, HIGHEST_MEAN = 50, 3.0, 9.5
"""Bounds of a day's mean rating, for days with that many ratings."""


ARRIVED = """
    select (select count(*) from {batch} as events) - coalesce(
        (select rows from ops.ledger where hop = 'published' order by recorded_at desc limit 1), 0
    ) as rows
"""
"""Query: how many events are new since the run before."""
RECENT = """
    {batch} as events
    inner join (select max(received_at) as received_at from {batch} as every_event) as newest
    on events.received_at > newest.received_at - interval '8 days'
"""
"""Relation: the events of the last day and of the week before it."""


def trend_expectations(name: str, blocking: Collection[str] = frozenset()) -> Iterator[Expectation]:
    """The rules of the fact of all events, each a query that gives no row when all is as usual.

    Args:
        name: The name of the suite, `gold.fact_user_event`.
        blocking: Rules that stop a run, whatever they do else.

    Raises:
        SettingError: There is no such rule.
    """
    rules = list(_rules(name))
    known = [rule.meta["rule"] for rule in rules]
    for wanted in blocking:
        if wanted not in known:
            raise SettingError(
                f"CINELAKE_GATE_BLOCKS names {wanted!r}, which is no rule of trends.",
                f"Name some of {', '.join(known)}, separated by commas.",
            )
    for rule in rules:
        if rule.meta["rule"] in blocking:
            rule.meta["severity"] = "block"
        yield rule


def _rules(name: str) -> Iterator[Expectation]:
    # Great Expectations puts the fact in the place of `{batch}`, and gives it an alias where the query joins nothing.
    # Each says in `BROKEN_ROWS` how many events break it, and beside that what is unusual about them.
    hours = table("silver.events").freshness_hours
    yield _rule(
        name, "freshness", "received_at", f"the newest event is at most {hours} hours old",
        f"""
            select max(received_at) as newest, count(*) as {BROKEN_ROWS}
            from {{batch}}
            having max(received_at) < now() - interval '{hours} hours'
        """,
    )  # fmt: skip
    yield _rule(
        name, "volume", "", f"at least {LEAST_SHARE:.0%} of what the last {RUNS} runs brought",
        f"""
            with runs as (
                select recorded_at, rows - lag(rows) over (order by recorded_at) as rows
                from ops.ledger
                where hop = 'published'
            ),
            usual as (
                select avg(rows) as rows, count(*) as runs
                from (select rows from runs where rows > 0 order by recorded_at desc limit {RUNS}) as last_runs
            ),
            arrived as ({ARRIVED})
            select arrived.rows as {BROKEN_ROWS}, round(usual.rows) as usually
            from arrived
            inner join usual on usual.runs = {RUNS}
            where arrived.rows > 0 and arrived.rows < {LEAST_SHARE} * usual.rows
        """,
    )  # fmt: skip
    yield _rule(
        name, "event_type_vanished", "event_type",
        f"each type that came {LEAST_EVENTS_A_DAY} times a day in the week before came in the last day",
        f"""
            select events.event_type, count(*) as {BROKEN_ROWS}
            from {RECENT}
            group by events.event_type, newest.received_at
            having count(*) filter (where events.received_at <= newest.received_at - interval '1 day')
                >= 7 * {LEAST_EVENTS_A_DAY}
                and count(*) filter (where events.received_at > newest.received_at - interval '1 day') = 0
        """,
    )  # fmt: skip
    yield _rule(
        name, "unknown_movies", "movie_key",
        f"at most {UNKNOWN_SHARE:.0%} of the events with a movie point to the unknown one",
        f"""
            select count(*) filter (where movie_key = {UNKNOWN_KEY}) as {BROKEN_ROWS}, count(*) as "with a movie"
            from {{batch}}
            where movie_id is not null
            having count(*) filter (where movie_key = {UNKNOWN_KEY}) > {UNKNOWN_SHARE} * count(*)
        """,
    )  # fmt: skip
    yield _rule(
        name, "mean_rating", "rating",
        f"each day's mean is from {LOWEST_MEAN:g} to {HIGHEST_MEAN:g}",
        f"""
            select
                cast(events.received_at at time zone 'UTC' as date) as day,
                round(cast(avg(events.rating) as numeric), 2) as mean,
                count(*) as {BROKEN_ROWS}
            from {RECENT}
            where events.rating is not null
            group by day
            having count(*) >= {LEAST_RATINGS}
            and avg(events.rating) not between {LOWEST_MEAN} and {HIGHEST_MEAN}
        """,
    )  # fmt: skip
    yield _rule(
        name, "quarantined", "",
        f"at most {QUARANTINED_SHARE:.0%} of the events judged since the run before are quarantined",
        f"""
            with run_before as (
                select coalesce(max(recorded_at), '-infinity') as at from ops.ledger
            ),
            rebuilt as (
                select 1
                from ops.watermarks
                inner join run_before
                on watermarks.loaded_at > run_before.at
                where watermarks.table_name = '{SILVER_RULES}'
            ),
            taken as (
                select case
                    when exists (select from rebuilt)
                        then (select count(*) from {{batch}} as every_event)
                    else ({ARRIVED})
                end + (
                    select count(*)
                    from silver.duplicates
                    inner join run_before
                    on duplicates.detected_at > run_before.at or exists (select from rebuilt)
                    where not duplicates._deleted
                ) as rows
            ),
            quarantined as (
                select count(*) as rows
                from silver.quarantine
                inner join run_before
                on quarantine.first_seen_at > run_before.at
                where not quarantine._deleted and quarantine.kafka_topic = '{USER_LOGS}'
            )
            select quarantined.rows as {BROKEN_ROWS}, taken.rows as taken
            from quarantined
            inner join taken
            on quarantined.rows > {QUARANTINED_SHARE} * (quarantined.rows + taken.rows)
            where quarantined.rows >= {LEAST_QUARANTINED}
        """,
        "quarantine",
    )  # fmt: skip


def _rule(
    name: str, rule: str, column: str, expected: str, query: str, severity: Severity = "warn"
) -> Expectation:
    return QueryRule(
        unexpected_rows_query=query,
        meta=rule_meta(name, rule, expected, severity) | {"column": column},
    )
