"""Each figure the README claims, reproducible by one command."""
