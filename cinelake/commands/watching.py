"""The live page of `cinelake status --watch`: how everything is, renewed every few seconds, in 80 columns."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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
PROBLEMS = 5
"""Lines of problems at most: what is wrong first has to be seen without scrolling."""


@dataclass(frozen=True)
class Look:
    """What one look at everything found.

    Args:
        at: When, UTC.
        services: By name what is wrong with it; empty when nothing is.
        facts: Layers, gates, ledger and runs; None while they cannot be counted.
        problems: What is wrong, the most urgent first.
    """

    at: datetime
    services: dict[str, str]
    facts: "HomeFacts | None"
    problems: tuple[str, ...]

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
    services = Text("  ").join(
        Text(f"● {name}", style="red" if problem else "green")
        for name, problem in look.services.items()
    )
    parts: list[RenderableType] = [
        Text(f"Cinelake  {look.at:%Y-%m-%d %H:%M:%S} UTC  (Ctrl-C ends)", style="bold"),
        services,
    ]
    if look.facts:
        parts += [_layers(look, before), *_lines(look)]
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
    try:
        facts = collect_home(settings)
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
    return Look(datetime.now(UTC), services, facts, tuple(lines))


def _layers(look: Look, before: Look | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name, side in (
        ("layer", "left"),
        ("last change", "right"),
        ("events", "right"),
        ("waiting", "right"),
        ("a second", "right"),
        ("gate", "left"),
    ):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    assert look.facts is not None
    for layer in look.facts.layers:
        table.add_row(
            layer.name,
            _since(layer.refreshed_at, look.at),
            f"{layer.rows:,}",
            f"{layer.waiting:,}",
            _rate(layer, look, before),
            _gate(layer),
        )
    return table


def _lines(look: Look) -> Iterator[Text]:
    assert look.facts is not None
    stale = [each for each in look.facts.freshness if each.is_stale(look.at)]
    for each in stale[:PROBLEMS]:
        newest = _since(each.newest_at, look.at)
        yield Text(
            f"stale: {each.table}, newest row {newest}, promised {each.allowed_hours:g} h",
            style="yellow",
        )
    held = sum(each.rows for each in look.facts.quarantine)
    yield Text(f"{held:,} messages in quarantine", style="yellow" if held else "")
    if look.facts.runs:
        run = look.facts.runs[0]
        how = "published" if run.is_published else run.outcome.splitlines()[0]
        yield Text(
            f"last run {_since(run.finished_at, look.at)}: {how}",
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


def _rate(layer: "Layer", look: Look, before: Look | None) -> str:
    """How many events a second came since the look before."""
    earlier = before.rows().get(layer.name) if before else None
    if before is None or earlier is None:
        return "-"
    return f"{(layer.rows - earlier) / (look.at - before.at).total_seconds():,.1f}"


def _since(moment: datetime | None, now: datetime) -> str:
    from docs_site.pages import age

    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    return f"{age(seconds)} ago" if seconds >= MINUTE else "just now"
