"""Data Docs: a page for each suite and for each result of the latest runs. Only what is new in them is written.

Great Expectations writes what comes from rows into its pages as it is, markup too. So the pages are made of results in
which each such text is its shape, as in the reasons of quarantine, and so is a number of a column that is not public;
`cinelake gates` shows the values to whoever may see them.
"""

from collections.abc import Callable, Set
from contextlib import suppress
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.data_context.data_context.file_data_context import FileDataContext
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)

from cinelake.masking import mask
from cinelake.settings import Settings
from expectations.project import open_project
from expectations.results import DATA_DOCS, data_docs_folder
from lakehouse.classification import PUBLIC
from lakehouse.contract import tables
from lakehouse.quarantine import shape_of

SITE = "local_site"
"""What Great Expectations calls the one site of a file context."""
RESULTS = Path("uncommitted", "validations")
"""Where the project keeps the results."""
RUNS_IN_DATA_DOCS = 10
"""Older runs leave Data Docs, whose size grows with them; `ops.gate_results` keeps them all."""
OF_NO_ROW = {
    "observed_value",
    "mismatched",
    "unexpected_index_column_names",
    "unexpected_index_query",
}
"""What of a result tells of columns, types and counts: its texts come from contracts."""
VALUES = {"partial_unexpected_list", "value"}
"""Below which names a result has the values of the column that the rule is about."""
WRITER_CHANGED_AT = Path(__file__).stat().st_mtime
"""A page that is older may show what pages no longer do."""

Key: TypeAlias = ExpectationSuiteIdentifier | ValidationResultIdentifier


def build_data_docs(settings: Settings) -> Path:
    """Write the pages of what has come since they were last written, and take away those of old runs.

    Args:
        settings: `home` is used.

    Returns:
        The folder that holds their `index.html`.
    """
    context = open_project(settings)
    _forget_old_runs(context)
    suites: list[Key] = context.expectations_store.list_keys()
    results: list[Key] = context.validation_results_store.list_keys()
    folder = _folder(context)
    pages = {key: folder / _page(context, key) for key in (*suites, *results)}
    _remove_all_but(folder, set(pages.values()))
    # A suite may have changed under its name; a result is written once.
    news = [*suites, *(key for key in results if not _is_written(context, key, pages[key]))]
    store = context.validation_results_store
    kept = store.get
    store.get = lambda key: _without_values(kept(key))
    context.build_data_docs(resource_identifiers=news)
    return data_docs_folder(settings)


def data_docs_page(context: FileDataContext, validated: ExpectationSuiteValidationResult) -> str:
    """Where the page of a result will be, below the folder of Data Docs.

    Args:
        context: The project.
        validated: The result.
    """
    return _page(context, result_key(validated))


def result_key(validated: ExpectationSuiteValidationResult) -> ValidationResultIdentifier:
    """By what the project knows a result: the same table in the same run has one."""
    return ValidationResultIdentifier(
        ExpectationSuiteIdentifier(validated.suite_name),
        validated.meta["run_id"],
        validated.batch_id,
    )


def _without_values(
    validated: ExpectationSuiteValidationResult,
) -> ExpectationSuiteValidationResult:
    """A result whose texts hold no markup, and of rows no more than their shape."""
    hidden = _not_public(validated.suite_name)
    for rule in validated.results:
        config = rule.expectation_config
        about = {config.kwargs.get("column"), *config.kwargs.get("column_list", ())} & hidden
        rule.result = _shown(rule.result, _shape, hidden | VALUES if about else hidden)
        rule.exception_info = _shown(rule.exception_info, _shape if about else _masked)
    return validated


def _not_public(suite: str) -> Set[str]:
    """The columns of a suite's table that are not public; those of gold have the names of silver's."""
    described = [*tables("bronze"), *tables("silver")]
    of_suite = [table for table in described if table.full_name == suite] or described
    columns = (column for table in of_suite for column in table.columns)
    return {column.name for column in columns if column.classification != PUBLIC}


def _shape(text: str) -> str:
    return escape(shape_of(text))


def _masked(text: str) -> str:
    return escape(mask(text))


def _shown(
    found: Any, form: Callable[[str], str], hidden: Set[str] = frozenset(), name: str = ""
) -> Any:
    """A value of JSON with each text in another form, but for names, which are only escaped; and so each hidden number.

    Args:
        found: The value.
        form: The form.
        hidden: Names below which a number is as telling as a text.
        name: The one below which the value stands.
    """
    if isinstance(found, dict):
        return {
            each: _shown(part, escape if each in OF_NO_ROW else form, hidden, each)
            for each, part in found.items()
        }
    if isinstance(found, list):
        return [_shown(part, form, hidden, name) for part in found]
    if isinstance(found, str):
        return form(found)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return form(str(found)) if is_number and name in hidden else found


def _page(context: FileDataContext, key: Key) -> str:
    (site,) = context.get_docs_sites_urls(key, SITE, only_if_exists=False)
    path = Path(str(site["site_url"]).removeprefix("file://"))
    return unquote(path.relative_to(_folder(context)).as_posix())


def _folder(context: FileDataContext) -> Path:
    return Path(context.root_directory, DATA_DOCS)


def _is_written(context: FileDataContext, result: Key, page: Path) -> bool:
    """Whether the page of a result is there, and is younger than the result, which may have taken another's place."""
    kept = Path(context.root_directory, RESULTS, *result.to_tuple())
    try:
        result_at = kept.with_name(f"{kept.name}.json").stat().st_mtime
        return page.stat().st_mtime >= max(result_at, WRITER_CHANGED_AT)
    except FileNotFoundError:
        return False


def _forget_old_runs(context: FileDataContext) -> None:
    store = context.validation_results_store
    keys = store.list_keys()
    latest: dict[str, datetime] = {}
    for key in keys:
        run = key.run_id
        latest[run.run_name] = max(run.run_time, latest.get(run.run_name, run.run_time))
    kept = set(sorted(latest, key=lambda name: latest[name])[-RUNS_IN_DATA_DOCS:])
    for key in keys:
        if key.run_id.run_name not in kept:
            store.remove_key(key)


def _remove_all_but(top: Path, wanted: Set[Path]) -> None:
    """Remove the pages of what the project no longer has, and the folders that held nothing else."""
    for section in ("expectations", "validations"):
        for page in set((top / section).rglob("*.html")) - wanted:
            page.unlink()
            with suppress(OSError):
                for folder in page.parents:
                    folder.rmdir()
