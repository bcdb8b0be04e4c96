"""A client of TMDB's v3 API: one session a thread, one limit for all of them, and patience with what passes."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import orjson
import requests
from requests.auth import AuthBase
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from cinelake import __version__
from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.tmdb.auth import auth_for
from ingestion.tmdb.errors import (
    BadAnswerError,
    ConnectionFailedError,
    NotFoundError,
    OverLimitError,
    RefusedError,
    TmdbError,
    TryAgainError,
    error_of,
    is_refusal,
)
from ingestion.tmdb.rate_limit import RateLimit
from ingestion.tmdb.redaction import guard_library_logs, redact

ATTEMPTS = 8
"""How often one request is sent before it is given up."""
MAX_ANSWER_BYTES = 128 * 1024 * 1024
"""Of an answer, unpacked; the longest that TMDB gives is the daily file of ids, about 20 MB."""
MAX_RETRY_AFTER = 300.0
"""Seconds; a TMDB that asks for more is better come back to later."""
_TIMEOUTS = (5.0, 30.0)
"""Seconds to connect, and between two parts of an answer."""
_BACK_OFF = wait_random_exponential(multiplier=0.5, max=20)
_EXPORT_URL = "Check TMDB_EXPORT_URL, for example https://files.tmdb.org/p/exports."
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

T = TypeVar("T")

log = get_logger("tmdb")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What TMDB answered.

    Args:
        content: The answer, read; None when it is the one whose ETag was sent (304).
        etag: The ETag to send next time, None when there is none.
        made_at: When TMDB made the answer at the latest: the moment of asking, less the time for which a
            cache on the way had it (`Age`). What was edited later is not in it.
    """

    content: T | None
    etag: str | None
    made_at: datetime


class TmdbClient:
    """Asks TMDB. Threads may share it; close it at the end.

    Args:
        settings: The key, the base URL and the requests a second.
        attempts: How often a request is sent before it is given up.
    """

    def __init__(self, settings: Settings, attempts: int = ATTEMPTS) -> None:
        self._secret = settings.tmdb_secret
        self._auth = auth_for(self._secret)
        self._base = settings.tmdb_base_url.rstrip("/")
        self._limit = RateLimit(settings.tmdb_requests_per_second)
        self._attempts = attempts
        # requests does not promise that threads may share a session.
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self._sent = 0
        self._stopped = threading.Event()
        guard_library_logs(self._secret)

    @property
    def sent(self) -> int:
        """How many requests have left, those sent again included."""
        return self._sent

    def get(
        self,
        path: str,
        read: Callable[[Any], T],
        params: Mapping[str, str] | None = None,
        etag: str | None = None,
    ) -> Answer[T]:
        """Ask for one path until there is a whole answer.

        Args:
            path: For example `/movie/550`.
            read: Takes the parsed JSON and returns what the caller wants; raises `BadAnswerError` when it has
                another shape, and is then asked for again.
            params: Of the request, without the key.
            etag: Of the answer that is at hand.

        Raises:
            TmdbError: TMDB refused (a subclass says why), or did not answer well within all attempts.
        """

        def parse(body: bytes) -> T:
            try:
                parsed = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise BadAnswerError(f"TMDB's answer to {path} is not JSON: {error}.") from None
            if is_refusal(parsed):
                raise self._error(200, {}, body, path)
            return read(parsed)

        return self._patiently(self._base + path, path, parse, params, etag, self._auth)

    def download(self, url: str, read: Callable[[bytes], T]) -> T:
        """Fetch a file that needs no key.

        Args:
            url: Its address.
            read: Takes the bytes; raises `BadAnswerError` when they are not whole, and is then fetched again.

        Raises:
            NotFoundError: There is no such file; TMDB's file server says 403 to that as well.
            TmdbError: As `get`, but none is about the key.
        """
        try:
            answer = self._patiently(url, urlsplit(url).path, read, None, None, None)
        except ConnectionFailedError as error:
            raise ConnectionFailedError(
                error.message,
                "Check the network and TMDB_EXPORT_URL, then run the same command again.",
            ) from None
        except TmdbError as error:
            if error.status is None or isinstance(error, TryAgainError):
                raise
            kind = NotFoundError if error.status in (403, 404) else RefusedError
            raise kind(error.message, _EXPORT_URL, error.status) from None
        if answer.content is None:
            raise RefusedError(
                f"TMDB says that {urlsplit(url).path} has not changed, unasked.",
                "Check TMDB_EXPORT_URL: a cache may be answering in its place.",
            )
        return answer.content

    def stop(self) -> None:
        """Give up whatever waits to be asked, or asked again; what is on its way comes to its end."""
        self._stopped.set()
        self._limit.stop()

    def close(self) -> None:
        """Close every thread's connections."""
        with self._lock:
            for session in self._sessions:
                session.close()
            self._sessions.clear()

    def _patiently(
        self,
        url: str,
        path: str,
        read: Callable[[bytes], T],
        params: Mapping[str, str] | None,
        etag: str | None,
        auth: AuthBase | None,
    ) -> Answer[T]:
        attempts = Retrying(
            retry=retry_if_exception_type(TryAgainError),
            wait=_wait,
            stop=_stop(self._attempts),
            sleep=self._sleep,
            before_sleep=lambda state: _log_retry(path, state),
            reraise=True,
        )
        return attempts(self._once, url, path, read, params, etag, auth)

    def _sleep(self, seconds: float) -> None:
        # Woken by `stop`; the next attempt then finds the limit closed.
        self._stopped.wait(seconds)

    def _once(
        self,
        url: str,
        path: str,
        read: Callable[[bytes], T],
        params: Mapping[str, str] | None,
        etag: str | None,
        auth: AuthBase | None,
    ) -> Answer[T]:
        headers = {"If-None-Match": etag} if etag else {}
        with self._limit.request():
            # Over when the head of the answer is there: by then the request has certainly arrived.
            asked_at = datetime.now(UTC)
            response = self._send(url, path, params, headers, auth)
        body = self._guarded(url, path, lambda: _body(response, path))
        made_at = asked_at - _age(response)
        if response.status_code == 304 and etag:
            return Answer(None, etag, made_at)
        if response.status_code == 200:
            return Answer(read(body), response.headers.get("ETag"), made_at)
        raise self._refusal(response, body, path)

    def _refusal(self, response: requests.Response, body: bytes, path: str) -> TmdbError:
        if response.status_code < 400:
            return RefusedError(
                f"TMDB answers {response.status_code} to {path}.",
                "Check TMDB_BASE_URL: it should be the address that answers itself.",
                response.status_code,
            )
        error = self._error(response.status_code, response.headers, body, path)
        if isinstance(error, OverLimitError) and error.retry_after is not None:
            # The limit is one for the whole address, so every thread keeps still.
            self._limit.pause(min(error.retry_after, MAX_RETRY_AFTER))
        return error

    def _error(self, status: int, headers: Mapping[str, str], body: bytes, path: str) -> TmdbError:
        said = redact(body.decode(errors="replace"), self._secret).encode()
        return error_of(status, headers, said, path)

    def _send(
        self,
        url: str,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        auth: AuthBase | None,
    ) -> requests.Response:
        with self._lock:
            self._sent += 1

        def get() -> requests.Response:
            return self._session().get(
                url,
                params=params,
                headers=headers,
                auth=auth,
                timeout=_TIMEOUTS,
                stream=True,
                # A redirect would carry the key to wherever it points.
                allow_redirects=False,
            )

        return self._guarded(url, path, get)

    def _guarded(self, url: str, path: str, action: Callable[[], T]) -> T:
        """Do what may fail on the network, and say so in our own words."""
        try:
            return action()
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            failure: TmdbError = BadAnswerError(f"TMDB's answer to {path} was cut off.")
        except requests.RequestException as error:
            failure = ConnectionFailedError(
                f"TMDB at {urlsplit(url).netloc} does not answer to {path}: {type(error).__name__}.",
                "Check the network and TMDB_BASE_URL, then run the same command again.",
            )
        # Raised out here, because requests' own error, which would be its context, holds the key.
        raise failure

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy of the environment is the way to TMDB, but not to a sandbox on this machine.
            session.trust_env = urlsplit(self._base).hostname not in _LOOPBACK
            session.headers.update(
                {
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip",
                    "User-Agent": f"cinelake/{__version__}",
                }
            )
            with self._lock:
                self._sessions.append(session)
        return session


def _body(response: requests.Response, path: str) -> bytes:
    body = bytearray()
    with response:
        for part in response.iter_content(64 * 1024):
            body += part
            if len(body) > MAX_ANSWER_BYTES:
                raise RefusedError(
                    f"TMDB's answer to {path} has more than {MAX_ANSWER_BYTES:,} bytes.",
                    "Check TMDB_BASE_URL and TMDB_EXPORT_URL: TMDB gives no such answer.",
                    response.status_code,
                )
    return bytes(body)


def _age(response: requests.Response) -> timedelta:
    age = response.headers.get("Age", "")
    is_number = age.isascii() and age.isdigit() and len(age) < 9
    return timedelta(seconds=int(age)) if is_number else timedelta(0)


def _stop(attempts: int) -> Callable[[RetryCallState], bool]:
    enough = stop_after_attempt(attempts)

    def stop(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        asks_too_much = (
            isinstance(error, TryAgainError) and (error.retry_after or 0) > MAX_RETRY_AFTER
        )
        return asks_too_much or enough(state)

    return stop


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, TryAgainError) else None
    if isinstance(error, OverLimitError) and asked is not None:
        return asked
    # A server that fails is not better at once because it says 0.
    return max(_BACK_OFF(state), asked or 0.0)


def _log_retry(path: str, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.debug("asking again", path=path, attempt=state.attempt_number, reason=type(error).__name__)
