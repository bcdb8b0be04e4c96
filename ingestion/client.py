"""The clients of the events API.

`CinelakeClient`, for the backends of frontends, takes one event at a time, returns at once and sends in the
background, through outages and restarts. `EventSender`, for replay and simulation, sends what it is given and
waits for the answers.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid4
from weakref import WeakSet

import orjson

from cinelake.errors import BadInputError, ServiceError, SettingError
from ingestion.endpoint import (
    MAX_BATCH,
    MAX_EVENT_BYTES,
    USER_AGENT,
    Endpoint,
    Event,
    SendResult,
    TooLargeError,
    TryAgainError,
    body_of,
    pause,
)
from ingestion.events import iso_utc
from ingestion.outbox import Limits, Outbox, Parcel
from ingestion.sender import WORKERS, Batch, EventSender, SendTotals
from ingestion.spool import MAX_BYTES, Spool

__all__ = [
    "MAX_BATCH",
    "WORKERS",
    "Batch",
    "CinelakeClient",
    "Event",
    "EventSender",
    "Limits",
    "RejectedEvent",
    "SendResult",
    "SendTotals",
]

# Not structlog: the backend that this runs in decides what becomes of its lines.
_log = logging.getLogger("cinelake.client")

_LONGEST_PAUSE = 30.0
"""Seconds between two attempts while the API is away."""
_LOOK_AROUND = 10.0
"""Seconds between two looks into an empty spool, where another process may have left something."""


class RejectedEvent(NamedTuple):
    """An event that the API refused for good.

    Args:
        event: The event as it was sent.
        errors: Why: `field` and `reason` of each problem.
    """

    event: Event
    errors: list[dict[str, Any]]


def _log_rejected(rejected: RejectedEvent) -> None:
    event_id, event_type = rejected.event["event_id"], rejected.event["event_type"]
    _log.warning("The %s event %s was refused: %s", event_type, event_id, rejected.errors)


class CinelakeClient:
    """Sends events in the background. Make one a process, share it between threads, close it at the end.

    ```python
    with CinelakeClient("http://127.0.0.1:8000", spool_folder=Path("/var/spool/cinelake")) as client:
        client.track("rating", user_id="u1", movie_id=862, properties={"rating": 8.5})
    ```

    An event is first in memory. It leaves memory within `limits.batch_age` and the time of a request: to the API,
    or, while that is away, to the spool, where it survives the process and the machine. The spool is sent first
    when the API is back, also by the next process that uses the same folder. An event may arrive twice, always
    with the same `event_id`, by which Cinelake counts it once.

    After a fork the child has an empty client of the same settings that works at once; what the parent had in
    memory is the parent's to send.

    Args:
        api_url: The API's root, for example `http://127.0.0.1:8000`.
        api_key: The key of an API that wants one.
        app_version: Put into the `context` of every event that names none.
        user_agent: The `User-Agent` header, which the API keeps with each event.
        spool_folder: A folder on a local disk for when the API is away; processes that send to the same API may
            share it. None: what memory cannot hold is refused, and what is unsent at the end is lost.
        spool_bytes: What the spool may take.
        limits: When batches go out, and how much memory events may take.
        on_rejected: Called with each event that the API refuses; it is not sent again. Default: it is logged.
        on_dropped: Called with an event and the error when neither memory nor spool has room for it. Default:
            `track` raises that error. Also called, without a spool, with what is unsent at the end.
        close_timeout: Seconds that the client may take when the interpreter ends without `close`.

    Both callbacks run in any thread, should be quick, and call neither `flush` nor `close`; what they raise is
    logged.

    Raises:
        SettingError: The address, the key or the user agent cannot be one.
        SpoolError: The spool's folder cannot be made.
    """

    _closed: bool
    _not_before: float
    _asked_to_wait_until: float

    def __init__(
        self,
        api_url: str,
        *,
        api_key: str | None = None,
        app_version: str | None = None,
        user_agent: str = USER_AGENT,
        spool_folder: Path | None = None,
        spool_bytes: int = MAX_BYTES,
        limits: Limits | None = None,
        on_rejected: Callable[[RejectedEvent], None] = _log_rejected,
        on_dropped: Callable[[Event, ServiceError], None] | None = None,
        close_timeout: float = 5.0,
    ) -> None:
        if not user_agent.isprintable():
            raise SettingError(f"{user_agent!r} cannot be a User-Agent.", "Leave out line breaks.")
        self._endpoint = Endpoint(api_url, api_key)
        self._user_agent = user_agent
        self._context = {"app_version": app_version} if app_version else {}
        self._on_rejected = on_rejected
        self._on_dropped = on_dropped
        self._close_timeout = close_timeout
        spool = Spool(spool_folder, spool_bytes) if spool_folder else None
        self._begin(Outbox(limits or Limits(), spool))
        _clients.add(self)
        atexit.register(self.close)
        if self._outbox.has_spooled():
            self._start()

    def track(
        self,
        event_type: str,
        *,
        user_id: str | None = None,
        anonymous_id: str | None = None,
        session_id: str | None = None,
        movie_id: int | None = None,
        properties: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
        occurred_at: datetime | None = None,
        event_id: UUID | None = None,
    ) -> str:
        """Take an event to be sent, without waiting for it. `GET /v1/schema` of the API shows the contract.

        Args:
            event_type: For example `rating`.
            user_id: Who did it; an event needs this or `anonymous_id`.
            anonymous_id: A visitor who is not signed in.
            session_id: The visit it belongs to.
            movie_id: The movie's TMDB id.
            properties: What the event type says beyond the envelope.
            context: `locale`, `referrer`, `app_version`, `screen`.
            occurred_at: When it happened, with its offset from UTC. Default: now.
            event_id: Default: a new random one. Give your own to make a repetition of yours harmless.

        Returns:
            The event id.

        Raises:
            BadInputError: The event cannot be written as JSON, is too long, or its time has no offset.
            ServiceError: There is no room for it (see `on_dropped`), or the client is closed.
        """
        if self._closed:
            raise ServiceError("The client is closed.", "Track events before `close`.")
        moment = occurred_at or datetime.now(UTC)
        if moment.tzinfo is None:
            raise BadInputError(f"occurred_at {moment} has no offset.", "Use datetime.now(UTC).")
        named = {
            "event_id": str(event_id or uuid4()),
            "event_type": event_type,
            "occurred_at": iso_utc(moment),
            "user_id": user_id,
            "anonymous_id": anonymous_id,
            "session_id": session_id,
            "movie_id": movie_id,
            "context": {**self._context, **(context or {})} or None,
            "properties": properties,
        }
        event = {name: value for name, value in named.items() if value is not None}
        self._put(event)
        return str(event["event_id"])

    def flush(self, timeout: float = 10.0) -> bool:
        """Send everything now, and wait for the answers; bring to disk what is not answered in time.

        Args:
            timeout: Seconds. A pause that the API asked for is kept all the same.

        Returns:
            True when each event tracked before was accepted or refused. False: those that were not are in the
            spool, safe from a crash; without a spool, or when that is full, they are still in memory.
        """
        if threading.current_thread() is self._thread:
            # A callback cannot wait for the thread it runs in.
            return False
        if not self._outbox.held() and not self._outbox.has_spooled():
            return True
        done = threading.Event()
        self._flushes.add(done)
        self._not_before = min(self._not_before, self._asked_to_wait_until)
        self._start()
        self._outbox.ready.set()
        if done.wait(timeout):
            return True
        self._flushes.discard(done)
        try:
            self._outbox.secure()
        except ServiceError as error:
            _log.warning("Events stay in memory: %s", error)
        return False

    def close(self, timeout: float | None = None) -> bool:
        """Flush, and end the background thread; no event can be tracked afterwards. Safe to call twice.

        Args:
            timeout: Seconds. Default: `close_timeout`.

        Returns:
            As `flush`. What is still in memory then is lost: it goes to `on_dropped`, or is counted in the log.
        """
        if self._closed:
            return True
        self._closed = True
        atexit.unregister(self.close)
        settled = self.flush(self._close_timeout if timeout is None else timeout)
        self._stopping = True
        self._outbox.ready.set()
        if self._thread is None:
            self._outbox.close()
        elif self._thread is not threading.current_thread():
            # It may hang in a request for long; what that carries is on disk too.
            self._thread.join(1.0)
        if not settled:
            self._give_up(self._outbox.held())
        return settled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, outbox: Outbox) -> None:
        """The state of a client without a thread: a new one, or one in a forked child."""
        self._outbox = outbox
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._flushes: set[threading.Event] = set()
        self._failures = 0
        self._trouble: type[Exception] | None = None
        self._not_before = self._asked_to_wait_until = 0.0
        self._most = MAX_BATCH
        self._closed = self._stopping = False

    def _after_fork(self) -> None:
        closed = self._closed
        self._begin(self._outbox.after_fork())
        self._closed = closed

    def _start(self) -> None:
        # Not earlier, so that a server may fork after it made the client.
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cinelake", daemon=True)
                self._thread.start()

    def _put(self, event: Event) -> None:
        try:
            line = orjson.dumps(event)
        except (orjson.JSONEncodeError, RecursionError) as error:
            raise BadInputError(
                f"The event cannot be written as JSON: {error}.",
                "Give texts, numbers, booleans, lists and dictionaries alone.",
            ) from error
        if len(line) > MAX_EVENT_BYTES:
            raise BadInputError(
                f"An event has at most {MAX_EVENT_BYTES} bytes; this has {len(line)}.",
                "Leave out or shorten what stands in `properties`.",
            )
        try:
            self._outbox.put(line)
        except ServiceError as error:
            if self._on_dropped is None:
                raise
            self._call_back(self._on_dropped, event, error)
        self._start()

    def _run(self) -> None:
        while not self._stopping:
            self._outbox.ready.clear()
            try:
                self._step()
            except ServiceError as error:
                self._back_off(error)
            except Exception as error:
                # Whatever it is, the thread must outlive it: nobody else would send the events.
                _log.error("Sending failed", exc_info=error)
                self._back_off(error)
        self._outbox.close()

    def _step(self) -> None:
        """Send one batch, or wait until there may be one."""
        remaining = self._not_before - time.monotonic()
        ripe_in = self._outbox.seconds_until_ripe()
        if remaining > 0:
            if not self._outbox.spill() or ripe_in is None:
                ripe_in = remaining
            self._outbox.ready.wait(min(remaining, ripe_in))
            return
        flushes = list(self._flushes)
        parcel = self._outbox.take(self._most, everything=bool(flushes))
        if parcel:
            self._deliver(parcel)
            return
        for done in flushes:
            done.set()
            self._flushes.discard(done)
        self._outbox.ready.wait(_LOOK_AROUND if ripe_in is None else ripe_in)

    def _deliver(self, parcel: Parcel) -> None:
        try:
            result = self._endpoint.post(body_of(parcel.lines), self._user_agent)
        except TooLargeError as error:
            if len(parcel.lines) > 1:
                self._most = len(parcel.lines) // 2
                self._outbox.put_back(parcel)
                return
            result = SendResult(0, 1, [{"index": 0, "field": "", "reason": error.message}])
        except Exception:
            self._outbox.put_back(parcel)
            raise
        self._report(parcel, result)
        self._outbox.settle(parcel)
        if self._failures:
            _log.info("The events API at %s takes events again", self._endpoint.url)
            self._failures, self._trouble = 0, None

    def _report(self, parcel: Parcel, result: SendResult) -> None:
        """Hand over what was refused; an error without an index concerns the whole batch."""
        whole = [error for error in result.errors if "index" not in error]
        for index, line in enumerate(parcel.lines) if result.rejected else ():
            errors = [error for error in result.errors if error.get("index") == index] + whole
            if errors:
                self._call_back(self._on_rejected, RejectedEvent(orjson.loads(line), errors))

    def _back_off(self, error: Exception) -> None:
        self._failures += 1
        now = time.monotonic()
        if isinstance(error, TryAgainError):
            self._asked_to_wait_until = now + error.retry_after
        self._not_before = now + pause(self._failures, error, _LONGEST_PAUSE)
        if type(error) is not self._trouble:
            self._trouble = type(error)
            _log.warning("Events wait: %s", error)

    def _give_up(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        error = ServiceError(
            f"{len(lines)} events were not sent, and no spool keeps them.",
            "Give the client a spool_folder with enough room.",
        )
        if self._on_dropped is None:
            _log.error("Events are lost: %s", error)
            return
        for line in lines:
            self._call_back(self._on_dropped, orjson.loads(line), error)

    @staticmethod
    def _call_back(function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as error:
            _log.error("A callback of the client failed", exc_info=error)


_clients: WeakSet[CinelakeClient] = WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._after_fork()


os.register_at_fork(after_in_child=_after_fork)
