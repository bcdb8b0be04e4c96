"""Which table of the lake is made of which, from the Kafka topics to silver.

A source gives rows or values. What is only asked whether a row counts is none: `silver.movies` tells which answer is the
newest, `silver.events` whether a recovered message has arrived. Nor is what a table held before the batch.

Where data goes round, the main direction stands:

- Identities are read off the events, and give an event its `resolved_user_id` in turn.
- A message that leaves `silver.quarantine` goes the way of its bronze table, mended as `silver.recoveries` says.
"""

from ingestion.topics import MOVIE, USER_LOGS
from lakehouse.silver.refresh import REFRESH_OF_SOURCE
from lakehouse.silver.refresh_events import OF_USERS
from lakehouse.silver.refresh_movies import NAMED_IN_ANSWERS, OF_ANSWERS, OF_CREDITS
from spark_streaming.bronze import TOPIC_OF_TABLE

_OF_ANSWERS = (
    *("movies", "movie_versions", "production_companies"),
    *("keywords", "movie_keywords", "people"),
    *(*NAMED_IN_ANSWERS, *OF_ANSWERS, *OF_CREDITS),
)
_OF_EVENTS = ("sessions", "users", "watch_history", "comments", "identities", *OF_USERS)

_SIGNALS = ("silver.ratings", "silver.watch_history", "silver.watchlist")
_ABOUT_MOVIES = ("silver.movies", "silver.movie_genres", "silver.movie_keywords")


def feeds() -> dict[str, tuple[str, ...]]:
    """What each table of the lake is made of.

    Returns:
        The full names of the sources, by the table's own, for example `silver.sessions` with `silver.events`. Bronze
        comes first, each layer by name. A topic stands as `topic.user_logs`.
    """
    of_topic = {topic: table for table, topic in TOPIC_OF_TABLE.items()}
    messages = of_topic[USER_LOGS]
    sources: dict[str, tuple[str, ...]] = {
        **{table: (f"topic.{topic}",) for table, topic in TOPIC_OF_TABLE.items()},
        **{f"silver.{name}": (of_topic[MOVIE],) for name in _OF_ANSWERS},
        **{f"silver.{name}": ("silver.events",) for name in _OF_EVENTS},
        "silver.events": (messages, "silver.movie_versions", "silver.movies"),
        # An event that was counted until a message turned up that had been received before it is a duplicate.
        "silver.duplicates": (messages, "silver.events"),
        "silver.quarantine": tuple(REFRESH_OF_SOURCE),
        "silver.recoveries": ("silver.quarantine",),
        "silver.recommendation_models": _SIGNALS,
        "silver.movie_recommendations": (*_SIGNALS, *_ABOUT_MOVIES),
        "silver.similar_movies": (*_SIGNALS, *_ABOUT_MOVIES),
    }
    return dict(sorted(sources.items()))
