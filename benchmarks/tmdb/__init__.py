"""The TMDB sync against the ceiling of the sandbox: `python -m benchmarks.tmdb.throughput`."""
