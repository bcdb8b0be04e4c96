"""Commands of the contracts: whether all that follows from them agrees, and whom a change of them breaks."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from cinelake.commands.help import App
from cinelake.commands.values import write_json
from cinelake.console import err, out
from cinelake.settings import get_settings

if TYPE_CHECKING:
    from lakehouse.contract_check import Checked
    from lakehouse.contract_diff import Change

contracts_app = App(
    help="The contracts of the tables: drift, and breaking changes.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")]


@contracts_app.command()
def check(as_json: AsJson = False) -> None:
    """Compare the contracts with generated files, the lake and PostgreSQL; exit code 1 when they disagree."""
    from lakehouse.contract_check import check as check_all

    checked = check_all(get_settings())
    if as_json:
        write_json(asdict(checked))
    else:
        _show_checked(checked)
    if checked.findings:
        raise typer.Exit(1)


@contracts_app.command()
def diff(
    revision: Annotated[
        str | None,
        typer.Argument(
            help="A commit, branch or tag; without it, the newest release, or else the commit before."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the contracts with those of a git revision; exit code 1 when a change needs a higher version."""
    from lakehouse import contract_revision
    from lakehouse.contract_diff import diff as diff_tables

    try:
        base = revision or contract_revision.default_revision()
    except contract_revision.NothingToCompareError as error:
        if as_json:
            write_json({"base": None, "changes": []})
        err.print(f"There is nothing to compare with. {error.message}", highlight=False)
        return
    changes = diff_tables(contract_revision.at_revision(base), contract_revision.working_tree())
    if as_json:
        listed = [asdict(change) | {"is_refused": change.is_refused} for change in changes]
        write_json({"base": base, "changes": listed})
    else:
        _show_changes(base, changes)
    if any(change.is_refused for change in changes):
        raise typer.Exit(1)


def _show_checked(checked: "Checked") -> None:
    if checked.findings:
        table = _table("Drift", "where", "what", "problem")
        for found in checked.findings:
            name = f"{found.name}.{found.column}" if found.column else found.name
            table.add_row(found.place, name, found.problem)
        out.print(table)
    counted = ", ".join(f"{count} {place}" for place, count in checked.tables.items())
    out.print(f"compared: {counted}", highlight=False)
    for place, reason in checked.not_checked.items():
        out.print(f"not checked: {place}: {reason}", highlight=False, soft_wrap=True)
    if not checked.findings:
        out.print("What was compared agrees with its contracts.", style="green")


def _show_changes(base: str, changes: "list[Change]") -> None:
    if not changes:
        out.print(f"The contracts are those of {base}.", highlight=False)
        return
    table = _table(f"Contracts since {base}", "what", "kind", "change", "version")
    for change in changes:
        is_lacking = change.needs and not change.is_announced
        needs = f"needs {change.needs}" if is_lacking else ""
        table.add_row(change.target, change.kind, change.change, needs)
    out.print(table)
    for change in changes:
        if change.is_refused:
            refused = Text.assemble(("refused:", "red"), " ", _refusal(change))
            err.print(refused, highlight=False, soft_wrap=True)


def _refusal(change: "Change") -> str:
    if not change.needs:
        return f"{change.target}: {change.change}; release it with `status: deprecated` first"
    return f"{change.target}: {change.change}; its contract needs version {change.needs}"


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in headings:
        # A name stays whole, so that it can be searched for.
        table.add_column(heading, overflow="fold", no_wrap=heading in ("what", "kind"))
    return table
