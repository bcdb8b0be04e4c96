"""A small client of the events API, for replay and simulation: batches, retries, a few requests at a time."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import orjson
import requests
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from cinelake.stack.api import endpoint
from ingestion.batches import no_progress

USER_AGENT = "cinelake-client/1"
MAX_BATCH = 500
"""The API takes no larger batch."""
WORKERS = 4
_TIMEOUTS = (5, 60)
"""Seconds to connect, and to wait for an answer: the API itself waits for Kafka."""
_TRY_AGAIN = {429, 502, 503, 504}

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


@dataclass(frozen=True)
class Batch:
    """Events that go in one request.

    Args:
        events: At most `MAX_BATCH`.
        user_agent: The `User-Agent` header to send them with. Default: the client's own.
        lane: Batches of one lane are sent one after the other, in order. Default: any order.
    """

    events: Sequence[Event]
    user_agent: str | None = None
    lane: int | None = None


@dataclass
class SendTotals:
    """The answers about many batches.

    Args:
        sent: Events sent.
        accepted: Events that the broker acknowledged.
        rejected: Events that were refused.
        reasons: How often each reason was given, as `field: reason`; an event may have several.
    """

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch, result: SendResult) -> None:
        """Count one batch."""
        self.sent += len(batch.events)
        self.accepted += result.accepted
        self.rejected += result.rejected
        self.reasons.update(f"{e['field'] or 'event'}: {e['reason']}" for e in result.errors)


def local_sender(settings: Settings) -> "EventSender":
    """A sender to the events API of the local stack, with the local key.

    Raises:
        SettingError: `CINELAKE_API_KEY` is not set.
    """
    return EventSender(endpoint(settings), api_key=settings.api_secret)


class _TryAgainError(ServiceError):
    """The API cannot take events at the moment."""


class EventSender:
    """Sends events to the API. Threads may share it.

    Args:
        api_url: The API's root, for example `http://127.0.0.1:8000`.
        patience: Seconds during which a batch is tried again while the API or Kafka is away.
        api_key: The key to send with.
    """

    def __init__(self, api_url: str, patience: float = 60, api_key: str | None = None) -> None:
        self._authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._url = f"{api_url.rstrip('/')}/v1/events"
        self._patience = patience
        # requests does not promise that threads may share a session.
        self._local = threading.local()

    def send(self, batch: Sequence[Event], user_agent: str | None = None) -> SendResult:
        """Send one batch; while the API is away, the same again, which its event ids make harmless.

        Args:
            batch: At most `MAX_BATCH` events.
            user_agent: The `User-Agent` header.

        Raises:
            ServiceError: The API stayed away for `patience` seconds, or answered what it should not.
        """
        body = orjson.dumps({"events": list(batch)})
        headers: dict[str, str | bytes] = {
            "Content-Type": "application/json",
            "User-Agent": (user_agent or USER_AGENT).encode(),
            **self._authorization,
        }
        attempts = Retrying(
            retry=retry_if_exception_type(_TryAgainError),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            stop=stop_after_delay(self._patience),
            reraise=True,
        )
        return attempts(self._post, body, headers)

    def send_all(
        self,
        batches: Iterable[Batch],
        workers: int = WORKERS,
        progress: Callable[[int], None] = no_progress,
    ) -> SendTotals:
        """Send many batches, `workers` at a time; no more than twice as many are held in memory.

        Args:
            batches: May be endless in principle; it is read as the answers come.
            workers: Requests at a time.
            progress: Called in this thread with the number of events just answered.

        Raises:
            ServiceError: As `send`; batches before it may have been accepted.
        """
        totals = SendTotals()
        waiting: deque[tuple[Batch, Future[SendResult]]] = deque()

        def settle() -> None:
            batch, answer = waiting.popleft()
            totals.add(batch, answer.result())
            progress(len(batch.events))

        with ExitStack() as stack:
            # One thread a lane keeps the order within it.
            lanes = [stack.enter_context(ThreadPoolExecutor(1, "send")) for _ in range(workers)]
            # After a failure what has not begun is not begun.
            stack.callback(lambda: [answer.cancel() for _, answer in waiting])
            turns = count()
            for batch in batches:
                lane = next(turns) if batch.lane is None else batch.lane
                answer = lanes[lane % workers].submit(self.send, batch.events, batch.user_agent)
                waiting.append((batch, answer))
                if len(waiting) >= 2 * workers:
                    settle()
            while waiting:
                settle()
        return totals

    def _post(self, body: bytes, headers: dict[str, str | bytes]) -> SendResult:
        try:
            response = self._session().post(
                self._url, data=body, headers=headers, timeout=_TIMEOUTS
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _TryAgainError(
                f"The events API at {self._url} does not answer: {error}",
                "Start it with `cinelake up`, then send again.",
            ) from error
        if response.status_code in _TRY_AGAIN:
            raise _TryAgainError(
                f"The events API answers {response.status_code}: {response.text[:200]}",
                "See what is down with `cinelake status`, then send again.",
            )
        if response.status_code not in (202, 422):
            raise ServiceError(
                f"The events API answers {response.status_code}: {response.text[:200]}"
            )
        answer = orjson.loads(response.content)
        return SendResult(answer["accepted"], answer["rejected"], answer["errors"])

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy of the environment has no business between us and our own API.
            session.trust_env = False
        return session
