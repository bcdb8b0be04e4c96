"""The HTTP door for events."""
