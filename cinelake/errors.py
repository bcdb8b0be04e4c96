"""The errors Cinelake raises on purpose: what happened, and what to do next.

Every one carries the exit code with which the command line ends, so that a script can tell a wrong
setting from a refused gate without reading text.
"""


class CinelakeError(Exception):
    """Something went wrong that a person can act on.

    Args:
        message: What happened, naming the record, setting, file or service.
        hint: The next step, as a sentence or a command. Empty when there is none.
        details: Something the command line shows above the message, for example a table of failed rules.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "", details: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SettingError(CinelakeError):
    """A setting is missing or malformed."""

    exit_code = 2


class BadInputError(CinelakeError):
    """A file or a record offered by the user cannot be read."""

    exit_code = 2


class ContractRefusedError(CinelakeError):
    """A contract asks of an existing table what cannot be done without touching its rows."""


class CheckpointMismatchError(CinelakeError):
    """A table of the lake and the checkpoint of the query that feeds it do not belong together."""


class GateFailedError(CinelakeError):
    """A Great Expectations gate or a dbt test refused the data; what analysts see stays as it was."""

    exit_code = 3


class LedgerMismatchError(CinelakeError):
    """The counts of two hops do not add up."""

    exit_code = 4


class ServiceError(CinelakeError):
    """Kafka, PostgreSQL, MongoDB, Spark or the API is down, refused or too slow."""

    exit_code = 5


class DamagedDataError(CinelakeError):
    """A file of the lake is missing, cut off or holds something else than it should."""

    exit_code = 6


def message_of(error: Exception) -> str:
    """What happened, in a line of text: our own message, or the kind and the text of any other error."""
    if isinstance(error, CinelakeError):
        return error.message
    return f"{type(error).__name__}: {error}"
