"""Gold of a million events, by an increment and built anew: `python -m benchmarks.gold`."""
