"""Simulated visitors: seeded, so that what they send is known in advance and can be found again."""

from ingestion.simulate.sending import send_simulation
from ingestion.simulate.stream import (
    DEFAULT_SEED,
    DEFAULT_START,
    SimulatedEvent,
    simulate,
)
from ingestion.simulate.truth import SimulationTruth
from ingestion.simulate.visitors import Movie, loaded_movies, movie_from

__all__ = [
    "DEFAULT_SEED",
    "DEFAULT_START",
    "Movie",
    "SimulatedEvent",
    "SimulationTruth",
    "loaded_movies",
    "movie_from",
    "send_simulation",
    "simulate",
]
