"""Events from files: read them row by row, map each row to an event, send them through the API, refuse with a reason."""
