"""Events on their way to the API: in memory at first, on disk once the API is away, and out in batches."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from cinelake.errors import ServiceError
from ingestion.endpoint import MAX_BATCH
from ingestion.spool import MEBIBYTE, Segment, Spool


class OutboxFullError(ServiceError):
    """Memory is full, and there is no spool."""


@dataclass(frozen=True)
class Limits:
    """When a batch goes out, and how much memory events may take.

    Args:
        batch_events: A batch goes out with this many events, 1 to `MAX_BATCH`,
        batch_bytes: or with this many bytes, below the 1 MiB that the API takes,
        batch_age: or this many seconds after its first event.
        memory_bytes: What the events in memory may take; more go to the spool. With 0 every event is on
            disk before `track` returns, at the price of a disk write each.
    """

    batch_events: int = 200
    batch_bytes: int = MEBIBYTE // 2
    batch_age: float = 1.0
    memory_bytes: int = 8 * MEBIBYTE

    def __post_init__(self) -> None:
        if not 1 <= self.batch_events <= MAX_BATCH or not 1 <= self.batch_bytes <= MEBIBYTE - 64:
            raise ValueError(f"A batch has 1 to {MAX_BATCH} events and less than 1 MiB.")


@dataclass(frozen=True)
class Parcel:
    """A batch in the hands of the sender.

    Args:
        lines: Events, each as JSON; at least one.
        from_disk: Whether the spool has them.
    """

    lines: list[bytes]
    from_disk: bool


class Outbox:
    """What was tracked and not yet answered. Any thread puts in; one thread takes out.

    Args:
        limits: See there.
        spool: Where events go when the API is away or memory is full. None: they stay in memory.
    """

    def __init__(self, limits: Limits, spool: Spool | None) -> None:
        self.ready = threading.Event()
        """Set when there may be something to do: a batch is complete, or its age begins to count."""
        self._limits = limits
        self._spool = spool
        self._memory: deque[bytes] = deque()
        self._memory_bytes = 0
        self._oldest = 0.0
        self._guard = threading.Lock()
        # Held while events are neither in memory nor yet on disk.
        self._moving = threading.Lock()
        # Of the parcel that was taken from memory, until it is answered or on disk.
        self._in_hand: list[bytes] = []
        self._segment: Segment | None = None
        self._position = 0

    def put(self, line: bytes) -> None:
        """Add an event.

        Args:
            line: The event as JSON.

        Raises:
            OutboxFullError: Memory is full, and there is no spool.
            SpoolError: Memory is full, and so is the spool; or the disk refuses.
        """
        with self._guard:
            if self._memory_bytes + len(line) <= self._limits.memory_bytes:
                was_ripe = self._is_ripe()
                self._remember([line])
                if len(self._memory) == 1 or (not was_ripe and self._is_ripe()):
                    self.ready.set()
                return
        self.secure(line)

    def secure(self, *more: bytes) -> None:
        """Bring everything to disk that is in memory or in the sender's hands.

        Args:
            more: Events that are not even in memory yet.

        Raises:
            OutboxFullError: There is no spool.
            SpoolError: The spool is full, or the disk refuses. What was in memory stays there.
        """
        with self._moving:
            with self._guard:
                in_hand, self._in_hand = self._in_hand, []
                lines = [*in_hand, *self._forget(len(self._memory))]
            try:
                self._append([*lines, *more])
            except ServiceError:
                # What was in the sender's hands may be answered meanwhile, and then goes twice: harmless.
                self._remember_first(lines)
                raise
        self.ready.set()

    def spill(self) -> bool:
        """While the API is away: bring a batch to disk as soon as it is ripe.

        Returns:
            False when it would be time to, but there is no spool, or no room in it.
        """
        with self._guard:
            ripe = self._is_ripe()
        if not ripe:
            return True
        try:
            self.secure()
        except ServiceError:
            # Whoever tracks more than memory holds is told; the events at hand are not lost yet.
            return False
        return True

    def take(self, limit: int, *, everything: bool) -> Parcel | None:
        """The next batch, the spool's events first.

        Args:
            limit: The most events to take, beside the limits.
            everything: Take what is in memory although no batch is ripe yet.

        Returns:
            The batch, to be given to `settle` or `put_back`; None when there is none.
        """
        with self._moving:
            if self._spool and self._segment is None:
                self._segment, self._position = self._spool.claim(), 0
            if self._segment:
                rest = islice(self._segment.lines, self._position, None)
                return Parcel(self._fitting(rest, limit), from_disk=True)
            with self._guard:
                if not self._memory or not (everything or self._is_ripe()):
                    return None
                self._in_hand = self._forget(len(self._fitting(self._memory, limit)))
                return Parcel(self._in_hand, from_disk=False)

    def settle(self, parcel: Parcel) -> None:
        """All of a parcel was answered."""
        if parcel.from_disk and self._segment:
            self._position += len(parcel.lines)
            if self._position >= len(self._segment.lines):
                self._segment.remove()
                self._segment = None
        else:
            with self._guard:
                self._in_hand = []

    def put_back(self, parcel: Parcel) -> None:
        """A parcel was not answered: it is the first to be taken again."""
        if not parcel.from_disk:
            with self._guard:
                # Empty when it was brought to disk meanwhile.
                lines, self._in_hand = self._in_hand, []
            self._remember_first(lines)

    def seconds_until_ripe(self) -> float | None:
        """How long the batch in memory may still wait; None when memory is empty."""
        with self._guard:
            if not self._memory:
                return None
            return 0.0 if self._is_ripe() else self._oldest + self._limits.batch_age - _now()

    def has_spooled(self) -> bool:
        """Whether there is something on disk, perhaps another process's."""
        return self._spool is not None and self._spool.size() > 0

    def held(self) -> list[bytes]:
        """The events that are in memory or in the sender's hands, and not on disk."""
        with self._moving, self._guard:
            return [*self._in_hand, *self._memory]

    def close(self) -> None:
        """Leave the spool to others. What is in memory is lost: `secure` it before."""
        if self._segment:
            self._segment.release()
            self._segment = None
        if self._spool:
            self._spool.close()

    def after_fork(self) -> "Outbox":
        """In a forked child: an empty outbox on the same spool. The events are the parent's."""
        if self._segment:
            self._segment.release()
        if self._spool:
            self._spool.after_fork()
        return Outbox(self._limits, self._spool)

    def _append(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if self._spool is None:
            raise OutboxFullError(
                f"{self._limits.memory_bytes} bytes of events wait for the events API, no more fit.",
                "Bring the API back, or give the client a spool_folder.",
            )
        self._spool.append(lines)

    def _is_ripe(self) -> bool:
        return bool(self._memory) and (
            len(self._memory) >= self._limits.batch_events
            or self._memory_bytes >= self._limits.batch_bytes
            or _now() - self._oldest >= self._limits.batch_age
        )

    def _remember(self, lines: list[bytes]) -> None:
        if not self._memory:
            self._oldest = _now()
        self._memory.extend(lines)
        self._memory_bytes += sum(map(len, lines))

    def _remember_first(self, lines: list[bytes]) -> None:
        with self._guard:
            if lines:
                # They have waited long enough.
                self._oldest = _now() - self._limits.batch_age
            self._memory.extendleft(reversed(lines))
            self._memory_bytes += sum(map(len, lines))

    def _forget(self, count: int) -> list[bytes]:
        lines = [self._memory.popleft() for _ in range(count)]
        self._memory_bytes -= sum(map(len, lines))
        return lines

    def _fitting(self, lines: Iterable[bytes], limit: int) -> list[bytes]:
        """The first lines that fit into a batch together, at least one."""
        batch: list[bytes] = []
        total = 0
        for line in islice(lines, min(limit, self._limits.batch_events)):
            total += len(line) + 1
            if batch and total > self._limits.batch_bytes:
                break
            batch.append(line)
        return batch


_now = time.monotonic
