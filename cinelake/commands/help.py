"""What `--help` says: values in words a person writes, and examples."""

from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

EXAMPLES: dict[str, tuple[str, ...]] = {
    "up": ("cinelake up",),
    "status": ("cinelake status", "cinelake status --watch --every 2", "cinelake status --json"),
    "sql": ("cinelake sql", "cinelake sql -- -Atc 'select count(*) from ratings'"),
    "keys create": (
        "cinelake keys create web --expires 2027-01-01 --rate 50",
        "cinelake keys create shop --scope events:write --scope recommendations:read",
    ),
    "keys scope": ("cinelake keys scope web events:write",),
    "keys revoke": ("cinelake keys revoke web",),
    "simulate": (
        "cinelake simulate --users 500",
        "cinelake simulate --users 20 --days 3 --seed 7 --bad-rate 0.1 --truth truth.json",
    ),
    "backup prune": ("cinelake backup prune --older-than 90",),
    "backup restore": ("cinelake backup restore --from 2026-01-01 --to 2026-01-02",),
    "replay movielens": ("cinelake replay movielens data/ml-latest-small",),
    "import events": (
        "cinelake import events events.parquet",
        "cinelake import events ratings.csv --format movielens-ratings --rejects refused.csv",
    ),
    "catalog load": ("cinelake catalog load data/tmdb/tmdb_5000_movies.csv",),
    "tmdb sync": ("cinelake tmdb sync --ids 550,680", "cinelake tmdb sync --changes"),
    "export": (
        "cinelake export gold.ratings --to ratings.csv.gz",
        "cinelake export gold.comments --for-spreadsheets --to comments.csv",
        "cinelake export silver.events --where \"event_type = 'rating'\" --to events.parquet",
    ),
    "refresh": ("cinelake refresh",),
    "streams up": ("cinelake streams up",),
    "gold": ("cinelake gold", "cinelake gold rollback"),
    "recommend train": ("cinelake recommend train --seconds 60",),
    "docs build": ("cinelake docs build",),
    "contracts diff": ("cinelake contracts diff",),
    "gates": ("cinelake gates", "cinelake gates --tables"),
    "gates check": ("cinelake gates check silver",),
    "reconcile": ("cinelake reconcile",),
    "quarantine ls": ("cinelake quarantine ls --topic user_logs --limit 10",),
    "quarantine show": ("cinelake quarantine show user_logs/0/42",),
    "recover": (
        "cinelake recover --rule missing_field --topic user_logs --map mapping.yaml",
        "cinelake recover --rule missing_field --topic user_logs --map mapping.yaml --apply",
    ),
    "trace": (
        "cinelake trace movie 862",
        "cinelake trace user ada@example.org",
        "cinelake trace 7f0f9c52-54a3-4f0e-9d0c-0a51b0c6b8a1",
    ),
    "as-of": (
        "cinelake as-of silver.ratings --version 3",
        "cinelake as-of silver.ratings --time 2026-01-01 --where 'movie_id = 862'",
    ),
    "alerts raise": ("cinelake alerts raise nightly-export --message 'The disk is full.'",),
    "alerts settle": ("cinelake alerts settle nightly-export",),
    "maintain": ("cinelake maintain --dry-run", "cinelake maintain --retention-hours 24"),
    "demo": ("cinelake demo", "cinelake demo --data path/to/data"),
}
"""By command: what a person writes, for the end of its `--help`."""

WORDS = {"int": "NUMBER", "float": "NUMBER", "str": "TEXT", "path": "PATH", "bool": ""}
"""A flag takes no value, so nothing stands beside it."""


class _Readable:
    """Help in which a value is called what a person would call it, with examples at the end."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # Imported only here: it takes as long as all else of a start. The range is in `_value` instead.
        from typer import rich_utils

        rich_utils.RANGE_STRING = ""
        command: Any = self
        for parameter in command.get_params(ctx):
            parameter.display_type_rich = partial(_value, parameter, parameter.display_type_rich)
        name = ctx.command_path.partition(" ")[2]
        if examples := EXAMPLES.get(name):
            # An empty line is what starts a new one there.
            command.epilog = "\n\n".join([f"Example{'s'[: len(examples) > 1]}:", *examples])
        super().format_help(ctx, formatter)  # type: ignore[misc]


class Command(_Readable, TyperCommand):
    """A command."""


class Group(_Readable, TyperGroup):
    """A command of commands."""


class App(typer.Typer):
    """A Typer app whose commands explain themselves so."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group} | settings)

    def command(
        self, name: str | None = None, **settings: Any
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """As Typer's own."""
        return super().command(name, **{"cls": Command} | settings)


def _value(parameter: Any, typers_own: Any, ctx: Any) -> str:
    """What stands beside an option: `NUMBER from 1 to 20`, `YYYY-MM-DD`, `csv|json`."""
    said = str(typers_own(ctx))
    many = "..." if said.startswith("<list[") or said.endswith("...") else ""
    plain = said.removesuffix("...").strip("<>").removeprefix("list[").removesuffix("]")
    if "%Y" in plain:
        return "YYYY-MM-DD" if plain == "%Y-%m-%d" else "TIME"
    word = WORDS.get(plain.removesuffix(" range"), plain)
    # An argument stands beside its own name, which says what it is.
    if parameter.param_type_name == "argument" and word in WORDS.values():
        return ""
    return f"{word}{many}{_range(parameter)}"


def _range(parameter: Any) -> str:
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    bounds = [
        f" {word} {bound:g}" for word, bound in (("from", least), ("to", most)) if bound is not None
    ]
    return "".join(bounds)
