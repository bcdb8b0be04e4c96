"""The formats that `cinelake import events` knows, and how a file's columns tell them apart."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cinelake.errors import BadInputError
from ingestion import movielens
from ingestion.batch_files.envelope_rows import check_columns, events_from_rows
from ingestion.batch_files.importing import Mapping
from ingestion.batch_files.rows import columns_of, is_csv, is_json_lines


class Format(NamedTuple):
    """One way to read rows as events.

    Args:
        columns: The columns that a file of this format has, among others.
        mapping: Makes the mapping for a file with certain columns, and with MovieLens's `links.csv`.
        needs_links: Whether the mapping reads `links.csv`.
    """

    columns: tuple[str, ...]
    mapping: Callable[[Path, Sequence[str], Path], Mapping]
    needs_links: bool


def _ratings(path: Path, columns: Sequence[str], links: Path) -> Mapping:
    return movielens.ratings_mapping(movielens.read_links(links))


def _tags(path: Path, columns: Sequence[str], links: Path) -> Mapping:
    return movielens.tags_mapping(movielens.read_links(links))


def _events(path: Path, columns: Sequence[str], links: Path) -> Mapping:
    if not is_json_lines(path):
        # There each row has columns of its own, and one that no event has costs that row alone.
        check_columns(path, columns)
    return partial(events_from_rows, empty_is_absent=is_csv(path))


FORMATS: dict[str, Format] = {
    "movielens-ratings": Format(movielens.RATING_COLUMNS, _ratings, needs_links=True),
    "movielens-tags": Format(movielens.TAG_COLUMNS, _tags, needs_links=True),
    "events": Format(("event_type", "occurred_at"), _events, needs_links=False),
}


def choose(path: Path, name: str | None = None) -> str:
    """The format of a file.

    Args:
        path: The file.
        name: The format that the user names; None to tell it from the columns.

    Returns:
        A key of `FORMATS`.

    Raises:
        BadInputError: The file cannot be read, lacks a column of the format, or is of none.
    """
    known = ", ".join(FORMATS)
    if name is not None and name not in FORMATS:
        raise BadInputError(f"There is no format {name!r}.", f"Known are {known}.")
    columns = columns_of(path)
    if name is not None:
        movielens.require_columns(path, FORMATS[name].columns)
        return name
    for candidate, known_format in FORMATS.items():
        if set(known_format.columns) <= set(columns):
            return candidate
    raise BadInputError(
        f"The columns of {path} are of no known format: {', '.join(columns)[:200]}.",
        f"Name one with --format: {known}.",
    )


def links_for(path: Path, name: str, links: Path | None = None) -> Path | None:
    """The `links.csv` that the mapping of a file reads; None for a format that needs none.

    Args:
        path: The file.
        name: A key of `FORMATS`.
        links: The one that the user names. Default: the one beside the file.
    """
    return (links or _beside(path)) if FORMATS[name].needs_links else None


def _beside(path: Path) -> Path:
    return path.with_name("links.csv")


def mapping_for(path: Path, name: str, links: Path | None = None) -> Mapping:
    """How the rows of a file become events.

    Args:
        path: The file.
        name: A key of `FORMATS`.
        links: MovieLens's `links.csv`. Default: the one beside the file.

    Raises:
        BadInputError: A column of the file, or `links.csv`, is not as it should be.
    """
    return FORMATS[name].mapping(path, columns_of(path), links or _beside(path))
