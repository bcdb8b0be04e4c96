"""The contracts of a git revision, and the revision that the working tree is compared with when none is named."""

import re
import subprocess
from pathlib import Path

from cinelake.errors import BadInputError
from lakehouse.contract import CONTRACTS, Layer, Table, parse_contract, tables

RELEASE = re.compile(r"v\d+\.\d+\.\d+")
LAYERS: tuple[Layer, ...] = ("bronze", "silver")


class NothingToCompareError(BadInputError):
    """There is no earlier revision: no git, no repository, or a clone that holds one commit."""


def working_tree() -> dict[str, Table]:
    """The contracts as they are now, by the table's full name."""
    return {table.full_name: table for layer in LAYERS for table in tables(layer)}


def at_revision(revision: str, folder: Path = CONTRACTS) -> dict[str, Table]:
    """The contracts as they were, by the table's full name; none when there were none yet.

    Args:
        revision: Anything that git knows as a commit, for example `v1.0.0` or `HEAD^`.
        folder: Where the contracts are; part of a git repository.

    Raises:
        BadInputError: There is no git, no repository or no such revision, or one of its contracts cannot be read.
    """
    commit = _commit(folder, revision)
    listed = _git(folder, "ls-tree", "-r", "--name-only", commit, "--", ".").splitlines()
    found = [
        parse_contract(_git(folder, "show", f"{commit}:./{path}"), f"{path} at {revision}")
        for path in listed
        if path.endswith(".yaml")
    ]
    return {table.full_name: table for table in found}


def default_revision(folder: Path = CONTRACTS) -> str:
    """The newest release that led here (a tag like `v1.2.0`), or the commit before this one.

    Args:
        folder: Where the contracts are.

    Raises:
        NothingToCompareError: There is neither; the message says why.
    """
    try:
        tags = _git(folder, "tag", "--merged", "HEAD", "--sort=-version:refname").splitlines()
        release = next((tag for tag in tags if RELEASE.fullmatch(tag)), None)
        if release is None:
            _commit(folder, "HEAD^")
        return release or "HEAD^"
    except BadInputError as error:
        raise NothingToCompareError(error.message, error.hint) from error


def _commit(folder: Path, revision: str) -> str:
    """The commit's hash. A name that looks like an option is taken for a name."""
    wanted = f"{revision}^{{commit}}"
    try:
        return _git(folder, "rev-parse", "--verify", "--end-of-options", wanted).strip()
    except BadInputError as error:
        raise BadInputError(
            f"There is no revision {revision} to read contracts from: {error.message}",
            "See `git log` for a commit, or `git fetch --unshallow --tags` when the clone is shallow.",
        ) from error


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except FileNotFoundError as error:
        raise BadInputError(
            "git is not installed.", "Install it, for example `apt-get install git`."
        ) from error
    except subprocess.CalledProcessError as error:
        raise BadInputError(
            f"git {arguments[0]}: {error.stderr.strip()}",
            "Run it inside a clone of the repository.",
        ) from error
    return done.stdout
