"""`silver.events`: one clean row an event, from the messages in `bronze.user_logs`."""

from dataclasses import dataclass
from functools import cache, partial, reduce
from operator import or_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from cinelake.pseudonyms import LIKELY, Pseudonyms, Quads
from cinelake.settings import Settings
from ingestion.events import RFC3339_PATTERN, SPARK_ENVELOPE_DDL
from lakehouse.contract import table
from lakehouse.pseudonym import Rewrite, hmac_sha256, network_of, without_addresses
from lakehouse.quarantine import (
    COORDINATES,
    NUL_PATTERN,
    Rule,
    ahead_of_message,
    contract_rules,
    first_broken,
)
from lakehouse.silver import devices, event_rules, movie_context, places, referrers
from lakehouse.silver.event_rules import known
from lakehouse.silver.values import utc_time

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
    before, after = _rules(policy)
    without = without_addresses(
        _clean(_parse(messages), policy), _rewrites(), policy.pseudonym_secret, _LIKELY
    )
    user_id, anonymous_id = F.col("user_id"), F.col("anonymous_id")
    cleaned = without.select(
        "*",
        F.coalesce(F.concat(F.lit("u:"), user_id), F.concat(F.lit("a:"), anonymous_id)).alias(
            "visitor_id"
        ),
        *(F.lit(None).cast(later[name].dataType).alias(name) for name in OF_HISTORY + OF_LOOKUPS),
    )
    return cleaned.select(
        *contract.column_names,
        "payload",
        F.coalesce(
            first_broken(before), "mistyped", first_broken(after), event_rules.beyond_limits()
        ).alias("broken"),
    )


def _parse(messages: DataFrame) -> DataFrame:
    """Bytes to typed fields. What cannot be read becomes null; `is_json`, `mistyped` and `_corrupt` tell."""
    text = F.col("value").cast("string")
    parsed = messages.select(
        F.col("topic").alias("kafka_topic"),
        F.col("partition").alias("kafka_partition"),
        F.col("offset").alias("kafka_offset"),
        "timestamp",
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
        "timestamp",
        "payload",
        "text",
        "is_utf8",
        F.coalesce(F.schema_of_variant("json").startswith("OBJECT"), F.lit(False)).alias("is_json"),
        "json",
        event_rules.wrong_type().alias("mistyped"),
        "event.*",
        F.get_json_object("text", "$.properties").alias("properties"),
    )


_LIKELY = rf'{LIKELY}|"email|\\u'
"""What a text matches that may hold an address, or is an object with an `email`; that name may also be written with escapes."""


def _clean(parsed: DataFrame, policy: Policy) -> DataFrame:
    """Typed columns named as in the contract; their texts may still hold addresses."""
    received_at, occurred_at = (
        utc_time(F.col(name), rf"^({RFC3339_PATTERN})\z") for name in ("received_at", "occurred_at")
    )
    late_after = F.expr(f"interval {policy.late_after_hours} hours")
    return parsed.select(
        *COORDINATES,
        "timestamp",
        "payload",
        "text",
        "is_utf8",
        "is_json",
        "json",
        "mistyped",
        F.col("_corrupt").isNull().alias("is_readable"),
        F.col("properties").alias("sent_properties"),
        F.lower("event_id").alias("event_id"),
        "event_type",
        "schema_version",
        occurred_at.alias("occurred_at"),
        F.col("occurred_at").alias("occurred_at_text"),
        received_at.alias("received_at"),
        known(F.col("user_id")).alias("user_id"),
        known(F.col("anonymous_id")).alias("anonymous_id"),
        known(F.col("session_id")).alias("client_session_id"),
        "movie_id",
        F.when(
            F.col("event_type") == "rating",
            F.try_variant_get("json", "$.properties.rating", "double"),
        ).alias("rating"),
        F.col("context.user_agent").alias("user_agent"),
        hmac_sha256(network_of(F.col("context.ip")), policy.pseudonym_secret).alias("ip_hash"),
        F.col("context.locale").alias("locale"),
        places.country_of(F.col("context.locale")).alias("country"),
        F.col("context.referrer").alias("referrer"),
        referrers.classify(F.col("context.referrer"), policy.site_hosts).alias("referrer_class"),
        F.col("context.app_version").alias("app_version"),
        F.col("context.screen").alias("screen"),
        _cleaned_properties().alias("properties"),
        (received_at - occurred_at > late_after).alias("is_late"),
    )


@cache
def _rewrites() -> dict[str, Rewrite]:
    """How addresses are found in each column that holds what a client wrote; none makes a text longer than its contract has it.

    The User-Agent is left for later, as it tells of a device by what it says.
    """
    columns = {column.name: column for column in table("silver.events").columns}
    limits = {name: column.max_length for name, column in columns.items()}
    in_text = Pseudonyms.in_text
    in_json = partial(
        Pseudonyms.in_json,
        limit=limits["properties"],
        limits=event_rules.property_lengths(),
        ids=sorted({name for names in event_rules.property_ids().values() for name in names}),
    )
    return {
        # In quarantine it may be any text.
        "event_id": in_text,
        **dict.fromkeys(("user_id", "anonymous_id", "client_session_id"), Pseudonyms.in_id),
        **{name: partial(in_text, limit=limits[name]) for name in ("locale", "referrer", "screen")},
        "app_version": partial(in_text, limit=limits["app_version"], quads=Quads.VERSIONS),
        "properties": in_json,
    }


def _cleaned_properties() -> Column:
    """The properties without ids that are placeholders; every other as sent."""
    properties = F.col("properties")
    fields = F.from_json(properties, "map<string, variant>")
    kept = F.map_filter(fields, lambda name, value: ~_says_nothing(name, value))
    # Cheaper than to take every object apart.
    return F.when(_has_placeholder() & fields.isNotNull(), F.to_json(kept)).otherwise(properties)


def _says_nothing(name: Column, value: Column) -> Column:
    """Whether a property of an event is an id of its type, and a placeholder."""
    text = F.try_variant_get(value, "$", "string")
    return F.coalesce(_is_property_id(name) & text.isNotNull() & known(text).isNull(), F.lit(False))


def _is_property_id(name: Column) -> Column:
    return reduce(
        or_,
        (
            (F.col("event_type") == event_type) & name.isin(*names)
            for event_type, names in event_rules.property_ids().items()
        ),
    )


def _has_placeholder() -> Column:
    return F.coalesce(
        *(
            F.when(
                F.col("event_type") == event_type,
                reduce(or_, (_is_placeholder(f"properties.{name}") for name in names)),
            )
            for event_type, names in event_rules.property_ids().items()
        ),
        F.lit(False),
    )


def _is_placeholder(place: str) -> Column:
    text = F.try_variant_get("json", f"$.{place}", "string")
    return text.isNotNull() & known(text).isNull()


def _rules(policy: Policy) -> tuple[list[Rule], list[Rule]]:
    """Every way an event can be wrong but those of `event_rules`, the most basic first: before its types are judged, and after."""
    tolerance = F.expr(f"interval {policy.future_tolerance_minutes} minutes")
    before = [
        Rule("text_not_storable", "the message is not valid UTF-8", ~F.col("is_utf8")),
        Rule("not_json", "the message is not a JSON object", ~F.col("is_json")),
        Rule(
            "text_not_storable", "a text holds the NUL character", F.col("text").rlike(NUL_PATTERN)
        ),
        *event_rules.text_rules(),
    ]
    after = [
        Rule(
            "bad_timestamp",
            "occurred_at is not an RFC 3339 time from 1970 to 9999",
            F.col("occurred_at").isNull() & F.col("occurred_at_text").isNotNull(),
        ),
        Rule(
            "wrong_type",
            "a field has another type than the event contract says",
            ~F.col("is_readable"),
        ),
        Rule(
            "no_visitor",
            "neither user_id nor anonymous_id is given",
            F.col("visitor_id").isNull(),
        ),
        *contract_rules(table("silver.events"), skip=frozenset(OF_HISTORY + OF_LOOKUPS)),
        Rule(
            "occurred_in_the_future",
            f"occurred_at is more than {policy.future_tolerance_minutes} minutes after received_at",
            F.col("occurred_at") > F.col("received_at") + tolerance,
        ),
        ahead_of_message("received_at", policy.future_tolerance_minutes),
    ]
    return before, after


def with_lookups(
    events: DataFrame, versions: DataFrame, movies: DataFrame, policy: Policy
) -> DataFrame:
    """Fill the columns of `OF_LOOKUPS`, and then take addresses out of the User-Agent.

    Args:
        events: Rows of `transform`.
        versions: Rows of `silver.movie_versions`.
        movies: Rows of `silver.movies`.
        policy: That of `transform`.
    """
    columns = events.columns
    seen = devices.of_user_agent(F.col("user_agent"))
    with_seen = events.drop("browser", "os", "device", "is_bot").withColumn("_seen", seen)
    rewrite = partial(
        Pseudonyms.in_text,
        limit=table("silver.events").column("user_agent").max_length,
        quads=Quads.OF_PROGRAMS,
    )
    with_device = without_addresses(with_seen, {"user_agent": rewrite}, policy.pseudonym_secret)
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
