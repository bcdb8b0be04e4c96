"""Metrics of what runs leave in PostgreSQL: stages, gates, publication, gold and the ledger."""

from collections import Counter
from collections.abc import Iterator

from cinelake.postgres import connect
from cinelake.settings import Settings
from expectations.results import load_results
from lakehouse import changes
from lakehouse.contract import tables
from monitoring.families import Family, counter, gauge
from pipeline import gold_versions, runs


def stages(settings: Settings) -> Iterator[Family]:
    """How runs ended, and what their stages took."""
    ended = runs.outcomes(settings)
    yield counter(
        "cinelake_runs",
        "Runs by how they ended: published, failed, interrupted; running are those whose end is still to come.",
        ("outcome",),
        (((outcome,), total) for outcome, (total, _) in ended.items()),
    )
    yield gauge(
        "cinelake_run_timestamp_seconds",
        "When a run last ended so.",
        ("outcome",),
        (((outcome,), last.timestamp()) for outcome, (_, last) in ended.items()),
    )
    totals = runs.stage_totals(settings)
    yield counter(
        "cinelake_stage_runs",
        "How often a stage of a run went through.",
        ("stage",),
        (((each.name,), each.runs) for each in totals),
    )
    yield counter(
        "cinelake_stage_seconds",
        "Seconds that a stage took in all its runs.",
        ("stage",),
        (((each.name,), each.seconds) for each in totals),
    )
    yield gauge(
        "cinelake_stage_last_seconds",
        "Seconds that a stage took in its last run.",
        ("stage",),
        (((each.name,), each.last_seconds) for each in totals),
    )


def gates(settings: Settings) -> Iterator[Family]:
    """What each gate found when it last had something to check."""
    found = [(kept.result.gate, kept) for kept in load_results(settings)]
    rules = {
        (name, word): total
        for name, kept in found
        for word, total in (
            ("passed", sum(rule.success for rule in kept.result.rules)),
            ("failed", len(kept.result.failures)),
            ("warned", len(kept.result.warnings)),
        )
    }
    yield gauge(
        "cinelake_gate_rules",
        "Rules of a gate by what became of them in its last check.",
        ("gate", "result"),
        rules.items(),
    )
    yield gauge(
        "cinelake_gate_rows",
        "Rows that a gate looked at in its last check, the tables added up.",
        ("gate",),
        (
            ((name,), sum({rule.table: rule.rows_checked for rule in kept.result.rules}.values()))
            for name, kept in found
        ),
    )
    yield gauge(
        "cinelake_gate_seconds",
        "How long a gate's last check took.",
        ("gate",),
        (((name,), kept.result.seconds) for name, kept in found),
    )
    yield gauge(
        "cinelake_gate_timestamp_seconds",
        "When a gate last had something to check.",
        ("gate",),
        (((name,), kept.recorded_at.timestamp()) for name, kept in found),
    )


def publication(settings: Settings) -> Iterator[Family]:
    """How far the publication of each table of silver has come, and what it wrote."""
    with connect(settings, "loader") as connection:
        marks = connection.execute(
            "select table_name, lake_version, extract(epoch from loaded_at)::float8"
            " from ops.watermarks where table_name like 'silver.%'"
        ).fetchall()
        # PostgreSQL counts them anyway.
        written = connection.execute(
            "select relname, n_tup_ins + n_tup_upd + n_tup_del from pg_stat_user_tables"
            " where schemaname = 'silver'"
        ).fetchall()
    known = {table.name: table.full_name for table in tables("silver")}
    yield counter(
        "cinelake_publish_rows",
        "Rows of a table that the publication inserted, changed or took away in PostgreSQL, by its own statistics.",
        ("table",),
        (((known[name],), rows) for name, rows in written if name in known),
    )
    yield gauge(
        "cinelake_publish_version",
        "Delta version of a table up to which it is published.",
        ("table",),
        (((name,), version) for name, version, _ in marks),
    )
    yield gauge(
        "cinelake_publish_lag_versions",
        "Delta versions of a table that are not published yet, those that move no row included.",
        ("table",),
        (
            ((name,), max(changes.current_version(settings, name) - version, 0))
            for name, version, _ in marks
        ),
    )
    yield gauge(
        "cinelake_publish_timestamp_seconds",
        "When a table was last published.",
        ("table",),
        (((name,), at) for name, _, at in marks),
    )


def gold(settings: Settings) -> Iterator[Family]:
    """Which gold analysts see, and how often it was swapped."""
    swaps: Counter[str] = Counter(gold_versions.swaps(settings))
    yield counter(
        "cinelake_gold_swaps",
        "Swaps of gold: published, or taken back.",
        ("kind",),
        (((kind,), swaps[kind]) for kind in ("published", "rollback")),
    )
    version = gold_versions.current(settings)
    yield gauge(
        "cinelake_gold_swap_timestamp_seconds",
        "When the gold that analysts see was swapped in.",
        (),
        [((), version.swapped_at.timestamp())] if version else [],
    )


def ledger(settings: Settings) -> Iterator[Family]:
    """The events at every hop, as they were counted last."""
    with connect(settings, "loader") as connection:
        rows = connection.execute(
            "select hop, rows, extract(epoch from recorded_at)::float8 from ops.ledger"
            " where run_id = (select run_id from ops.ledger order by recorded_at desc limit 1)"
        ).fetchall()
    yield gauge(
        "cinelake_ledger_rows",
        "Events at a hop, as the last run counted them.",
        ("hop",),
        (((hop,), count) for hop, count, _ in rows),
    )
    yield gauge(
        "cinelake_ledger_timestamp_seconds",
        "When the ledger was counted last.",
        (),
        [((), max(at for _, _, at in rows))] if rows else [],
    )
