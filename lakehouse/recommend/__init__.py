"""What to recommend to whom: trained by Spark MLlib, measured, gated, and scored in batches."""
