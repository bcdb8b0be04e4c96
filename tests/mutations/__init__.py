"""Whether each data test of dbt can fail: `python -m tests.mutations`."""
