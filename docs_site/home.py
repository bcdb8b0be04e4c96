"""The page `Home`: is the data fresh and complete, and if not, why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from docs_site.charts import SERIES, draw
from docs_site.pages import age, render

NOTES = {
    "accepted": "events the API said yes to",
    "rejected": "refused at the door, kept with the reason",
    "bronze": "stored in the lake as they came",
    "silver": "clean events, each counted once",
    "duplicates": "messages that repeated an event",
    "quarantined": "broke a rule, kept for repair",
    "published": "the same events in PostgreSQL",
    "facts": "rows that analysts query",
}
"""What a hop's figure counts, in a few words."""

BESIDE = {"rejected": "accepted", "duplicates": "silver", "quarantined": "silver"}
"""Hops beside the main flow, and the hop at which an event leaves for them."""


@dataclass(frozen=True)
class Gate:
    """How a gate last fared.

    Args:
        name: `bronze`, `silver` or `gold`.
        run_id: The run.
        checked_at: When, UTC.
        rules: Rules checked.
        failures: Those that failed and stop a run: table and rule.
        warnings: Those that failed and are only told.
    """

    name: str
    run_id: str
    checked_at: datetime
    rules: int
    failures: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """A line of the table of layers.

    Args:
        name: For example `bronze`.
        refreshed_at: When it last changed, UTC; None when it never did.
        rows: Events it holds.
        waiting: Events that the layer before has and it has not.
        gate: The gate behind it; None when that never ran.
    """

    name: str
    refreshed_at: datetime | None
    rows: int
    waiting: int
    gate: Gate | None


@dataclass(frozen=True)
class Freshness:
    """How old a table's newest row is.

    Args:
        table: For example `silver.events`.
        newest_at: The time of that row, UTC; None without rows.
        allowed_hours: What the contract promises.
    """

    table: str
    newest_at: datetime | None
    allowed_hours: float

    def is_stale(self, now: datetime) -> bool:
        """Whether the promise is broken."""
        return self.newest_at is not None and now - self.newest_at > timedelta(
            hours=self.allowed_hours
        )


@dataclass(frozen=True)
class RunLine:
    """A refresh.

    Args:
        run_id: As in the logs.
        finished_at: When it ended, UTC.
        is_published: It went through.
        outcome: The message of the error that ended it; a word when it went through.
        stages: Name and seconds of each stage that ended, in order.
    """

    run_id: str
    finished_at: datetime
    is_published: bool
    outcome: str
    stages: tuple[tuple[str, float], ...]

    @property
    def seconds(self) -> float:
        """Wall time of the stages that ended."""
        return sum(seconds for _, seconds in self.stages)


@dataclass(frozen=True)
class Quarantined:
    """Rows in quarantine for one reason.

    Args:
        topic: Where they came from.
        rule: The rule that they broke.
        rows: How many.
        first_at: When the first of them was judged, UTC.
        last_at: When the last of them was.
    """

    topic: str
    rule: str
    rows: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class HomeFacts:
    """What the page shows.

    Args:
        generated_at: When the facts were collected, UTC.
        layers: Bronze, silver, PostgreSQL and gold.
        freshness: The tables that promise it.
        ledger: Hop and rows, in the order of the flow; empty when nothing was counted yet.
        differences: What does not add up, a sentence each.
        runs: The last ones, newest first.
        quarantine: By topic and rule, most rows first.
        refusal: Why gold is not that of the last run; empty when it is.
    """

    generated_at: datetime
    layers: Sequence[Layer] = ()
    freshness: Sequence[Freshness] = ()
    ledger: Sequence[tuple[str, int]] = ()
    differences: Sequence[str] = ()
    runs: Sequence[RunLine] = ()
    quarantine: Sequence[Quarantined] = ()
    refusal: str = ""

    @property
    def has_data(self) -> bool:
        """Whether a refresh has ever brought something."""
        return bool(self.runs)

    def problems(self) -> list[str]:
        """Why the data cannot be trusted as it is, a sentence each; none when it can."""
        failed = [
            f"The {gate.name} gate refused the data: {', '.join(gate.failures)}."
            for gate in self._gates()
            if gate.failures
        ]
        stale = [
            f"{each.table} is stale: its newest row is {age(self._age(each))} old,"
            f" its contract promises {each.allowed_hours:g} hours."
            for each in self.freshness
            if each.is_stale(self.generated_at)
        ]
        refused = [f"Gold is not that of the last run: {self.refusal}"] if self.refusal else []
        return [*refused, *failed, *stale, *(f"{text}." for text in self.differences)]

    def warnings(self) -> list[str]:
        """What is unusual and may still be true."""
        return [
            f"The {gate.name} gate finds unusual: {', '.join(gate.warnings)}."
            for gate in self._gates()
            if gate.warnings
        ]

    def _gates(self) -> list[Gate]:
        found = {layer.gate.name: layer.gate for layer in self.layers if layer.gate}
        return list(found.values())

    def _age(self, freshness: Freshness) -> float:
        assert freshness.newest_at is not None, "a table without rows is not stale"
        return (self.generated_at - freshness.newest_at).total_seconds()


@dataclass(frozen=True)
class Hop:
    """One step of the ledger's flow.

    Args:
        name: As in the ledger.
        rows: Its count.
        note: What is counted; empty for a hop this page does not know.
        asides: Hops that leave the main flow here.
    """

    name: str
    rows: int
    note: str
    asides: tuple["Hop", ...] = ()


def render_home(facts: HomeFacts) -> str:
    """Render the page `index.html`."""
    return render(
        "home.html",
        "index.html",
        facts.generated_at,
        facts=facts,
        problems=facts.problems(),
        warnings=facts.warnings(),
        flow=_flow(facts.ledger),
        freshness=[
            (
                each,
                age((facts.generated_at - each.newest_at).total_seconds())
                if each.newest_at
                else "no rows",
                each.is_stale(facts.generated_at),
            )
            for each in facts.freshness
        ],
        stage_chart=_stage_chart(facts.runs),
    )


def _flow(ledger: Sequence[tuple[str, int]]) -> list[Hop]:
    """The main flow in order, each hop with those that leave beside it."""
    names = {name for name, _ in ledger}
    beside = {name: hop for name, hop in BESIDE.items() if name in names and hop in names}
    hops = [Hop(name, rows, NOTES.get(name, "")) for name, rows in ledger]
    return [
        Hop(hop.name, hop.rows, hop.note, tuple(h for h in hops if beside.get(h.name) == hop.name))
        for hop in hops
        if hop.name not in beside
    ]


STAGE_COLOURS = {
    "start Spark": ("Spark's start", "var(--soft)"),
    "bronze": ("bronze", SERIES[0]),
    **dict.fromkeys(
        # The first is of runs by an earlier version.
        ("silver", "silver movies", "silver events", "rebuild silver"),
        ("silver", SERIES[1]),
    ),
    "publish": ("publish", SERIES[2]),
    "dbt build": ("dbt", SERIES[3]),
}
"""The stages that take the time, with the words and colours of the chart; all others are one."""
OTHERS = ("gates, swap, counts", "var(--line)")


def _stage_chart(runs: Sequence[RunLine]) -> Markup:
    """A bar a run, from the oldest to the newest, made of its stages."""
    if not any(run.stages for run in runs):
        return Markup()
    shown = [*dict.fromkeys(STAGE_COLOURS.values()), OTHERS]
    data = [
        {
            "run": f"{run.finished_at:%m-%d %H:%M} {run.run_id[:4]}",
            "stage": STAGE_COLOURS.get(name, OTHERS)[0],
            "seconds": round(seconds, 1),
            "order": shown.index(STAGE_COLOURS.get(name, OTHERS)),
            "said": f"run {run.run_id}: {name} {seconds:,.1f} s",
        }
        for run in reversed(runs)
        for name, seconds in run.stages
    ]
    spec = {
        "width": 760,
        "height": 200,
        "data": {"values": data},
        "mark": {"type": "bar", "size": min(40, 640 // max(len(runs), 1))},
        "encoding": {
            "x": {"field": "run", "type": "nominal", "sort": None, "title": None,
                  "axis": {"labelAngle": -45}},
            "y": {"field": "seconds", "type": "quantitative", "title": "seconds"},
            "color": {"field": "stage", "type": "nominal", "title": None,
                      "scale": {"domain": [name for name, _ in shown],
                                "range": [colour for _, colour in shown]}},
            "order": {"field": "order"},
            "description": {"field": "said"},
        },
    }  # fmt: skip
    return draw(spec, "Chart: seconds of each stage in each run. The table below has the figures.")
