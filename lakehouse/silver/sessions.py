"""`silver.sessions`: visits, by the id the client gave or cut by inactivity."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from lakehouse.keys import hashed_key
from lakehouse.silver import watch_history
from lakehouse.silver.latest import property_text

COUNTED = ["page_view", "movie_view", "search", "play", "play_complete", "rating", "comment"]
"""Event types that a session counts, each in a column of its own."""
OF_CLIENT = ["session_start", "session_end"]
"""Event types that tell of no interest: the client sends them by itself."""
OF_DEVICE = ["device", "browser", "os", "is_bot"]
"""What the User-Agent tells; of a session what that of its first event with one does."""

_BLOCKS_AROUND = """
    transform(sequence(0, 30), level -> named_struct('level', level, 'block', shiftright(_pause, level)))
"""
"""The blocks of 2 ** level pauses that a pause lies in; no visitor has more than 2 ** 30 pauses."""
_BLOCKS_FROM_TO = """
    filter(
        flatten(transform(
            transform(sequence(0, int(log2(_until))), level -> named_struct(
                'level', level,
                'first', shiftright(_pauses + shiftleft(1L, level) - 1, level),
                'end', shiftright(_until, level)
            )),
            at -> array(
                named_struct('level', at.level, 'block', if(at.first < at.end and at.first % 2 = 1, at.first, null)),
                named_struct('level', at.level, 'block', if(at.first < at.end and at.end % 2 = 1, at.end - 1, null))
            )
        )),
        piece -> piece.block is not null
    )
"""
"""The largest blocks that together are the pauses from `_pauses` to before `_until`; each begins at a multiple of its size."""


def assign(events: DataFrame, gap_minutes: int) -> DataFrame:
    """Give every event its session.

    An event without a session id belongs to the client's session of the same visitor whose span, from the first to the
    last event that carries its id, widened by `gap_minutes` on both sides, holds it. Of several it is that of the nearest
    event before it, or where none has one, of the nearest event after it; of equally near ones that with the smaller id.
    What is left over is cut: a session starts after more than `gap_minutes` without such an event of that visitor, as web
    analytics counts them (https://support.google.com/analytics/answer/12798876).

    An event that is taken in so does not widen the span, and the id depends only on the visitor and the given id, or the
    first of the events that were left over. So the order of arrival does not matter.

    Args:
        events: The complete events of each visitor that occurs, shaped as `silver.events`.
        gap_minutes: The longest pause inside a session.

    Returns:
        The same rows with `session_id` set.
    """
    gap = F.expr(f"interval {gap_minutes} minutes")
    in_order = Window.partitionBy("visitor_id", "_given").orderBy("occurred_at", "event_id")
    starts = F.col("_given").isNull() & (
        F.col("occurred_at") - F.lag("occurred_at").over(in_order) > gap
    )
    numbered = _with_given(events, gap).withColumn(
        "_number", F.sum(F.coalesce(starts, F.lit(False)).cast("int")).over(in_order)
    )
    first_event = F.first("event_id").over(
        Window.partitionBy("visitor_id", "_given", "_number").orderBy("occurred_at", "event_id")
    )
    session_id = F.coalesce(
        hashed_key(F.lit("given"), "visitor_id", "_given"),
        hashed_key(F.lit("cut"), "visitor_id", first_event),
    )
    return numbered.withColumn("session_id", session_id).select(*events.columns)


def _with_given(events: DataFrame, gap: Column) -> DataFrame:
    """Add `_given`: the client's id of the session that the event belongs to, null where there is none.

    Whoever has an event with an id up to one gap earlier belongs there: that session's span holds the event or ends so
    shortly before it, and no other has a nearer one. One up to one gap later counts where no session goes on across the
    event, and then it is that session's first.
    """
    # At one time the smaller id comes last, and events without one after it: nearest to them.
    in_time = Window.partitionBy("visitor_id").orderBy("occurred_at", F.desc("client_session_id"))
    back_in_time = Window.partitionBy("visitor_id").orderBy(
        F.desc("occurred_at"), F.desc("client_session_id")
    )
    so_far = (Window.unboundedPreceding, Window.currentRow)
    is_given = F.col("client_session_id").isNotNull()
    given_at = F.when(is_given, F.col("occurred_at"))

    def last(value: Column, window: WindowSpec) -> Column:
        return F.last(value, ignorenulls=True).over(window.rowsBetween(*so_far))

    earlier = in_time.rowsBetween(Window.unboundedPreceding, -1)
    # A pause is longer than the gap, and has no event with an id in it; it goes by the number of those before it.
    ends_pause = F.coalesce(given_at - F.col("_earlier_at") > gap, F.lit(False)).cast("bigint")
    is_soon_after = F.col("occurred_at") - F.col("_before_at") <= gap
    is_soon_before = F.col("_after_at") - F.col("occurred_at") <= gap
    around = (
        events.select(
            "*",
            F.max(given_at).over(earlier).alias("_earlier_at"),
            last(given_at, in_time).alias("_before_at"),
            last(F.col("client_session_id"), in_time).alias("_before"),
        )
        .withColumn("_pauses", F.sum(ends_pause).over(in_time.rowsBetween(*so_far)))
        .withColumn("_pause", F.when(~is_given & ~is_soon_after, F.col("_pauses")))
    )
    with_after = around.select(
        "*",
        last(given_at, back_in_time).alias("_after_at"),
        last(F.col("client_session_id"), back_in_time).alias("_after"),
    )
    return with_after.join(
        F.broadcast(_across(around)), ["visitor_id", "_pause"], "left"
    ).withColumn(
        "_given",
        F.coalesce(
            "client_session_id",
            F.when(is_soon_after, F.col("_before")),
            "_across",
            F.when(is_soon_before, F.col("_after")),
        ),
    )


def _across(events: DataFrame) -> DataFrame:
    """Which session goes on across each pause in which an event without an id lies.

    A session that is silent from one pause to another is noted at the few blocks that make up this row of pauses, as in
    a segment tree, and a pause at all blocks it lies in. So the work grows with the number of events, where a join by
    range would compare each pause of a visitor with each session.

    Args:
        events: Rows with `_pauses`, the number of pauses before the event, and `_pause`, the one that it lies in.

    Returns:
        `visitor_id`, `_pause` and `_across`, the id of the session; pauses that none goes on across are left out.
    """
    session = Window.partitionBy("visitor_id", "client_session_id").orderBy("_pauses")
    # The latest, and of several the one with the smaller id.
    rank = F.struct((-F.unix_micros("last_at")).alias("age"), "client_session_id")
    is_silent = F.col("client_session_id").isNotNull() & F.col("_until").isNotNull()
    return (
        events.groupBy("visitor_id", "client_session_id", "_pauses")
        .agg(F.max("occurred_at").alias("last_at"), F.max("_pause").alias("_pause"))
        .withColumn("_until", F.lead("_pauses").over(session))
        .where(is_silent | F.col("_pause").isNotNull())
        .select(
            "visitor_id",
            "_pause",
            F.when(is_silent, rank).alias("rank"),
            F.inline(F.when(is_silent, F.expr(_BLOCKS_FROM_TO)).otherwise(F.expr(_BLOCKS_AROUND))),
        )
        .groupBy("visitor_id", "level", "block")
        .agg(F.min("rank").alias("rank"), F.collect_list("_pause").alias("_pauses"))
        .where("rank is not null")
        .select("visitor_id", "rank", F.explode("_pauses").alias("_pause"))
        .groupBy("visitor_id", "_pause")
        .agg(F.min("rank").getField("client_session_id").alias("_across"))
    )


def transform(events: DataFrame) -> DataFrame:
    """Sum up sessions.

    Args:
        events: Rows of `silver.events` with their `session_id`; every event of each session that occurs.

    Returns:
        Rows of `silver.sessions`.
    """
    # max_by and min_by pass over rows whose order is null.
    when_known = F.when(F.col("anonymous_id").isNotNull(), F.struct("occurred_at", "event_id"))
    page = property_text("path")
    when_page = F.when(
        (F.col("event_type") == "page_view") & page.isNotNull(),
        F.struct("occurred_at", "event_id"),
    )
    when_seen = F.when(F.col("device").isNotNull(), F.struct("occurred_at", "event_id"))
    sessions = events.groupBy("session_id", "visitor_id").agg(
        F.max("user_id").alias("user_id"),
        F.max("resolved_user_id").alias("resolved_user_id"),
        F.max_by("anonymous_id", when_known).alias("anonymous_id"),
        F.max(F.col("client_session_id").isNotNull()).alias("is_given"),
        F.max("client_session_id").alias("client_session_id"),
        F.min("occurred_at").alias("started_at"),
        F.max("occurred_at").alias("ended_at"),
        F.count("*").alias("event_count"),
        *(F.min_by(name, when_seen).alias(name) for name in OF_DEVICE),
        F.min_by(page, when_page).alias("entry_page"),
        F.max_by(page, when_page).alias("exit_page"),
        *(F.count_if(F.col("event_type") == name).alias(f"{name}_count") for name in COUNTED),
        (F.count_if(~F.col("event_type").isin(*OF_CLIENT)) <= 1).alias("is_bounce"),
    )
    micros = F.unix_micros("ended_at") - F.unix_micros("started_at")
    return (
        sessions.withColumn("duration_seconds", micros / 1_000_000)
        .join(_watched(events), "session_id", "left")
        .withColumn("seconds_watched", F.coalesce("seconds_watched", F.lit(0.0)))
    )


def _watched(events: DataFrame) -> DataFrame:
    """Seconds watched in each session that has a play: its parts of the plays, which add up to those of the play."""
    plays = events.where(F.col("event_type").isin(*watch_history.EVENT_TYPES))
    return (
        watch_history.parts_watched(plays)
        .groupBy("session_id")
        .agg(F.round(F.sum("seconds_watched"), 6).alias("seconds_watched"))
    )
