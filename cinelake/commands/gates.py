"""What the gates found."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cinelake.commands.help import App
from cinelake.commands.shared import outcome, spark_session
from cinelake.commands.values import Json, write_json
from cinelake.console import out
from cinelake.errors import BadInputError
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from expectations.results import GateResult, KeptResult


gates_app = App(help="Show what the gates found, or let one look now.", invoke_without_command=True)


@gates_app.callback()
def gates(
    context: typer.Context,
    run_id: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN_ID", help="A run; without it, the last of each gate."),
    ] = None,
    every_table: Annotated[
        bool, typer.Option("--tables", help="Also a line for each table that was checked.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable, every rule.")] = False,
) -> None:
    """Show what the gates found: the rules that failed, with rows that broke them and how to trace one."""
    from expectations.results import data_docs_folder, load_results

    if context.invoked_subcommand:
        return
    settings = get_settings()
    found = load_results(settings, run_id)
    if run_id is not None and not found:
        raise BadInputError(
            f"No gate has a result of run {run_id}.",
            "The id is in the log of the run and in the table `ledger` of gold; a run without new rows has none.",
        )
    if as_json:
        write_json([_as_json(kept) for kept in found])
        return
    for kept in found:
        _show(kept, every_table)
        _show_pages(kept.result, data_docs_folder(settings))


@gates_app.command()
def check(
    layer: Annotated[str, typer.Argument(help="bronze, silver or gold (gold_next, that is).")],
    as_json: Json = False,
) -> None:
    """Let the gate of a layer look at what the next stage would take; exit code 3 when it refuses that."""
    from pipeline.steps import gate_of, run_alone

    settings = get_settings()
    (result,) = run_alone(lambda: spark_session(settings), settings, gate_of(layer)).gates
    if as_json:
        write_json({"rules": len(result.rules), "warnings": len(result.warnings)})
    else:
        out.print(f"{layer}: {outcome(result)}", highlight=False)


def _as_json(kept: "KeptResult") -> dict[str, Any]:
    result = kept.result
    return {**asdict(result), "passed": result.passed, "recorded_at": kept.recorded_at}


def _show(kept: "KeptResult", every_table: bool) -> None:
    from expectations.results import render, trace_command

    result = kept.result
    state = "passed" if result.passed else f"{len(result.failures)} failed"
    if result.warnings:
        state += f", {len(result.warnings)} warn"
    out.print(
        f"{result.gate}: {len(result.rules)} rules, {state}; {result.seconds:.1f} s,"
        f" run {result.run_id}, {kept.recorded_at:%Y-%m-%d %H:%M} UTC",
        highlight=False,
    )
    if every_table:
        for name, rules, failed in result.by_table():
            out.print(f"  {name}: {rules} rules, {failed} failed", highlight=False)
    if result.failures or result.warnings:
        out.print(render(result))
        if trace := trace_command(result.failures):
            out.print(f"One of these rows: {trace}", highlight=False)


def _show_pages(result: "GateResult", folder: Path) -> None:
    """The pages in Data Docs of the tables of which a rule failed or warns."""
    broken = [*result.failures, *result.warnings]
    for page in dict.fromkeys(rule.data_docs for rule in broken if rule.data_docs):
        path = folder / page
        where = path.absolute().as_uri()
        left = (
            ""
            if path.is_file()
            else " (`cinelake docs build` writes it while its run is one of the last ten)"
        )
        out.print(f"Data Docs: {where}{left}", highlight=False, soft_wrap=True)
