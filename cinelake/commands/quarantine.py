"""Commands that look into quarantine, and take messages out of it after a fix."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake.commands.help import App
from cinelake.commands.shared import spark_session
from cinelake.commands.values import (
    MOMENT_FORMATS,
    Json,
    as_utc,
    show_facts,
    show_rows,
    shown,
    write_json,
)
from cinelake.console import err, out, say_stage
from cinelake.errors import ServiceError
from cinelake.settings import Settings, get_settings

if TYPE_CHECKING:
    from lakehouse.recover import Example, Outcome

quarantine_app = App(
    help="Messages that broke a rule after they were accepted, and records that Kafka refused.",
    no_args_is_help=True,
)

Topic = Annotated[str | None, typer.Option(help="Only of this topic: user_logs or movie.")]

SHOWN = ["place", "rule", "reason", "event_id", "last_seen_at", "attempts"]
EXAMPLE_CHARACTERS = 2_000


@quarantine_app.command("ls")
def list_all(
    rule: Annotated[str | None, typer.Option(help="Only those that broke this rule.")] = None,
    topic: Topic = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME", formats=MOMENT_FORMATS, help="Only those judged then or later, UTC."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most to list.")] = 50,
    as_json: Json = False,
) -> None:
    """List what is in quarantine, the latest first."""
    from ingestion.refused import RULE, list_refused
    from lakehouse.held import Filter, list_held

    settings = get_settings()
    rows: list[dict[str, Any]] = []
    # One more than asked for tells whether there are more.
    if rule in (None, RULE):
        rows += _asked(lambda: list_refused(settings, limit + 1, topic, as_utc(since)))
    if rule != RULE:
        held = list_held(settings, Filter(rule, topic, as_utc(since)), limit + 1)
        rows += [{"place": _place(row), **row} for row in held]
    rows.sort(key=lambda row: row["last_seen_at"], reverse=True)
    listed = rows[:limit]
    if as_json:
        write_json(listed)
        return
    show_rows(listed, SHOWN)
    if len(rows) > limit:
        out.print(f"There are more than {limit}; --limit shows more of them.")


@quarantine_app.command("show")
def show(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="As `quarantine ls` shows it.")],
    as_json: Json = False,
) -> None:
    """Show one message whole; its bytes in hexadecimal where they are not UTF-8."""
    from ingestion.refused import read_refused
    from lakehouse.held import read_held, readable

    settings = get_settings()
    row = read_refused(settings, place) or read_held(settings, place)
    kind, payload = readable(row.pop("payload"))
    if as_json:
        write_json({**row, "payload_as": kind, "payload": payload})
        return
    show_facts(place, row)
    out.print(f"payload ({kind})", style="bold", highlight=False)
    out.print(shown(payload), highlight=False, soft_wrap=True)


@quarantine_app.command("stats")
def stats(as_json: Json = False) -> None:
    """Count what is in quarantine, by topic and rule."""
    rows = _counted(get_settings())
    if as_json:
        write_json(rows)
    elif rows:
        show_rows(rows, list(rows[0]))
    else:
        out.print("Nothing is in quarantine.")


@quarantine_app.command()
def digest(
    hours: Annotated[float, typer.Option(min=0, help="How far back `new` reaches.")] = 24,
) -> None:
    """Tell people, over the channels of alerts, what is in quarantine and what is new; silent when nothing is."""
    from cinelake.commands.alerts import send
    from pipeline.alerts import channels

    settings = get_settings()
    held = _counted(settings)
    if not held:
        out.print("Nothing is in quarantine.")
        return
    new = _counted(settings, datetime.now(UTC) - timedelta(hours=hours))
    text = "\n".join([
        *_lines(f"New in the last {hours:g} hours", new),
        *_lines("In all", held),
        "`cinelake quarantine ls` lists them; after a fix `cinelake recover --rule RULE` tells what would pass.",
    ])  # fmt: skip
    out.print(text, highlight=False, soft_wrap=True)
    if channels(settings):
        send(f"Cinelake: {sum(row['messages'] for row in held):,} messages in quarantine", text)


def _counted(settings: Settings, since: datetime | None = None) -> list[dict[str, Any]]:
    from ingestion.refused import count_refused
    from lakehouse.held import count_held

    return [*count_held(settings, since), *_asked(lambda: count_refused(settings, since))]


def _asked(ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What MongoDB says; while it is away nothing, and a word about it: quarantine itself is in the lake."""
    try:
        return ask()
    except ServiceError as error:
        err.print(f"What Kafka refused is not among it: {error.message}")
        return []


def _lines(title: str, rows: list[dict[str, Any]]) -> list[str]:
    counts = [f"  {row['kafka_topic']} {row['rule']}: {row['messages']:,}" for row in rows]
    return [f"{title}:", *(counts or ["  nothing"])]


def recover(
    rule: Annotated[str, typer.Option(help="The rule whose messages to judge anew.")],
    topic: Topic = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--map", help="A YAML file that says how to mend each message first."),
    ] = None,
    is_applied: Annotated[
        bool, typer.Option("--apply", help="Move those that pass; without it, nothing is written.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge messages in quarantine anew after a fix, and with --apply take those that pass into silver."""
    from lakehouse.held import check_rule, check_topic
    from lakehouse.mapping import read_mapping
    from lakehouse.recover import Selection
    from pipeline.recovery import run_recover

    check_rule(rule)
    if topic is not None:
        check_topic(topic)
    selection = Selection(rule, topic, read_mapping(mapping) if mapping else None)
    settings = get_settings()
    outcomes = run_recover(spark_session(settings), settings, selection, is_applied, say_stage)
    if as_json:
        write_json([_facts(outcome) for outcome in outcomes])
        return
    for outcome in outcomes:
        _show(outcome, is_applied)
    if is_applied:
        out.print("What was recovered reaches gold at the next `cinelake refresh`.")
    else:
        out.print("Nothing was written. --apply moves those that pass.")


def _show(outcome: "Outcome", is_applied: bool) -> None:
    out.print(f"{outcome.topic}: {outcome.held:,} held, {outcome.passing:,} pass now", style="bold")
    for (rule, reason), count in outcome.broken.items():
        out.print(f"  {count:,} still break {rule}: {reason}", highlight=False)
    if is_applied:
        out.print(f"  {outcome.recovered:,} recovered")
    elif outcome.example:
        show_facts(f"  for example {outcome.example.place}", _example(outcome.example))


def _example(example: "Example") -> dict[str, Any]:
    from lakehouse.held import readable

    before, after = (
        readable(payload)[1][:EXAMPLE_CHARACTERS] for payload in (example.before, example.after)
    )
    verdict = example.reason or "passes"
    return {"before": before, "after": after, "verdict": verdict}


def _facts(outcome: "Outcome") -> dict[str, Any]:
    return {
        "topic": outcome.topic,
        "held": outcome.held,
        "passing": outcome.passing,
        "broken": [
            {"rule": rule, "reason": reason, "messages": count}
            for (rule, reason), count in outcome.broken.items()
        ],
        "recovered": outcome.recovered,
        "example": _example(outcome.example) if outcome.example else None,
    }


def _place(row: dict[str, Any]) -> str:
    return f"{row['kafka_topic']}/{row['kafka_partition']}/{row['kafka_offset']}"
