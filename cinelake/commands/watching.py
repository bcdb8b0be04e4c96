"""The live page of `cinelake status --watch`: how everything is, renewed every few seconds, in 80 columns."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cinelake.console import out
from cinelake.errors import CinelakeError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from cinelake.settings import Settings
    from docs_site.home import HomeFacts, Layer

MINUTE = 60
ERRORS = 3
"""Earlier runs that failed and are still shown."""
PROBLEMS = 5
"""Lines of problems at most: what is wrong first has to be seen without scrolling."""


@dataclass(frozen=True)
class Consumer:
    """Who takes messages from Kafka.

    Args:
        name: `bronze`, `silver` or `backup`.
        taken: Messages that it has dealt with.
        waiting: Messages that it has still to take.
        since: When the oldest of those came, UTC; None when there is none.
        is_streaming: A daemon does its work.
    """

    name: str
    taken: int
    waiting: int
    since: datetime | None
    is_streaming: bool


@dataclass(frozen=True)
class Look:
    """What one look at everything found.

    Args:
        at: When, UTC.
        services: By name what is wrong with it; empty when nothing is.
        facts: Layers, gates, ledger and runs; None while they cannot be counted.
        problems: What is wrong, the most urgent first.
        consumers: Who takes messages, and how far they are; none while Kafka is away.
    """

    at: datetime
    services: dict[str, str]
    facts: "HomeFacts | None"
    problems: tuple[str, ...]
    consumers: tuple[Consumer, ...] = ()

    def rows(self) -> dict[str, int]:
        """Events in each layer."""
        return {layer.name: layer.rows for layer in self.facts.layers} if self.facts else {}


def watch(every: float) -> None:
    """Show the page until Ctrl-C.

    Args:
        every: Seconds between two looks.
    """
    looks = _looks(every)
    if not out.is_terminal:
        for look, before in looks:
            out.print(page(look, before))
        return
    with Live(console=out, screen=True, auto_refresh=False) as live:
        for look, before in looks:
            live.update(page(look, before), refresh=True)


def page(look: Look, before: Look | None = None) -> RenderableType:
    """The page of one look.

    Args:
        look: The look.
        before: The one before, of which the rates are told.
    """
    services = Columns(
        [
            Text(f"● {name}", style="red" if problem else "green")
            for name, problem in look.services.items()
        ],
        padding=(0, 2),
    )
    parts: list[RenderableType] = [
        Text(f"Cinelake  {look.at:%Y-%m-%d %H:%M:%S} UTC  (Ctrl-C ends)", style="bold"),
        services,
    ]
    if look.facts:
        parts.append(_layers(look, before))
    if look.consumers:
        parts += [Text(), _consumers(look, before), Text()]
    if look.facts:
        parts += _lines(look)
    parts += [
        Text(f"! {problem}", style="red", overflow="ellipsis", no_wrap=True)
        for problem in look.problems[:PROBLEMS]
    ] or [Text("Nothing is wrong.", style="green")]
    return Group(*parts)


def _looks(every: float) -> Iterator[tuple[Look, Look | None]]:
    before = None
    while True:
        look = _look(get_settings())
        yield look, before
        before = look
        time.sleep(every)


def _look(settings: "Settings") -> Look:
    from cinelake.stack import local
    from pipeline.alerts import open_problems
    from pipeline.docs_home import collect_home

    services = {name: found.problem for name, found in local.status(settings).items()}
    problems = [f"{name}: {problem}" for name, problem in services.items() if problem]
    facts = None
    consumers: tuple[Consumer, ...] = ()
    try:
        facts = collect_home(settings)
        consumers = tuple(_stand(settings))
    except CinelakeError as error:
        problems.append(error.message)
    if facts:
        problems += [
            f"{gate.name} gate: {', '.join(gate.failures)} failed"
            for gate in dict.fromkeys(layer.gate for layer in facts.layers if layer.gate)
            if gate.failures
        ]
        problems += [*facts.differences, *filter(None, [facts.refusal])]
    problems += [problem.name for problem in open_problems(settings)]
    lines = [line for problem in problems for line in problem.splitlines()[:1]]
    return Look(datetime.now(UTC), services, facts, tuple(lines), consumers)


def _stand(settings: "Settings") -> "Iterator[Consumer]":
    from cinelake.stack.raw_backup import RAW_BACKUP
    from cinelake.stack.state import load_state
    from cinelake.stack.streams import STREAMS
    from pipeline import lag

    daemons = {**STREAMS, "backup": RAW_BACKUP}

    state = load_state(settings.home)
    for name, of in lag.CONSUMERS.items():
        standings = of(settings)
        if not standings:
            continue
        since = min(lag.waiting_since(settings, standings).values(), default=None)
        yield Consumer(
            name,
            sum(each.taken for each in standings),
            sum(each.waiting for each in standings),
            datetime.fromtimestamp(since, UTC) if since else None,
            state.running(daemons[name].name) is not None,
        )


def _layers(look: Look, before: Look | None) -> Table:
    table = _table("layer", "last change>", "events>", "waiting>", "a second>", "gate")
    assert look.facts is not None
    for layer in look.facts.layers:
        table.add_row(
            layer.name,
            _since(layer.refreshed_at, look.at),
            f"{layer.rows:,}",
            f"{layer.waiting:,}",
            _rate(layer.rows, before.rows().get(layer.name) if before else None, look, before),
            _gate(layer),
        )
    return table


def _consumers(look: Look, before: Look | None) -> Table:
    table = _table("consumer", "oldest waiting>", "taken>", "waiting>", "a second>", "by")
    earlier = {each.name: each.taken for each in before.consumers} if before else {}
    for each in look.consumers:
        table.add_row(
            each.name,
            _since(each.since, look.at) if each.since else "-",
            f"{each.taken:,}",
            Text(f"{each.waiting:,}", style="yellow" if each.waiting else ""),
            _rate(each.taken, earlier.get(each.name), look, before),
            "a daemon" if each.is_streaming else "runs",
        )
    return table


def _table(*columns: str) -> Table:
    """A table without lines; the name of a column of figures ends in `>`."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        is_figure = name.endswith(">")
        table.add_column(
            name.removesuffix(">"), justify="right" if is_figure else "left", no_wrap=True
        )
    return table


def _lines(look: Look) -> Iterator[Text]:
    assert look.facts is not None
    # Those that are stale first.
    for each in sorted(look.facts.freshness, key=lambda each: not each.is_stale(look.at)):
        is_stale = each.is_stale(look.at)
        newest = _since(each.newest_at, look.at)
        yield Text(
            f"{'stale' if is_stale else 'fresh'}: {each.table}, newest row {newest},"
            f" promised {each.allowed_hours:g} h",
            style="yellow" if is_stale else "",
        )
    held = sum(each.rows for each in look.facts.quarantine)
    yield Text(f"{held:,} messages in quarantine", style="yellow" if held else "")
    yield from _runs(look)


def _runs(look: Look) -> Iterator[Text]:
    """The last run, and the last ones that failed."""
    assert look.facts is not None
    if look.facts.runs:
        run = look.facts.runs[0]
        how = "published" if run.is_published else run.outcome.splitlines()[0]
        yield Text(
            f"last run {_since(run.finished_at, look.at)}: {how}",
            overflow="ellipsis",
            no_wrap=True,
        )
    failed = [run for run in look.facts.runs[1:] if not run.is_published]
    for run in failed[:ERRORS]:
        yield Text(
            f"error {_since(run.finished_at, look.at)}: {run.outcome.splitlines()[0]}",
            style="dim",
            overflow="ellipsis",
            no_wrap=True,
        )


def _gate(layer: "Layer") -> Text:
    if layer.gate is None:
        return Text("-")
    if layer.gate.failures:
        return Text(f"{len(layer.gate.failures)} of {layer.gate.rules} failed", style="red")
    warned = f", {len(layer.gate.warnings)} warn" if layer.gate.warnings else ""
    return Text(f"{layer.gate.rules} passed{warned}", style="yellow" if warned else "green")


def _rate(now: int, earlier: int | None, look: Look, before: Look | None) -> str:
    """How many a second came since the look before."""
    if before is None or earlier is None:
        return "-"
    return f"{(now - earlier) / (look.at - before.at).total_seconds():,.1f}"


def _since(moment: datetime | None, now: datetime) -> str:
    from docs_site.pages import age

    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    return f"{age(seconds)} ago" if seconds >= MINUTE else "just now"
