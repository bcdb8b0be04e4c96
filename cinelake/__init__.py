"""What every stage of the lakehouse shares: settings, logs, errors, the local stack and the command line."""

__version__ = "0.1.0"
