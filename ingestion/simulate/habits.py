"""What simulated people have and do: devices, places, words, and how likely each step is."""

from typing import NamedTuple


class Device(NamedTuple):
    """What a visitor watches on."""

    user_agent: str
    screen: str
    app_version: str | None


_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
DEVICES = (
    Device(f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36", "1920x1080", None),
    Device(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko)"
        " Version/17.5 Safari/605.1.15",
        "1512x982",
        None,
    ),
    Device(
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
        "2560x1440",
        None,
    ),
    Device(
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_CHROME} Mobile Safari/537.36",
        "412x915",
        "3.4.1",
    ),
    Device(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
        " Version/17.5 Mobile/15E148 Safari/604.1",
        "393x852",
        "3.4.0",
    ),
    Device(
        "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
        " Version/16.6 Mobile/15E148 Safari/604.1",
        "820x1180",
        "3.3.9",
    ),
    Device(
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko)"
        " 94.0.4606.31/7.0 TV Safari/537.36",
        "3840x2160",
        "2.8.0",
    ),
    Device(
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36 Edg/126.0.0.0",
        "1536x864",
        None,
    ),
    Device(
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_CHROME} Safari/537.36 OPR/112.0.0.0",
        "1440x900",
        None,
    ),
    Device(
        "Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko)"
        " SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
        "360x780",
        "3.4.1",
    ),
    Device(
        "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
        "384x832",
        None,
    ),
    Device(
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_CHROME} Safari/537.36",
        "1366x768",
        None,
    ),
    Device(
        f"Mozilla/5.0 (Linux; Android 12; BRAVIA 4K VH2 Build/STT2.221215.001) {_CHROME} Safari/537.36",
        "3840x2160",
        "2.8.1",
    ),
    Device(
        "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128"
        " Safari/537.36 WebAppManager",
        "1920x1080",
        "2.7.5",
    ),
)


class Place(NamedTuple):
    """Where a visitor lives."""

    locale: str
    country: str
    timezone: str


_PLACES = (
    ("en-US", "US", "America/New_York"),
    ("en-GB", "GB", "Europe/London"),
    ("de-DE", "DE", "Europe/Berlin"),
    ("fr-FR", "FR", "Europe/Paris"),
    ("pt-BR", "BR", "America/Sao_Paulo"),
    ("ja-JP", "JP", "Asia/Tokyo"),
    ("hi-IN", "IN", "Asia/Kolkata"),
    ("tr-TR", "TR", "Europe/Istanbul"),
    ("en-US", "US", "America/Los_Angeles"),
    ("en-AU", "AU", "Australia/Sydney"),
    ("ko-KR", "KR", "Asia/Seoul"),
    ("es-MX", "MX", "America/Mexico_City"),
)
PLACES = tuple(Place(*place) for place in _PLACES)
NAMES = (
    "Ada",
    "Björn",
    "Chloé",
    "Đạt",
    "Ewa",
    "Fatma",
    "Grégoire",
    "Hana",
    "İpek",
    "João",
    "Kaoru 薫",
)
PAGES = (("/", "Home"), ("/new", "New this week"), ("/genres", "Genres"), ("/top", "Top rated"))
REFERRERS = (None, None, "https://search.example/", "https://news.example/films?week=1")
QUERIES = (
    "robots",
    "comedy 90s",
    "café",
    "雪",
    "the last",
    "best of “winter”",
    "100% drama",
    "o'hara",
)
COMMENTS = (
    "Loved it.",
    "Too long, but the end is worth it 🎬",
    "The book was better.",
    "Who else came for the music?",
    'They say "classic"; I say <b>slow</b>.',
    "Ne güzel bir film!\nYine izlerim.",
)
REPLIES = ("Agreed!", "Not at all.", "Spoiler, please…", "同感です")

ANONYMOUS_SHARE = 0.25
"""Of all visitors, those who never sign in."""
CONVERT_SHARE = 0.2
"""Of all visitors, those who come as nobody and sign in one day."""
NAMES_SESSIONS_SHARE = 0.6
"""Of all visitors, those whose client names its sessions; the others are cut by inactivity."""
FORGETS_SESSION = 0.01
"""Of the events of a client that names its sessions, those whose session id is missing all the same."""
UNKNOWN_MOVIE_SHARE = 0.02
"""Of all movies seen, those that no catalogue holds."""
FAVOURITE_SHARE = 0.7
"""Of all movies seen, those of a favourite genre."""
POPULARITY = 1.7
"""Above 1, the first movies of a catalogue are seen more often than the last."""

SIGN_IN = 0.35
SEARCH = 0.3
PLAY = 0.55
TAKE_UP_AGAIN = 0.25
KEEP_WATCHING = 0.85
BUFFERED_PROGRESS = 0.04
"""Of all progress reports, those that a client holds back, so that younger ones overtake them."""
RATE = 0.5
RATE_AGAIN = 0.04
REMOVE_RATING = 0.04
REACT = 0.25
WATCHLIST = 0.2
WATCHLIST_REMOVE = 0.08
COMMENT = 0.12
ANSWER = 0.4
COMMENT_EDIT = 0.03
COMMENT_DELETE = 0.015
VOTE = 0.25
CHANGE_PROFILE = 0.03
