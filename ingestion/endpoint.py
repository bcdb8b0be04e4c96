"""The one place that speaks HTTP to the events API and judges what it answers."""

import random
import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson
import requests

from cinelake.errors import ServiceError, SettingError
from cinelake.log import RUN_ID_HEADER

USER_AGENT = "cinelake-client/1"
MAX_BATCH = 500
"""The API takes no larger batch."""
MAX_BODY_BYTES = 1024 * 1024
"""The API takes no longer body."""
LONGEST_RETRY_AFTER = 3600.0
"""Seconds: who asks for more is asked again after an hour all the same."""
_TIMEOUTS = (5, 60)
"""Seconds to connect, and to wait for an answer: the API itself waits for Kafka."""
_FIRST_PAUSE = 0.2
_PREFIX, _SUFFIX = b'{"events":[', b"]}"

Event = dict[str, Any]


class SendResult(NamedTuple):
    """The API's answer about one batch.

    Args:
        accepted: Events that the broker acknowledged.
        rejected: Events that were refused.
        errors: The reasons: `index` within the batch, `field`, `reason`.
    """

    accepted: int
    rejected: int
    errors: list[dict[str, Any]]


class TryAgainError(ServiceError):
    """The API cannot take events at the moment.

    Args:
        message: What happened.
        hint: What a person can do.
        retry_after: Seconds that the API asks to wait; 0 when it does not say.
    """

    def __init__(self, message: str, hint: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class TooLargeError(ServiceError):
    """The API takes no batch of this size; it may take the events in smaller ones."""


def body_of(lines: Sequence[bytes]) -> bytes:
    """A request body.

    Args:
        lines: Events, each as JSON.
    """
    return _PREFIX + b",".join(lines) + _SUFFIX


MAX_EVENT_BYTES = MAX_BODY_BYTES - len(body_of([]))
"""The longest JSON of an event that still fits into a body."""


class Endpoint:
    """`POST /v1/events` of one API. Threads may share it.

    Args:
        api_url: The API's root, for example `http://127.0.0.1:8000`.
        api_key: Sent as `Authorization: Bearer`; None where the API wants no key.
        run_id: The run of which its requests are a part, for the API's log.

    Raises:
        SettingError: The address or the key cannot be one.
    """

    def __init__(self, api_url: str, api_key: str | None = None, run_id: str | None = None) -> None:
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", api_url):
            raise SettingError(
                f"{api_url!r} is not the address of an API.",
                "Give one such as http://127.0.0.1:8000.",
            )
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            # The key itself stays out of the message.
            raise SettingError(
                "The API key holds something else than visible ASCII characters.",
                "Give it as `cinelake keys create` printed it, without a line break.",
            )
        self.url = f"{api_url.rstrip('/')}/v1/events"
        self._authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._run = {RUN_ID_HEADER: run_id} if run_id else {}
        # requests does not promise that threads may share a session.
        self._local = threading.local()

    def post(self, body: bytes, user_agent: str = USER_AGENT) -> SendResult:
        """Send one body, once.

        Args:
            body: At most `MAX_BATCH` events, as `body_of` makes it.
            user_agent: The `User-Agent` header.

        Returns:
            What became of each event: the API has stored it or refused it for good.

        Raises:
            TryAgainError: No answer, or one that says "later": the very same body may be sent again.
            TooLargeError: The batch is too large.
            ServiceError: An answer that no repetition mends, for example to a wrong key.
        """
        headers: dict[str, str | bytes] = {
            **self._authorization,
            **self._run,
            "Content-Type": "application/json",
            "User-Agent": user_agent.encode(),
        }
        try:
            # A redirect would turn the POST into a GET, or carry the key elsewhere.
            response = self._session().post(
                self.url, data=body, headers=headers, timeout=_TIMEOUTS, allow_redirects=False
            )
        except requests.RequestException as error:
            raise TryAgainError(
                f"The events API at {self.url} does not answer: {error}",
                "Start it with `cinelake up`, then send again.",
            ) from error
        return self._judge(response)

    def _judge(self, response: requests.Response) -> SendResult:
        status = response.status_code
        if status in (202, 400, 422):
            return _result(response)
        message = f"The events API answers {status}: {response.text[:200]}"
        if status in (408, 429) or status >= 500:
            raise TryAgainError(
                message,
                "See what is down with `cinelake status`, then send again.",
                seconds_of(response.headers.get("Retry-After", "")),
            )
        if status == 413:
            raise TooLargeError(message, "Send smaller batches.")
        if status in (401, 403):
            raise ServiceError(message, "Give the client a key that this API knows, as `api_key`.")
        raise ServiceError(message, f"Is {self.url} really the events API?")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy or a .netrc of the environment has no business between us and our own API.
            session.trust_env = False
        return session


def _result(response: requests.Response) -> SendResult:
    try:
        answer = orjson.loads(response.content)
        errors = [{**error} for error in answer["errors"]]
        return SendResult(answer["accepted"], answer["rejected"], errors)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ServiceError(
            f"The answer {response.status_code} is not the events API's: {response.text[:200]}",
            "Is a proxy answering in its place?",
        ) from None


def seconds_of(retry_after: str) -> float:
    """What a `Retry-After` header asks for (RFC 9110, 10.2.3).

    Args:
        retry_after: Seconds or an HTTP date.

    Returns:
        Seconds from now, from 0 to `LONGEST_RETRY_AFTER`; 0 when it says nothing that can be understood.
    """
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]+", text):
        # int() refuses very long numbers.
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError, IndexError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def pause(attempt: int, error: BaseException | None, longest: float) -> float:
    """How long to wait before a request is sent again.

    Full jitter: clients that failed together do not come back together.

    Args:
        attempt: Attempts that failed in a row, at least 1.
        error: Why the last one failed.
        longest: The bound of the pauses, which double from one attempt to the next.

    Returns:
        Seconds, at least what the API asked for.
    """
    asked = error.retry_after if isinstance(error, TryAgainError) else 0.0
    bound = min(longest, _FIRST_PAUSE * 2 ** min(attempt, 20))
    return asked + random.uniform(0, bound)  # noqa: S311 - no secret hangs on it
