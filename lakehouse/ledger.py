"""The ledger: how many events stand at every hop, and whether the numbers add up.

Each number is counted where the rows are (Kafka's offsets, the Delta tables, PostgreSQL), never derived from
another, so that a loss or a double count anywhere makes the sums disagree.
"""

from collections import Counter
from dataclasses import dataclass, fields

from psycopg import errors, sql

from cinelake.postgres import connect
from cinelake.settings import Settings
from ingestion.topics import USER_LOGS, USER_LOGS_REJECTED, topic_end_offsets
from lakehouse import changes, checkpoints, damage
from lakehouse.changes import CHANGE_TYPE
from lakehouse.contract import table
from lakehouse.readers import streamed_version
from lakehouse.tables import table_path

EVENTS = "bronze.user_logs"
"""The table of bronze whose messages the ledger follows."""


@dataclass(frozen=True)
class Waiting:
    """Events that stand before a hop, as its next run is still to take them: neither lost nor counted twice.

    Args:
        bronze: Messages that were accepted and not landed.
        silver: Messages of bronze that were not judged.
        published: Events of silver that were not published; of those that silver has taken back, less than 0.
        facts: Published events of which no gold was built.
    """

    bronze: int = 0
    silver: int = 0
    published: int = 0
    facts: int = 0

    def by_hop(self) -> dict[str, int]:
        """How many wait before each hop; only those before which some do."""
        return {name: count for name, count in vars(self).items() if count}


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
        waiting: Those that only wait for a hop.
    """

    accepted: int
    rejected: int
    bronze: int
    duplicates: int
    quarantined: int
    silver: int
    published: int
    facts: int
    waiting: Waiting = Waiting()

    def hops(self) -> list[tuple[str, int]]:
        """Name and rows of each hop, in order."""
        names = [field.name for field in fields(self) if field.name != "waiting"]
        return [(name, getattr(self, name)) for name in names]

    @property
    def judged(self) -> int:
        """Messages that silver has dealt with."""
        return self.duplicates + self.quarantined + self.silver

    def differences(self) -> list[str]:
        """What does not add up, a sentence each; empty when everything does.

        Events that wait for the next run of a hop are no difference.
        """
        wait = self.waiting
        pairs = [
            ("accepted", self.accepted - wait.bronze, "bronze", self.bronze),
            ("bronze", self.bronze - wait.silver, "silver, duplicates and quarantine", self.judged),
            ("silver", self.silver - wait.published, "published", self.published),
            ("published", self.published - wait.facts, "facts", self.facts),
        ]
        return [_difference(*pair) for pair in pairs if pair[1] != pair[3]]

    def unaccounted(self, accepted: int) -> list[str]:
        """What does not add up for a refresh that began when `accepted` events had been accepted.

        Events that came while it ran may, but need not, have been taken.
        """
        set_apart = self.duplicates + self.quarantined
        reached = [
            ("bronze", self.bronze),
            ("silver, duplicates and quarantine", self.judged),
            ("published, duplicates and quarantine", self.published + set_apart),
            ("facts, duplicates and quarantine", self.facts + set_apart),
        ]
        late = [_difference("accepted", accepted, hop, n) for hop, n in reached if n < accepted]
        # A loss at one hop is missing at all that follow it.
        return self.differences() or late[:1]

    @property
    def balanced(self) -> bool:
        """True when every hop accounts for all rows of the one before, but for those that wait."""
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
    landed = _landed(settings, changes.current_version(settings, EVENTS))
    return {partition: offset for partition, (offset, _) in landed.items()}


def count(settings: Settings) -> Ledger:
    """Count every hop now.

    The last hop is looked at first, and what a hop has taken before what it could take: what moves on meanwhile then
    waits, and is never counted twice.

    Raises:
        DamagedDataError: A file of a table that is counted is missing or damaged: its log alone tells of rows that are gone.
        ServiceError: Kafka or PostgreSQL cannot be reached.
    """
    for name in (EVENTS, "silver.duplicates", "silver.quarantine", "silver.events"):
        damage.require_whole(table_path(settings, name))
    warehouse = _count_warehouse(settings)
    progress = _progress(settings)
    duplicates = changes.count_rows(settings, "silver.duplicates")
    quarantined = changes.count_rows(settings, "silver.quarantine", f"kafka_topic = '{USER_LOGS}'")
    version = changes.current_version(settings, "silver.events")
    silver = changes.count_rows(settings, "silver.events", version=version)
    unpublished = _rows_since(settings, "silver.events", warehouse.watermark, version)
    is_at_rest = progress.is_at_rest and progress == _progress(settings)
    taken = checkpoints.kafka_offsets(settings, EVENTS, USER_LOGS)
    version = changes.current_version(settings, EVENTS)
    landed = _landed(settings, version)
    bronze = sum(rows for _, rows in landed.values())
    not_judged = max(bronze - silver - duplicates - quarantined, 0)
    unjudged = _rows_since(settings, EVENTS, progress.version, version)
    ends = topic_end_offsets(settings, USER_LOGS)
    reached = {place: max(taken.get(place, 0), landed.get(place, (0, 0))[0]) for place in ends}
    return Ledger(
        accepted=sum(ends.values()),
        rejected=sum(topic_end_offsets(settings, USER_LOGS_REJECTED).values()),
        bronze=bronze,
        duplicates=duplicates,
        quarantined=quarantined,
        silver=silver,
        published=warehouse.published,
        facts=warehouse.facts,
        waiting=Waiting(
            bronze=sum(max(end - reached[place], 0) for place, end in ends.items()),
            # Of a batch that is being written, some messages are judged already; of a checkpoint that was lost, all may be.
            silver=unjudged if is_at_rest else min(not_judged, unjudged),
            published=unpublished,
            facts=min(max(warehouse.published - warehouse.facts, 0), warehouse.newer),
        ),
    )


@dataclass(frozen=True)
class _Progress:
    """How far the query from bronze to silver is: its last batch with a plan and with an end, and bronze's version."""

    planned: int
    committed: int
    version: int

    @property
    def is_at_rest(self) -> bool:
        """No batch is being written, and it is known how far the last one was."""
        return self.planned == self.committed >= 0


def _progress(settings: Settings) -> _Progress:
    checkpoint = checkpoints.read(settings, f"silver.{EVENTS}")
    return _Progress(checkpoint.planned, checkpoint.committed, streamed_version(settings, EVENTS))


def _landed(settings: Settings, version: int) -> dict[int, tuple[int, int]]:
    """By partition of `user_logs`, in a version of bronze, the offset after the last one, and the rows."""
    found = changes.query(
        settings,
        EVENTS,
        'select "partition" as partition, max("offset") + 1 as landed, count(*) as n from t group by 1',
        version,
    )
    return {row["partition"]: (row["landed"], row["n"]) for row in found.to_pylist()}


def _rows_since(settings: Settings, full_name: str, after: int, upto: int) -> int:
    """How many rows more a table holds in a version than in one before; -1 is that in which there was no table."""
    if upto <= after:
        return 0
    if after < 0:
        return changes.count_rows(settings, full_name, version=upto)
    (first, *_) = table(full_name).key
    # Not by the older version's own count: maintenance takes its files away.
    feed = changes.read_changes(settings, full_name, after, upto, [first])
    kinds = Counter(kind for batch in feed for kind in batch[CHANGE_TYPE].to_pylist())
    return kinds["insert"] - kinds["delete"]


@dataclass(frozen=True)
class _Warehouse:
    """The counts of one moment in PostgreSQL: live published events, those that are newer than any fact, the facts."""

    published: int = 0
    newer: int = 0
    facts: int = 0
    watermark: int = -1


def _count_warehouse(settings: Settings) -> _Warehouse:
    with connect(settings, "transformer") as connection:
        connection.execute("set transaction isolation level repeatable read")
        known = connection.execute(
            "select to_regclass('silver.events') is not null, to_regclass('gold.fact_user_event') is not null"
        ).fetchone()
        has_events, has_facts = known or (False, False)
        if not has_events:
            return _Warehouse()
        facts = connection.execute(
            "select count(*), coalesce(max(lake_version), -1) from gold.fact_user_event"
            if has_facts
            else "select 0, -1"
        ).fetchone()
        assert facts is not None, "an aggregate has one row"
        row = connection.execute(
            "select count(*), count(*) filter (where _lake_version > %s),"
            " coalesce((select lake_version from ops.watermarks where table_name = 'silver.events'), -1)"
            " from silver.events where not _deleted",
            [facts[1]],
        ).fetchone()
        assert row is not None, "an aggregate has one row"
        published, newer, watermark = row
        return _Warehouse(published, newer, facts[0], watermark)


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
