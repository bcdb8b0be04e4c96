"""The lake's lineage: it names every table and real sources only, and agrees with what a refresh reads."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from cinelake.settings import Settings
from ingestion import topics
from lakehouse import tables
from lakehouse.contract import Table
from lakehouse.contract import tables as contracts
from lakehouse.lineage import feeds
from lakehouse.silver.refresh import refresh_events, refresh_movies
from lakehouse.silver.refresh_movies import OF_ANSWERS, OF_CREDITS
from tests.unit.silver.conftest import answer, message, rows_of_messages, uuid_of

Sources = dict[str, set[str]]

CHECKPOINT = "pyspark.sql.classic.dataframe.DataFrame.localCheckpoint"
REPLACED_BY_NEWER = {
    f"silver.{name}" for name in ("movie_versions", "movie_keywords", *OF_ANSWERS, *OF_CREDITS)
}
"""Tables that an answer replaces rows of if `silver.movies` says that it is the newest."""


def test_every_table_of_the_contracts_has_its_sources_and_no_other_table_does() -> None:
    tables_of_lake = {one.full_name for one in (*contracts("bronze"), *contracts("silver"))}
    assert set(feeds()) == tables_of_lake
    assert all(feeds().values())


def test_every_source_is_a_topic_or_a_table_and_every_topic_is_read() -> None:
    named = {source for sources in feeds().values() for source in sources}
    known = {f"topic.{topic.name}" for topic in topics._TOPICS}
    assert {name for name in named if name.startswith("topic.")} == known
    assert named - known <= set(feeds())


def test_no_table_is_made_of_itself_by_any_way() -> None:
    # Raises a CycleError that shows the circle.
    TopologicalSorter(feeds()).prepare()


# --- What a refresh reads ------------------------------------------------------------------------


PROPERTIES: dict[str, dict[str, Any]] = {
    "rating": {"rating": 8.5},
    "play": {"play_id": "p"},
    "comment": {"comment_id": "c", "text": "well"},
    "comment_vote": {"comment_id": "c", "vote": "up"},
    "movie_reaction": {"reaction": "like"},
    "watchlist_add": {},
}
"""An event for every table of behaviour, each of somebody who has signed in on a device."""
EVENTS = [
    message(
        event_id=uuid_of(event_type),
        event_type=event_type,
        anonymous_id="device",
        movie_id=None if event_type == "comment_vote" else 13,
        properties=properties,
    )
    for event_type, properties in PROPERTIES.items()
]
# One twice, and one that breaks a rule.
EVENTS += [EVENTS[0], message(event_id="none")]
ANSWERS = [
    answer(
        keywords={"keywords": [{"id": 1, "name": "bench"}]},
        credits={"cast": [{"credit_id": "c", "id": 31, "name": "Tom Hanks"}]},
    ),
    answer(id=None),
]


def _read_for(rows: DataFrame, settings: Settings) -> set[str]:
    """The tables of the lake in the plan of a frame."""
    leaves = rows._jdf.queryExecution().analyzed().collectLeaves()  # type: ignore[operator]
    relations = [leaves.apply(number) for number in range(leaves.size())]
    roots = [
        relation.relation().location().rootPaths().mkString()
        for relation in relations
        if relation.getClass().getSimpleName() == "LogicalRelation"
    ]
    return {".".join(root.partition(f"{settings.lake_uri}/")[2].split("/")) for root in roots}


@contextmanager
def _watched() -> Iterator[Sources]:
    """Collects what is read for the rows of each table that would be written meanwhile; nothing is."""
    found: Sources = defaultdict(set)
    kept: list[DataFrame] = []

    def keep(frame: DataFrame) -> DataFrame:
        kept.append(frame.persist())
        return kept[-1]

    def write(
        _spark: SparkSession, settings: Settings, table: Table, rows: DataFrame, *_owners: DataFrame
    ) -> None:
        found[table.full_name] |= _read_for(rows, settings) - {table.full_name}

    with pytest.MonkeyPatch.context() as patch:
        # A checkpoint forgets where its rows came from, a cache remembers.
        patch.setattr(CHECKPOINT, keep)
        for name in ("insert_new", "upsert", "replace"):
            patch.setattr(tables, name, write)
        yield found
    for frame in kept:
        frame.unpersist()


def _land(
    spark: SparkSession, settings: Settings, name: str, values: list[dict[str, Any]]
) -> DataFrame:
    """Messages in bronze, read from there."""
    path = tables.table_path(settings, f"bronze.{name}")
    rows_of_messages(spark, values, name).write.format("delta").mode("append").save(path)
    return tables.read(spark, settings, f"bronze.{name}")


def _upstream(table: str) -> set[str]:
    """All that a table is made of, by any way."""
    sources = feeds().get(table, ())
    return set(sources).union(*map(_upstream, sources))


@pytest.mark.usefixtures("full_scale")
def test_a_refresh_reads_for_each_table_what_its_lineage_says(
    spark: SparkSession, empty_lake: Settings
) -> None:
    with _watched() as read:
        refresh_movies(spark, empty_lake, _land(spark, empty_lake, "movie", ANSWERS))
        refresh_events(spark, empty_lake, _land(spark, empty_lake, "user_logs", EVENTS))
    # What a refresh writes; `recover` alone writes the other one.
    written = {name for name in feeds() if name.startswith("silver.")} - {"silver.recoveries"}
    assert set(read) == written
    listed = {(source, name) for name in written for source in feeds()[name]}
    seen = {(source, name) for name in written for source in read[name]}
    assert listed <= seen
    # A batch computes from events on their way, so what these are made of is read for what follows from them as well.
    # What is read and not listed: what only decides whether a row counts, and the way back of what goes round.
    beside = {(source, name) for source, name in seen if source not in _upstream(name)}
    of_events = {name for name in written if "silver.events" in (name, *feeds()[name])}
    assert beside == {("silver.movies", name) for name in REPLACED_BY_NEWER} | {
        ("silver.identities", name)
        for name in of_events - {"silver.duplicates", "silver.identities"}
    }
