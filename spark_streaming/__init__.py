"""Kafka to bronze Delta, and the Spark session every stage shares."""
