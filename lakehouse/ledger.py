"""The ledger: how many events stand at every hop, and whether the numbers add up.

Each number is counted where the rows are (Kafka's offsets, the Delta tables, PostgreSQL), never derived from
another, so that a loss or a double count anywhere makes the sums disagree.
"""

from dataclasses import dataclass, fields

from psycopg import errors, sql

from cinelake.postgres import connect
from cinelake.settings import Settings
from ingestion.topics import USER_LOGS, USER_LOGS_REJECTED, topic_end_offsets
from lakehouse import changes


@dataclass(frozen=True)
class Ledger:
    """Event counts at every hop, in the order of the flow.

    Args:
        accepted: Messages in the topic `user_logs`: what the API answered 202 for.
        rejected: Messages in the topic `user_logs_rejected`.
        bronze: Rows of `bronze.user_logs`.
        duplicates: Rows of `silver.duplicates`: messages that repeated an event.
        quarantined: Rows of `silver.quarantine` that came from `user_logs`.
        silver: Rows of `silver.events`.
        published: Live rows of `silver.events` in PostgreSQL.
        facts: Rows of `gold.fact_user_event`.
    """

    accepted: int
    rejected: int
    bronze: int
    duplicates: int
    quarantined: int
    silver: int
    published: int
    facts: int

    def hops(self) -> list[tuple[str, int]]:
        """Name and rows of each hop, in order."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    def differences(self) -> list[str]:
        """What does not add up at this moment, a sentence each; empty when everything does.

        Events that were accepted since the last refresh stand between two hops: that is a difference, not a loss.
        """
        return self.unaccounted(self.accepted)

    def unaccounted(self, accepted: int) -> list[str]:
        """What does not add up for a refresh that began when `accepted` events had been accepted.

        Events that came while it ran may, but need not, have been taken.
        """
        judged = self.duplicates + self.quarantined + self.silver
        expected_in_bronze = min(max(self.bronze, accepted), self.accepted)
        pairs = [
            ("accepted", expected_in_bronze, "bronze", self.bronze),
            ("bronze", self.bronze, "silver, duplicates and quarantine", judged),
            ("silver", self.silver, "published", self.published),
            ("published", self.published, "facts", self.facts),
        ]
        return [_difference(*pair) for pair in pairs if pair[1] != pair[3]]

    def unreconciled(self, landed: int) -> list[str]:
        """What does not add up whatever was accepted since the last refresh, a sentence each.

        Args:
            landed: The sum of `landed_offsets`.
        """
        landing = (
            [] if landed == self.bronze else [_difference("landed", landed, "bronze", self.bronze)]
        )
        return landing + self.unaccounted(self.bronze)

    @property
    def balanced(self) -> bool:
        """True when every hop accounts for all rows of the one before."""
        return not self.differences()


def _difference(source: str, there: int, target: str, here: int) -> str:
    if here < there:
        return f"{there - here:,} of {there:,} in {source} have not reached {target}"
    return f"{target} counts {here - there:,} more than the {there:,} in {source}"


def count_accepted(settings: Settings) -> int:
    """Messages the topic `user_logs` ever took: what the API answered 202 for."""
    return sum(topic_end_offsets(settings, USER_LOGS).values())


def landed_offsets(settings: Settings) -> dict[int, int]:
    """By partition of `user_logs` the offset after the last one that bronze has.

    Offsets begin at 0 and have no gaps: their sum is the number of rows of `bronze.user_logs`, if each message landed
    exactly once, whatever the API has accepted since.
    """
    found = changes.query(
        settings,
        "bronze.user_logs",
        'select "partition" as partition, max("offset") + 1 as landed from t group by 1',
    )
    return {row["partition"]: row["landed"] for row in found.to_pylist()}


def count(settings: Settings) -> Ledger:
    """Count every hop now.

    Raises:
        ServiceError: Kafka or PostgreSQL cannot be reached.
    """
    return Ledger(
        accepted=count_accepted(settings),
        rejected=sum(topic_end_offsets(settings, USER_LOGS_REJECTED).values()),
        bronze=changes.count_rows(settings, "bronze.user_logs"),
        duplicates=changes.count_rows(settings, "silver.duplicates"),
        quarantined=changes.count_rows(
            settings, "silver.quarantine", f"kafka_topic = '{USER_LOGS}'"
        ),
        silver=changes.count_rows(settings, "silver.events"),
        published=count_postgres(settings, "silver", "events", "not _deleted"),
        facts=count_postgres(settings, "gold", "fact_user_event"),
    )


def count_postgres(settings: Settings, schema: str, name: str, where: str = "true") -> int:
    """Rows of a PostgreSQL table that meet a condition; 0 when it does not exist yet."""
    statement = sql.SQL("select count(*) from {} where {}").format(
        sql.Identifier(schema, name),
        sql.SQL(where),
    )
    try:
        with connect(settings, "transformer") as connection:
            row = connection.execute(statement).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return 0
    return int(row[0]) if row else 0


def record(settings: Settings, ledger: Ledger, run_id: str) -> None:
    """Keep a count in `ops.ledger`, a row a hop; a second count of one run replaces the first."""
    with connect(settings, "loader") as connection:
        connection.cursor().executemany(
            "insert into ops.ledger (run_id, hop, rows) values (%s, %s, %s)"
            " on conflict (run_id, hop) do update set rows = excluded.rows, recorded_at = now()",
            [(run_id, hop, rows) for hop, rows in ledger.hops()],
        )
