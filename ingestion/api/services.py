"""What the routes work with: where events go, who may send them, how often."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from flask import current_app

from cinelake.errors import ServiceError
from ingestion.api.keys import ApiKey
from ingestion.api.rate_limit import RateLimiter
from ingestion.producer import Record

EXTENSION = "cinelake"


class Publisher(Protocol):
    """What the API needs of a producer; see `ingestion.producer.EventProducer`."""

    def publish(self, records: Sequence[Record]) -> Sequence[ServiceError | None]:
        """Publish and wait for the acknowledgements."""

    def is_reachable(self, topics: Sequence[str]) -> bool:
        """Whether a broker answers and has the topics."""

    def close(self) -> int:
        """Wait for what is on its way, then let go."""


class Keys(Protocol):
    """What the API needs of its keys; see `ingestion.api.key_ring.KeyRing`."""

    def check(self, presented: str | None) -> ApiKey:
        """The key that was presented, or `InvalidKeyError`."""

    def is_loaded(self) -> bool:
        """Whether keys can be checked."""

    def close(self) -> None:
        """Let go."""


class Recommender(Protocol):
    """What the API reads of gold; see `ingestion.api.recommendations.Recommendations`."""

    def of_user(self, user_id: str, count: int) -> list[dict[str, Any]]:
        """What is recommended to a user."""

    def alike(self, movie_id: int, count: int) -> list[dict[str, Any]]:
        """Movies like a movie."""

    def is_movie(self, movie_id: int) -> bool:
        """Whether the movie is known."""

    def popular(self, count: int, but: int | None = None) -> list[dict[str, Any]]:
        """The most popular movies."""


@dataclass(frozen=True)
class Services:
    """The services of one app.

    Args:
        publisher: Where events go.
        keys: Who may send them.
        limiter: Counts each key's requests.
        requests_per_second: The limit of a key that has none of its own.
        recommendations: What gold recommends.
    """

    publisher: Publisher
    keys: Keys
    limiter: RateLimiter
    requests_per_second: float
    recommendations: Recommender


def services() -> Services:
    """The services of the app that handles this request."""
    return cast(Services, current_app.extensions[EXTENSION])
