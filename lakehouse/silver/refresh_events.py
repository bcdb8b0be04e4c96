"""`bronze.user_logs` to silver: a micro-batch of messages updates every table of behaviour that it touches.

Every step writes by key (insert what is new, update what differs), so that a batch that is run again after a crash
leaves the same tables as one that ran once. What depends on a visitor's whole history is computed anew from it for the
visitors in the batch, so that the order of arrival does not matter.
"""

from functools import partial
from types import ModuleType

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.topics import USER_LOGS
from lakehouse import changes, tables
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.quarantine import COORDINATES, quarantine, replace_quarantine
from lakehouse.silver import (
    comment_votes,
    comments,
    events,
    identities,
    movie_reactions,
    places,
    ratings,
    sessions,
    side_by_side,
    threads,
    users,
    watch_history,
    watchlist,
)

log = get_logger("silver")

OF_USERS: dict[str, ModuleType] = {
    "ratings": ratings,
    "comment_votes": comment_votes,
    "movie_reactions": movie_reactions,
    "watchlist": watchlist,
}
"""Tables whose rows follow from the whole history of a user, each with the types of event it is made of."""


def refresh_events(
    spark: SparkSession, settings: Settings, messages: DataFrame, is_rebuild: bool = False
) -> None:
    """Bring every table of behaviour, `duplicates` and `quarantine` up to date with new messages.

    Args:
        spark: The session.
        settings: Tells where the lake is, and the limits and keys of `events.Policy`.
        messages: New rows of `bronze.user_logs`.
        is_rebuild: They are all rows of it, and the tables are to hold what follows from them and nothing else.
    """
    judged = tables.computed(events.transform(messages, events.Policy.of(settings)))
    bad = judged.where("broken is not null")
    if is_rebuild:
        replace_quarantine(spark, settings, bad, table("silver.events"), USER_LOGS)
    elif not bad.isEmpty():
        quarantine(spark, settings, bad, table("silver.events"))
    good = judged.where("broken is null").drop("broken", "payload")
    if is_rebuild or not good.isEmpty():
        _Batch(spark, settings, good, is_rebuild).write()


class _Batch:
    """The valid messages of a micro-batch on their way into the tables.

    Args:
        spark: The session.
        settings: Tells where the lake is, and how long a session's pauses may be.
        good: Rows of `events.transform` that broke no rule.
        is_rebuild: They are all there are: what silver holds of events plays no part in what it is to hold.
    """

    def __init__(
        self, spark: SparkSession, settings: Settings, good: DataFrame, is_rebuild: bool
    ) -> None:
        self.spark = spark
        self.settings = settings
        self.good = good
        self.is_rebuild = is_rebuild

    def write(self) -> None:
        """Write every table that the messages change."""
        self._read_events()
        count = self.complete.count()
        log.info("batch", events=count, **self.counted)
        # First, as a message that loses its place in `silver.events` is in no later batch: killed between the two
        # writes, or asked again once the place is taken, nobody would know that it was there.
        self._write_duplicates()
        side_by_side.run(
            [
                partial(
                    self._replace, "sessions", sessions.transform(self.complete), self.visitors
                ),
                partial(self._replace, "users", users.transform(self.complete), self._users()),
                *(
                    partial(self._replace, name, module.transform(self.complete), self._users())
                    for name, module in OF_USERS.items()
                    if self._has(module)
                ),
                *([self._write_watch_history] if self._has_plays() else []),
                *([self._write_comments] if self._has(comments) else []),
                *([self._write_identities] if self.has_links else []),
            ]
        )
        # Last, as what the others have to follow is told by how it differs: should this batch run again, they still do.
        self._write_changed_events(count)

    def _read_events(self) -> None:
        held_events = self._held("events")
        first = events.first_received(self.good)
        self.held = tables.computed(
            held_events.join(first.select("event_id"), "event_id", "left_semi")
        )
        self.counted = {
            row["event_type"]: row["count"]
            for row in self._touched().groupBy("event_type").count().collect()
        }
        self.winners = tables.computed(events.first_received(self.held.unionByName(first)))
        # New, or received before the message that silver holds.
        new = self.winners.join(self.held, ["event_id", *COORDINATES], "left_anti")
        fresh = tables.computed(
            events.with_lookups(
                new,
                self._table("movie_versions"),
                self._table("movies"),
                events.Policy.of(self.settings),
            )
        )
        ids = tables.of_few(fresh.select("event_id"), sum(self.counted.values()))
        self.others = held_events.join(ids, "event_id", "left_anti")
        self._read_links(fresh)
        self.visitors = tables.computed(
            self._touched().select("visitor_id").union(self._linked_visitors()).distinct()
        )
        history = self.others.join(F.broadcast(self.visitors), "visitor_id", "left_semi")
        self.complete = tables.computed(self._completed(history, fresh))

    def _touched(self) -> DataFrame:
        """The messages, and the events that one of them may take the place of."""
        return self.good.unionByName(self.held)

    def _read_links(self, fresh: DataFrame) -> None:
        """Which anonymous ids the batch tells something new of, and whose each id in it is."""
        self.linked = tables.computed(
            identities.carrying_both(self._touched()).select("anonymous_id").distinct()
        )
        self.has_links = self.is_rebuild or not self.linked.isEmpty()
        known = self._held("identities")
        if self.has_links:
            of_links = self.others.unionByName(fresh).join(
                F.broadcast(self.linked), "anonymous_id", "left_semi"
            )
            self.links = tables.computed(identities.transform(of_links))
            known = known.join(F.broadcast(self.linked), "anonymous_id", "left_anti").unionByName(
                self.links
            )
        self.known = known

    def _linked_visitors(self) -> DataFrame:
        """Visitors before they signed in."""
        return self.linked.select(F.concat(F.lit("a:"), "anonymous_id"))

    def _completed(self, history: DataFrame, fresh: DataFrame) -> DataFrame:
        """The whole history of each visitor in the batch, with `is_changed` where silver does not hold it so."""
        of_history = F.struct(*events.OF_HISTORY)
        stored = history.withColumn("_stored", of_history)
        arrived = fresh.withColumn("_stored", F.lit(None).cast(stored.schema["_stored"].dataType))
        every = stored.unionByName(arrived)
        zone = users.latest("timezone").over(Window.partitionBy("visitor_id"))
        with_hour = every.withColumn("local_hour", places.local_hour(F.col("occurred_at"), zone))
        assigned = sessions.assign(with_hour, self.settings.session_gap_minutes)
        resolved = identities.resolve(assigned, self.known)
        is_changed = F.col("_stored").isNull() | ~of_history.eqNullSafe(F.col("_stored"))
        return resolved.withColumn("is_changed", is_changed).drop("_stored")

    def _has(self, module: ModuleType) -> bool:
        """Whether the batch has events that a table is made of; in a rebuild that is no matter."""
        return self.is_rebuild or any(name in self.counted for name in module.EVENT_TYPES)

    def _has_plays(self) -> bool:
        """Whether the batch has plays, or changes the session or the user of earlier ones."""
        is_play = F.col("event_type").isin(*watch_history.EVENT_TYPES)
        changed = self.complete.where("is_changed").where(is_play)
        return self._has(watch_history) or not changed.isEmpty()

    def _users(self) -> DataFrame:
        """The users among the visitors, as the column `user_id`."""
        is_user = F.col("visitor_id").startswith("u:")
        user_id = F.substring("visitor_id", 3, 2**31 - 1).alias("user_id")
        return self.visitors.where(is_user).select(user_id)

    def _write_watch_history(self) -> None:
        self._replace("watch_history", watch_history.transform(self.complete), self.visitors)

    def _write_identities(self) -> None:
        self._replace("identities", self.links, self.linked)

    def _write_changed_events(self, count: int) -> None:
        if self.is_rebuild:
            self._replace("events", self.complete, self.visitors)
        else:
            changed = self.complete.where("is_changed")
            tables.upsert(self.spark, self.settings, table("silver.events"), changed, count)

    def _write_duplicates(self) -> None:
        contract = table("silver.duplicates")
        repeats = _repeats(self._touched(), self.winners)
        if self.is_rebuild:
            known = self._table("duplicates").select(
                *COORDINATES, F.col("detected_at").alias("_at")
            )
            detected_at = F.coalesce("_at", "detected_at")
            repeats = repeats.join(known, COORDINATES, "left").withColumn(
                "detected_at", detected_at
            )
            return tables.replace(self.spark, self.settings, contract, repeats, None)
        repeats = repeats.persist()
        try:
            if not repeats.isEmpty():
                tables.insert_new(self.spark, self.settings, contract, repeats)
        finally:
            repeats.unpersist()

    def _write_comments(self) -> None:
        """Write the comments of the users in the batch, and those of others that get another place in their thread."""
        own = tables.computed(comments.transform(self.complete))
        told = own.select(*threads.OF_COMMENT).toArrow()
        users = self._users().toArrow()["user_id"].combine_chunks()
        held = (
            threads.nothing_held(told)
            if self.is_rebuild
            else threads.touched(self._held_places, told, users)
        )
        among = threads.Threads(told, held, users)
        del told, held
        places = frame_of(
            self.spark, among.moved(), "comment_id string, thread_id string, depth int, path string"
        )
        mine = self.spark.createDataFrame(among.own.select(["comment_id", "user_id"]))
        of_others = self._held("comments").join(F.broadcast(mine), "comment_id", "left_anti")
        rows = own.join(F.broadcast(mine), ["comment_id", "user_id"], "left_semi").unionByName(
            of_others.select(*own.columns)
        )
        gone = self.spark.createDataFrame(pa.table({"comment_id": among.gone}))
        self._replace(
            "comments",
            rows.join(F.broadcast(places), "comment_id"),
            places.select("comment_id").union(gone),
        )

    def _held_places(self) -> pa.RecordBatchReader:
        """Every comment that silver holds, with its place in its thread."""
        name = "silver.comments"
        newest = changes.current_version(self.settings, name)
        columns = threads.OF_COMMENT + threads.OF_PLACE
        return changes.read_changes(self.settings, name, -1, newest, columns)

    def _table(self, name: str) -> DataFrame:
        return tables.read_written(self.spark, self.settings, table(f"silver.{name}"))

    def _held(self, name: str) -> DataFrame:
        """What is to be completed of a table that follows from events: nothing of it in a rebuild."""
        held = self._table(name)
        return held.limit(0) if self.is_rebuild else held

    def _replace(self, name: str, rows: DataFrame, owners: DataFrame) -> None:
        """Make a table hold these rows for the owners; in a rebuild there are no others."""
        contract = table(f"silver.{name}")
        of = None if self.is_rebuild else owners
        tables.replace(self.spark, self.settings, contract, rows, of)


def _repeats(messages: DataFrame, winners: DataFrame) -> DataFrame:
    """Messages whose event is counted at other Kafka coordinates, as rows of `silver.duplicates`."""
    counted_at = winners.select(
        "event_id", *(F.col(name).alias(f"_counted_{name}") for name in COORDINATES)
    )
    elsewhere = ~tables.all_of([F.col(name) == F.col(f"_counted_{name}") for name in COORDINATES])
    return (
        messages.join(counted_at, "event_id")
        .where(elsewhere)
        .select(*COORDINATES, "event_id", F.current_timestamp().alias("detected_at"))
    )
