"""`silver.events`: one clean row an event, from the messages in `bronze.user_logs`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

from cinelake.settings import Settings
from ingestion.events import SPARK_ENVELOPE_DDL
from lakehouse import tables
from lakehouse.contract import table
from lakehouse.pseudonym import hmac_sha256, network_of
from lakehouse.quarantine import (
    COORDINATES,
    NUL_PATTERN,
    Rule,
    contract_rules,
    first_broken,
)
from lakehouse.silver import devices, movie_context, places, referrers, watch_history
from lakehouse.silver.latest import property_text

MOVIE_EVENTS = [
    "movie_view",
    "play",
    "play_progress",
    "play_complete",
    "rating",
    "rating_removed",
    "comment",
    "movie_reaction",
    "watchlist_add",
    "watchlist_remove",
]
"""Event types that mean nothing without a movie."""

USER_EVENTS = [
    "rating",
    "rating_removed",
    "comment",
    "comment_edit",
    "comment_delete",
    "comment_vote",
    "movie_reaction",
    "watchlist_add",
    "watchlist_remove",
    "user_upsert",
]
"""Event types that mean nothing without a signed-in user."""


REQUIRED_PROPERTIES = {
    "comment_id": ["comment", "comment_edit", "comment_delete", "comment_vote"],
    "text": ["comment", "comment_edit"],
    "position_seconds": ["play_progress"],
}
"""Properties that the event types beside them mean nothing without."""

ALLOWED_PROPERTIES = {
    "vote": ("comment_vote", ("up", "down", "none")),
    "reaction": ("movie_reaction", ("like", "dislike", "none")),
}
"""Properties with a closed list of values, and the event type that has them."""

TEXT_PROPERTIES = {
    "path": ["page_view"],
    "title": ["page_view"],
    "query": ["search"],
    "play_id": watch_history.EVENT_TYPES,
    "comment_id": REQUIRED_PROPERTIES["comment_id"],
    "parent_comment_id": ["comment"],
    "text": REQUIRED_PROPERTIES["text"],
    **{name: ["user_upsert"] for name in ("name", "email", "country", "locale", "timezone")},
}
"""Properties that are texts in the event types beside them; those of `ALLOWED_PROPERTIES` are judged by their values."""

TIMES = ["occurred_at", "received_at"]
"""Fields of the envelope that come as texts and are times; what is no time has rules of its own."""

OF_HISTORY = ["session_id", "resolved_user_id", "local_hour"]
"""Columns that follow from the whole history of a visitor, and so may change with later events."""
OF_LOOKUPS = ["browser", "os", "device", "is_bot", *movie_context.COLUMNS]
"""Columns that are looked up once an event is known to be good and new."""


@dataclass(frozen=True)
class Policy:
    """What `transform` needs to know besides the messages.

    Args:
        pseudonym_secret: HMAC key for IP and e-mail addresses.
        late_after_hours: Above this delay an event is flagged late.
        future_tolerance_minutes: An event further ahead of the server's clock breaks a rule.
        site_hosts: Host names of our own pages, in lower case.
    """

    pseudonym_secret: str
    late_after_hours: int = 24
    future_tolerance_minutes: int = 5
    site_hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        """The policy that the settings ask for."""
        return cls(
            settings.pseudonym_secret,
            settings.late_after_hours,
            settings.future_tolerance_minutes,
            tuple(settings.own_hosts),
        )


def transform(messages: DataFrame, policy: Policy) -> DataFrame:
    """Read, clean and judge messages.

    Args:
        messages: Rows of `bronze.user_logs`.
        policy: Keys and limits.

    Returns:
        A row a message: the columns of `silver.events` (those of `OF_HISTORY` and `OF_LOOKUPS` still null), `payload`
        (the original bytes) and `broken`, null or a struct of `rule` and `reason`. Nothing is dropped.
    """
    contract = table("silver.events")
    later = contract.spark_schema()
    cleaned = _clean(_parse(messages), policy).select(
        "*",
        *(F.lit(None).cast(later[name].dataType).alias(name) for name in OF_HISTORY + OF_LOOKUPS),
    )
    return cleaned.select(
        *contract.column_names,
        "payload",
        first_broken(_rules(policy)).alias("broken"),
    )


def _parse(messages: DataFrame) -> DataFrame:
    """Bytes to typed fields. What cannot be read becomes null; `is_json`, `_corrupt` and `has_texts` tell."""
    text = F.col("value").cast("string")
    envelope = cast(StructType, StructType.fromDDL(SPARK_ENVELOPE_DDL))
    parsed = messages.select(
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        F.col("value").alias("payload"),
        text.alias("text"),
        F.coalesce(F.is_valid_utf8(text), F.lit(False)).alias("is_utf8"),
        F.try_parse_json(F.make_valid_utf8(text)).alias("json"),
        F.from_json(
            F.make_valid_utf8(text),
            f"{SPARK_ENVELOPE_DDL}, _corrupt string",
            {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_corrupt"},
        ).alias("event"),
    )
    return parsed.select(
        "kafka_topic",
        "kafka_partition",
        "kafka_offset",
        "payload",
        "text",
        "is_utf8",
        F.coalesce(F.schema_of_variant("json").startswith("OBJECT"), F.lit(False)).alias("is_json"),
        tables.all_of([*_texts_of(envelope), *_texts_of_properties()]).alias("has_texts"),
        "event.*",
        F.get_json_object("text", "$.properties").alias("properties"),
        F.get_json_object("text", "$.properties.rating").alias("rating_text"),
    )


def _texts_of(envelope: StructType, within: str = "") -> Iterator[Column]:
    """Whether each place that has a text that stays a text, for example `context.locale`, holds one."""
    for field in envelope:
        if isinstance(field.dataType, StructType):
            yield from _texts_of(field.dataType, f"{field.name}.")
        elif isinstance(field.dataType, StringType) and field.name not in TIMES:
            yield _is_text_or_none(f"{within}{field.name}")


def _texts_of_properties() -> Iterator[Column]:
    """Whether each property that is a text in an event of this type holds one."""
    for name, event_types in TEXT_PROPERTIES.items():
        is_other = ~F.col("event.event_type").isin(*event_types)
        # A message without a type has a rule of its own.
        yield F.coalesce(is_other, F.lit(True)) | _is_text_or_none(f"properties.{name}")


def _is_text_or_none(place: str) -> Column:
    """Whether a place in the column `json` holds a text, null or nothing: `from_json` makes a text of any value."""
    found = F.schema_of_variant(F.try_variant_get("json", f"$.{place}", "variant"))
    return found.isNull() | found.isin("STRING", "VOID")


def _clean(parsed: DataFrame, policy: Policy) -> DataFrame:
    """Typed, pseudonymised columns named as in the contract."""
    received_at, occurred_at = _time("received_at"), _time("occurred_at")
    late_after = F.expr(f"interval {policy.late_after_hours} hours")
    return parsed.select(
        *COORDINATES,
        "payload",
        "text",
        "is_utf8",
        "is_json",
        (F.col("_corrupt").isNull() & F.col("has_texts")).alias("has_types"),
        F.lower("event_id").alias("event_id"),
        "event_type",
        "schema_version",
        occurred_at.alias("occurred_at"),
        F.col("occurred_at").alias("occurred_at_text"),
        received_at.alias("received_at"),
        "user_id",
        "anonymous_id",
        F.coalesce(F.concat(F.lit("u:"), "user_id"), F.concat(F.lit("a:"), "anonymous_id")).alias(
            "visitor_id"
        ),
        F.col("session_id").alias("client_session_id"),
        "movie_id",
        F.when(F.col("event_type") == "rating", F.expr("try_cast(rating_text as double)")).alias(
            "rating"
        ),
        F.col("context.user_agent").alias("user_agent"),
        hmac_sha256(network_of(F.col("context.ip")), policy.pseudonym_secret).alias("ip_hash"),
        F.col("context.locale").alias("locale"),
        places.country_of(F.col("context.locale")).alias("country"),
        F.col("context.referrer").alias("referrer"),
        referrers.classify(F.col("context.referrer"), policy.site_hosts).alias("referrer_class"),
        F.col("context.app_version").alias("app_version"),
        F.col("context.screen").alias("screen"),
        _without_email(policy.pseudonym_secret).alias("properties"),
        (received_at - occurred_at > late_after).alias("is_late"),
    )


def _time(name: str) -> Column:
    """A time from 1970 to 9999 with its date written out, as the event contract has it; null for any other text.

    Spark itself also reads `T12:00` (today's noon), and years whose differences overflow.
    """
    time = F.try_to_timestamp(name)
    return F.when(F.col(name).rlike(r"^\d{4}-\d\d-\d\d") & F.year(time).between(1970, 9999), time)


def _without_email(secret: str) -> Column:
    """The properties with `email` replaced by `email_hash`; every other property as it was sent.

    An `email_hash` of the client's own is left out: it is no pseudonym of ours, and two would make a key stand twice.
    """
    properties = F.col("properties")
    email = F.lower(F.trim(F.get_json_object("text", "$.properties.email")))
    fields = F.from_json(properties, "map<string, variant>")
    kept = F.map_filter(fields, lambda name, _: ~name.isin("email", "email_hash"))
    hashed = F.create_map(F.lit("email_hash"), hmac_sha256(email, secret).cast("variant"))
    cleaned = F.to_json(F.when(email.isNull(), kept).otherwise(F.map_concat(kept, hashed)))
    # Cheaper than to take every object apart; a name may also be written with escapes.
    suspicious = properties.contains("email") | properties.contains("\\u")
    return F.when(suspicious & fields.isNotNull(), cleaned).otherwise(properties)


def _rules(policy: Policy) -> list[Rule]:
    """Every way an event can be wrong, the most basic first."""
    tolerance = F.expr(f"interval {policy.future_tolerance_minutes} minutes")
    is_rating = F.col("event_type") == "rating"
    return [
        Rule("text_not_storable", "the message is not valid UTF-8", ~F.col("is_utf8")),
        Rule("not_json", "the message is not a JSON object", ~F.col("is_json")),
        Rule(
            "text_not_storable", "a text holds the NUL character", F.col("text").rlike(NUL_PATTERN)
        ),
        Rule(
            "wrong_type",
            "a field has another type than the event contract says",
            ~F.col("has_types"),
        ),
        Rule(
            "bad_timestamp",
            "occurred_at is not an ISO 8601 time from 1970 to 9999",
            F.col("occurred_at").isNull() & F.col("occurred_at_text").isNotNull(),
        ),
        Rule(
            "no_visitor", "neither user_id nor anonymous_id is given", F.col("visitor_id").isNull()
        ),
        *contract_rules(table("silver.events"), skip=frozenset(OF_HISTORY + OF_LOOKUPS)),
        Rule(
            "occurred_in_the_future",
            f"occurred_at is more than {policy.future_tolerance_minutes} minutes after received_at",
            F.col("occurred_at") > F.col("received_at") + tolerance,
        ),
        Rule(
            "missing_field",
            "movie_id is missing",
            F.col("event_type").isin(*MOVIE_EVENTS) & F.col("movie_id").isNull(),
        ),
        Rule(
            "missing_field",
            "user_id is missing",
            F.col("event_type").isin(*USER_EVENTS) & F.col("user_id").isNull(),
        ),
        Rule("missing_field", "properties.rating is missing", is_rating & F.col("rating").isNull()),
        Rule(
            "out_of_range",
            "rating is not a multiple of 0.5",
            is_rating & (F.col("rating") * 2 % 1 != 0),
        ),
        *_property_rules(),
    ]


def _property_rules() -> list[Rule]:
    """What an event type cannot be without, beyond the envelope."""
    rules = []
    for name, event_types in REQUIRED_PROPERTIES.items():
        is_missing = F.when(F.col("event_type").isin(*event_types), property_text(name).isNull())
        rules.append(Rule("missing_field", f"properties.{name} is missing", is_missing))
    for name, (event_type, allowed) in ALLOWED_PROPERTIES.items():
        is_other = ~F.coalesce(property_text(name).isin(*allowed), F.lit(False))
        reason = f"properties.{name} is none of {', '.join(allowed)}"
        rules.append(
            Rule("value_not_allowed", reason, F.when(F.col("event_type") == event_type, is_other))
        )
    position = property_text("position_seconds").try_cast("double")
    is_negative = F.when(F.col("event_type").isin(*watch_history.EVENT_TYPES), position < 0)
    return [*rules, Rule("out_of_range", "properties.position_seconds is below 0", is_negative)]


def with_lookups(events: DataFrame, versions: DataFrame, movies: DataFrame) -> DataFrame:
    """Fill the columns of `OF_LOOKUPS`.

    Args:
        events: Rows of `transform`.
        versions: Rows of `silver.movie_versions`.
        movies: Rows of `silver.movies`.
    """
    columns = events.columns
    seen = devices.of_user_agent(F.col("user_agent"))
    with_device = events.drop("browser", "os", "device", "is_bot").withColumn("_seen", seen)
    return movie_context.transform(
        with_device.select("*", "_seen.*").drop("_seen"), versions, movies
    ).select(*columns)


def first_received(events: DataFrame) -> DataFrame:
    """One row an `event_id`: the one received first, by server time and then by Kafka coordinates.

    Args:
        events: Any number of rows an `event_id`.
    """
    order = Window.partitionBy("event_id").orderBy("received_at", *COORDINATES)
    return events.withColumn("_rank", F.row_number().over(order)).where("_rank = 1").drop("_rank")
