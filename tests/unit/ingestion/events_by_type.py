"""A valid event of each type, for tests that need one."""

from typing import Any

PROPERTIES: dict[str, dict[str, Any]] = {
    "page_view": {"path": "/", "title": "Home"},
    "movie_view": {},
    "play": {"play_id": "p1", "position_seconds": 0},
    "play_progress": {"play_id": "p1", "position_seconds": 61.5},
    "play_complete": {"play_id": "p1"},
    "search": {"query": "the last winter"},
    "rating": {"rating": 8.5},
    "rating_removed": {},
    "comment": {"comment_id": "c1", "text": "Loved it 🎬", "parent_comment_id": "c0"},
    "comment_edit": {"comment_id": "c1", "text": "Liked it"},
    "comment_delete": {"comment_id": "c1"},
    "comment_vote": {"comment_id": "c1", "vote": "up"},
    "movie_reaction": {"reaction": "like"},
    "watchlist_add": {},
    "watchlist_remove": {},
    "user_upsert": {
        "name": "Ada",
        "email": "ada@mail.example",
        "country": "GB",
        "birth_year": 1990,
    },
    "session_start": {},
    "session_end": {},
}


def event_of(event_type: str, /, **fields: Any) -> dict[str, Any]:
    """A valid event; a field given as `...` is left out."""
    event = {
        "event_id": "7f0f9c52-54a3-4f0e-9d0c-0a51b0c6b8a1",
        "event_type": event_type,
        "schema_version": 1,
        "occurred_at": "2026-01-01T12:00:00.000Z",
        "user_id": "user-1",
        "anonymous_id": "anon-1",
        "session_id": "session-1",
        "movie_id": 862,
        "context": {
            "locale": "en-GB",
            "referrer": "https://search.example/",
            "app_version": "1.0",
            "screen": "1x1",
        },
        "properties": PROPERTIES[event_type],
        **fields,
    }
    return {name: value for name, value in event.items() if value is not ...}
