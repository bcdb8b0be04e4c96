"""The keys a worker knows: read from PostgreSQL every few seconds, checked at no cost a request.

scrypt is paid when a key is first seen. After that a digest of what was presented answers, and the row that was
read last says whether the key is still good, so that a revoked key is refused within `REFRESH_SECONDS`.
"""

import os
import threading
import time
from hashlib import sha256

import psycopg

from cinelake.errors import CinelakeError, ServiceError
from cinelake.log import get_logger
from cinelake.settings import Settings
from ingestion.api.keys import ApiKey, list_keys, split_key

REFRESH_SECONDS = 2.0
"""A revoked key is refused within 5 seconds; this leaves time for a slow answer."""
LOOK_AGAIN_SECONDS = 0.25
CACHE_SIZE = 10_000
HASHING_PATIENCE_SECONDS = 5.0
NEWCOMERS = 48
"""Requests at once with keys that were not seen before: whoever guesses leaves a quarter of a worker's threads to others."""
NOBODY = ""
"""Remembered in place of a key's id for a key that was refused, so that it costs scrypt once."""

log = get_logger("api")


class InvalidKeyError(CinelakeError):
    """No key, an unknown one, or one that was revoked or has expired."""


class KeyRing:
    """Checks keys. Threads may share it, and it may be made before a fork.

    Args:
        settings: `postgres` is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        # One scrypt at a time: guesses must not take all cores, nor all threads.
        self._hashing = threading.Lock()
        self._newcomers = threading.BoundedSemaphore(NEWCOMERS)
        self._pid: int | None = None
        self._loaded_at = 0.0
        self._keys: dict[str, ApiKey] = {}
        self._opened: dict[bytes, str] = {}
        self._stopping = threading.Event()

    def check(self, presented: str | None) -> ApiKey:
        """The key that was presented.

        Raises:
            InvalidKeyError: It does not open anything.
            ServiceError: The keys could not be read even once, or others are being checked.
        """
        if not presented:
            raise InvalidKeyError("A key is required.")
        self._ensure_loaded()
        digest = sha256(presented.encode("utf-8", "surrogateescape")).digest()
        key_id = self._opened.get(digest)
        if key_id is None:
            key_id = self._open(presented, digest)
        key = self._keys.get(key_id)
        if key is None or key.state != "active":
            raise InvalidKeyError("The key is not valid.")
        return key

    def is_loaded(self) -> bool:
        """Whether keys can be checked; tries to read them when they were not read yet."""
        try:
            self._ensure_loaded()
        except ServiceError:
            return False
        return True

    def close(self) -> None:
        """Stop reading keys."""
        self._stopping.set()

    def _open(self, presented: str, digest: bytes) -> str:
        parts = split_key(presented)
        if parts is None:
            return NOBODY
        if not self._newcomers.acquire(blocking=False):
            raise _too_many()
        try:
            return self._open_in_time(*parts, digest)
        finally:
            self._newcomers.release()

    def _open_in_time(self, its_id: str, secret: str, digest: bytes) -> str:
        if its_id not in self._keys:
            self._look_again()
        key = self._keys.get(its_id)
        if key is None:
            return NOBODY
        if not self._hashing.acquire(timeout=HASHING_PATIENCE_SECONDS):
            raise _too_many()
        try:
            # A request beside this one may have brought the same key.
            if digest not in self._opened:
                if len(self._opened) >= CACHE_SIZE:
                    self._opened.clear()
                self._opened[digest] = key.key_id if key.opens_with(secret) else NOBODY
            return self._opened[digest]
        finally:
            self._hashing.release()

    def _ensure_loaded(self) -> None:
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._load()
            self._pid = os.getpid()
            threading.Thread(target=self._refresh, name="api-keys", daemon=True).start()

    def _look_again(self) -> None:
        """Read the keys now, for one that was made a moment ago; no more often than a guesser may cause.

        Whoever waits here for another's reading that began after they came is served by it.
        """
        came_at = time.monotonic()
        with self._lock:
            if self._loaded_at < came_at:
                time.sleep(max(self._loaded_at + LOOK_AGAIN_SECONDS - time.monotonic(), 0))
                self._load()

    def _load(self) -> None:
        self._loaded_at = time.monotonic()
        self._keys = {key.key_id: key for key in list_keys(self._settings)}

    def _refresh(self) -> None:
        while not self._stopping.wait(REFRESH_SECONDS):
            try:
                self._load()
            except (CinelakeError, psycopg.Error) as error:
                # Events matter more than a revocation that nobody can read: the last known keys stay.
                log.warning("api_keys_not_read", reason=str(error))


def _too_many() -> ServiceError:
    return ServiceError("Too many new keys are being checked.", "Send the request again.")
