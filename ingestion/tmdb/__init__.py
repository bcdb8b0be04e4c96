"""TMDB metadata: from a file to MongoDB, and from there to Kafka."""
