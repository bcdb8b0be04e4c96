"""The events API against its limits: `python -m benchmarks.api`."""
