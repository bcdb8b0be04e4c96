"""Whether all that is stored in the lake is whole: its tables, and the checkpoints of the queries that feed them."""

from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from cinelake.errors import DamagedDataError
from cinelake.settings import Settings
from lakehouse import checkpoints, damage
from lakehouse.contract import tables
from lakehouse.tables import table_path


def damaged(settings: Settings, is_thorough: bool = False) -> dict[str, list[str]]:
    """What is wrong with the files of the lake.

    Args:
        settings: Tells where the lake is.
        is_thorough: As `damage.problems` has it.

    Returns:
        By table, or `checkpoint of` one, a line a file; only those of which something is wrong.
    """
    found = {
        each.full_name: _of_table(settings, each.full_name, is_thorough)
        for layer in ("bronze", "silver")
        for each in tables(layer)
    }
    found |= {
        f"checkpoint of {name}": _of_checkpoint(settings, name) for name in checkpoints.queries()
    }
    return {name: problems for name, problems in found.items() if problems}


def _of_table(settings: Settings, full_name: str, is_thorough: bool) -> list[str]:
    try:
        return damage.problems(table_path(settings, full_name), is_thorough)
    except OSError as error:
        return [str(error)]


def _of_checkpoint(settings: Settings, full_name: str) -> list[str]:
    try:
        checkpoints.require_whole(settings, full_name)
    except DamagedDataError as error:
        return [error.message.rstrip(".")]
    return []


def require_whole(settings: Settings) -> None:
    """Make sure that nothing of the lake is damaged.

    Raises:
        DamagedDataError: Something is.
    """
    if found := damaged(settings):
        raise _error(found)


def _error(found: dict[str, list[str]]) -> DamagedDataError:
    files = "; ".join(f"{name}: {', '.join(lines)}" for name, lines in found.items())
    return DamagedDataError(f"The lake is damaged. {files}.", damage.HINT)


@contextmanager
def named(settings: Settings) -> Iterator[None]:
    """Tell of the damage to the lake in place of the error of Spark or delta-rs that came of it.

    Args:
        settings: Tells where the lake is.

    Raises:
        DamagedDataError: The block failed at storage, and something there is damaged.
    """
    try:
        yield
    except Exception as error:
        if _may_come_of_damage(error) and (found := damaged(settings, is_thorough=True)):
            raise _error(found) from error
        raise


def _may_come_of_damage(error: Exception) -> bool:
    of_spark = (PySparkException, Py4JError)
    return damage.is_of_storage(error) or any(
        isinstance(each, of_spark) for each in (error, error.__cause__)
    )
