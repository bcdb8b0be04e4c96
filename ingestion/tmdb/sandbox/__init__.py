"""A stand-in for TMDB on this machine: its endpoints, shapes, limits and moods, for tests and people without a key."""
