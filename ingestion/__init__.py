"""Everything that brings bytes in: the event contract and its API, TMDB, replay and simulation."""
