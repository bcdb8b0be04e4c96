"""What TMDB refuses, and what goes wrong on the way to it, as errors of their own.

TMDB answers `{"status_code": 34, "status_message": "...", "success": false}`; the codes are listed at
https://developer.themoviedb.org/docs/errors.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from cinelake.errors import ServiceError

GO_ON_LATER = "Run the same command again later; it goes on where it stopped."
"""The hint of what TMDB may do better the next time."""
_OTHER_ADDRESS = "Check TMDB_BASE_URL, for example https://api.themoviedb.org/3."
_OUR_MISTAKE = "Cinelake asked for what TMDB does not serve: report it, with the lines of the log."


class TmdbError(ServiceError):
    """TMDB refused a request, or could not be asked.

    Args:
        message: What happened, with the path and without any key.
        hint: What to do next.
        status: The HTTP status, None when there was no answer.
        code: TMDB's own `status_code`, None when the body names none.
    """

    def __init__(
        self, message: str, hint: str = "", status: int | None = None, code: int | None = None
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class InvalidKeyError(TmdbError):
    """TMDB does not take the key: codes 7, 3, 10, 14, 31, or any other 401."""

    exit_code = 2


class NotFoundError(TmdbError):
    """TMDB has no such thing (any more): codes 34 and 6."""


class MoviesLeftError(TmdbError):
    """A sync asked for all that it was to bring, and some movies failed: to try at once again would ask for all anew."""

    exit_code = 7


class InvalidPageError(TmdbError):
    """The page is below 1 or above 500: code 22."""


class InvalidDateRangeError(TmdbError):
    """The dates are more than 14 days apart or no dates: codes 20 and 23."""


class RefusedError(TmdbError):
    """TMDB refused a request for another reason; the same request would be refused again."""


class StoppedError(TmdbError):
    """Nobody waits for the answer any more."""


class TryAgainError(TmdbError):
    """The same request may well succeed a little later."""

    retry_after: float | None = None
    """Seconds that TMDB asks to wait, None when it names none."""


class OverLimitError(TryAgainError):
    """Too many requests: code 25, or any 429.

    Args:
        message: What happened.
        code: TMDB's own `status_code`.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(
            message, "Lower CINELAKE_TMDB_REQUESTS_PER_SECOND, or run it later.", 429, code
        )


class ServerFailedError(TryAgainError):
    """TMDB answered 5xx: codes 9, 11, 15, 24 and others."""


class BadAnswerError(TryAgainError):
    """The answer was cut off, is not JSON, or has not the shape that was asked for.

    Args:
        message: What is wrong with it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, GO_ON_LATER)


class ConnectionFailedError(TryAgainError):
    """No answer: refused, reset or too slow."""


_BY_CODE: dict[int, type[TmdbError]] = {
    3: InvalidKeyError,
    6: NotFoundError,
    7: InvalidKeyError,
    10: InvalidKeyError,
    14: InvalidKeyError,
    20: InvalidDateRangeError,
    22: InvalidPageError,
    23: InvalidDateRangeError,
    31: InvalidKeyError,
    34: NotFoundError,
}
_OVER_LIMIT = 25
_HINTS: dict[type[TmdbError], str] = {
    InvalidKeyError: "Check TMDB_API_KEY: a v3 key or a v4 read access token of"
    " https://www.themoviedb.org/settings/api.",
    ServerFailedError: GO_ON_LATER,
    NotFoundError: _OTHER_ADDRESS,
    RefusedError: _OTHER_ADDRESS,
    InvalidPageError: _OUR_MISTAKE,
    InvalidDateRangeError: _OUR_MISTAKE,
}


def error_of(status: int, headers: Mapping[str, str], body: bytes, path: str) -> TmdbError:
    """The error that an answer stands for.

    Args:
        status: The HTTP status, 400 or above; or 200 where `is_refusal` holds of the body.
        headers: Of the answer; `Retry-After` is used.
        body: Of the answer; TMDB's JSON or anything else.
        path: What was asked for, without parameters.
    """
    code, said = _read(body)
    message = f"TMDB answers {status} to {path}" + (f": {said} (code {code})" if said else ".")
    again: TryAgainError | None = None
    if status == 429 or code == _OVER_LIMIT:
        again = OverLimitError(message, code)
    elif status >= 500:
        again = ServerFailedError(message, _HINTS[ServerFailedError], status, code)
    if again:
        again.retry_after = retry_after(headers.get("Retry-After"))
        return again
    kind = _BY_CODE.get(code or 0, InvalidKeyError if status == 401 else RefusedError)
    return kind(message, _HINTS.get(kind, ""), status, code)


def is_refusal(answer: Any) -> bool:
    """Whether a parsed answer is one of TMDB's errors, whatever its status, of which the code alone says enough."""
    if not isinstance(answer, dict) or answer.get("success") is not False:
        return False
    code = answer.get("status_code")
    return type(code) is int and (code in _BY_CODE or code == _OVER_LIMIT)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds, or a date).

    Args:
        value: The header, None when there is none.
        now: The present. Default: the clock.

    Returns:
        Seconds, never below 0; None when the header is missing or says nothing.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # A number that no float holds means for ever, as does any that is a day and more.
        return float(value) if len(value) < 10 else 1e9
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0)


def _read(body: bytes) -> tuple[int | None, str]:
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, ""
    if not isinstance(answer, dict):
        return None, ""
    code, said = answer.get("status_code"), answer.get("status_message")
    return (code if type(code) is int else None), (said[:300] if isinstance(said, str) else "")
