"""What a person who opens the API's address finds, and the tracker for web pages with its demonstration."""

from typing import Any

from flask import Blueprint, Response, send_from_directory

from cinelake import __version__
from cinelake.settings import PROJECT_ROOT
from ingestion.api.problems import json_response

pages = Blueprint("pages", __name__)

STATIC = PROJECT_ROOT / "ingestion" / "static"
TRACKER_SECONDS = 3600
"""How long a browser uses the tracker it has; an update reaches each page within that time."""
TYPES = {".js": "text/javascript; charset=utf-8", ".html": "text/html; charset=utf-8"}
"""Not left to the machine's own table of types: browsers run no script that is called anything else."""
INDEX: dict[str, Any] = {
    "name": "Cinelake events API",
    "version": __version__,
    "links": {
        "document": "/openapi/openapi.json",
        "browse": "/openapi/",
        "events": "/v1/events",
        "schema": "/v1/schema",
        "health": "/healthz",
        "readiness": "/readyz",
        "metrics": "/metrics",
        "tracker": "/static/cinelake.js",
        "demo": "/static/demo.html",
    },
}


@pages.get("/")
def get_index() -> Response:
    """Where everything is."""
    return json_response(INDEX)


@pages.get("/static/<name>")
def get_static(name: str) -> Response:
    """The tracker, which browsers keep for an hour, or its demonstration, which they ask for each time."""
    response = send_from_directory(STATIC, name)
    response.content_type = TYPES[(STATIC / name).suffix]
    if response.mimetype == "text/javascript":
        response.cache_control.no_cache = None
        response.cache_control.public = True
        response.cache_control.max_age = TRACKER_SECONDS
    return response
