"""What the lakehouse tells of itself: an exporter for Prometheus, alert rules and dashboards."""
