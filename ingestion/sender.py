"""The client of the events API for replay and simulation: batches, retries, a few requests at a time."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count

import orjson
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_before_delay

from cinelake.settings import Settings
from cinelake.stack.api import endpoint
from ingestion.batches import no_progress
from ingestion.endpoint import (
    USER_AGENT,
    Endpoint,
    Event,
    SendResult,
    TryAgainError,
    pause,
)

WORKERS = 4
_LONGEST_PAUSE = 5.0
"""Seconds between two attempts while the API is away."""


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


class EventSender:
    """Sends events to the API. Threads may share it.

    Args:
        api_url: The API's root, for example `http://127.0.0.1:8000`.
        patience: Seconds during which a batch is tried again while the API or Kafka is away.
        api_key: The key of an API that wants one.

    Raises:
        SettingError: The address or the key cannot be one.
    """

    def __init__(self, api_url: str, patience: float = 60, api_key: str | None = None) -> None:
        # The threads that send do not know it.
        run_id = structlog.contextvars.get_contextvars().get("run_id")
        self._endpoint = Endpoint(api_url, api_key, run_id)
        self._patience = patience

    def send(self, batch: Sequence[Event], user_agent: str | None = None) -> SendResult:
        """Send one batch; while the API is away, the same again, which its event ids make harmless.

        Args:
            batch: At most `MAX_BATCH` events.
            user_agent: The `User-Agent` header.

        Raises:
            ServiceError: The API stayed away for `patience` seconds, or answered what it should not.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(TryAgainError),
            wait=_wait,
            stop=stop_before_delay(self._patience),
            reraise=True,
        )
        body = orjson.dumps({"events": list(batch)})
        return attempts(self._endpoint.post, body, user_agent or USER_AGENT)

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


def local_sender(settings: Settings) -> EventSender:
    """A sender to the events API of the local stack, with the local key.

    Raises:
        SettingError: `CINELAKE_API_KEY` is not set.
    """
    return EventSender(endpoint(settings), api_key=settings.api_secret)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return pause(state.attempt_number, error, _LONGEST_PAUSE)
