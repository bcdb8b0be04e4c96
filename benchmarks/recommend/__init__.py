"""Benchmarks of the recommendations: how good they are, and how soon the API answers with them."""
