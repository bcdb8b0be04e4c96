"""How soon the API answers with recommendations: `python -m benchmarks.recommend.answers`.

Starts PostgreSQL and the API in a home of its own, fills silver with a hundred thousand generated events and twenty scores
for each user and movie, and has dbt build gold from them. Then it asks for users and movies, one in four without scores,
as fast as answers come, and again at half of that load. It ends with 1 when the 95th percentile of the latter, from
sending a request to its whole answer, is above 20 ms. The load shares this machine's cores.
"""

import json
import sys
from pathlib import Path
from urllib.parse import quote

from benchmarks.api.load import Load, Request, run_load
from benchmarks.gold import silver
from benchmarks.home import own_home
from cinelake.postgres import connect
from cinelake.settings import Settings
from cinelake.stack import local
from cinelake.stack.postgres import POSTGRES
from ingestion.api import keys
from ingestion.api.scopes import Scope

EVENTS = 100_000
REQUESTS = 8_000
CONNECTIONS = 8
LONELY = 4_901
"""From here on, movies have no scores."""
P95_LIMIT_MS = 20.0
MODELS = ("+movie_recommendations", "+similar_movies", "+movie_popularity")


def main() -> int:
    """Measure and print."""
    with own_home((POSTGRES,)) as settings:
        return measure(settings)


def measure(settings: Settings) -> int:
    """Build gold, ask the API; 1 when the limit is missed."""
    silver.fill(settings, EVENTS)
    silver.run_script(settings, Path(__file__).with_name("scores.sql"))
    silver.build_gold(settings, "--select", *MODELS)
    key = keys.create_key(settings, "load", requests_per_second=1_000_000, scopes=[Scope.READ])
    url, requests = local.start_api(settings), _requests(_users(settings))
    run_load(url, requests[:2_000], key=key, connections=CONNECTIONS)
    fast = run_load(url, requests, key=key, connections=CONNECTIONS)
    calm = run_load(url, requests, key=key, connections=CONNECTIONS, rate=fast.rate / 2)
    figures = {
        "requests_per_second": round(fast.rate),
        "p50_ms": _milliseconds(calm, 0.50),
        "p95_ms": _milliseconds(calm, 0.95),
        "p95_limit_ms": P95_LIMIT_MS,
        "p95_ms_at_full_load": _milliseconds(fast, 0.95),
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return int(figures["p95_ms"] > P95_LIMIT_MS)


def _users(settings: Settings) -> list[str]:
    with connect(settings, "loader") as connection:
        found = connection.execute("select user_id from silver.users order by user_id limit 1000")
        return [user_id for (user_id,) in found]


def _requests(users: list[str]) -> list[Request]:
    """For users and movies in turn, every fourth of whom the model knows nothing."""
    requests: list[Request] = []
    for number in range(REQUESTS // 4):
        likes_none = f"similar/{LONELY + number % 100}"
        paths = (
            f"recommendations/{quote(users[number % len(users)])}",
            f"similar/{1 + number % (LONELY - 1)}",
            f"recommendations/{quote(users[-number % len(users)])}",
            likes_none if number % 2 else f"recommendations/nobody-{number}",
        )
        requests += (Request(f"/v1/{path}") for path in paths)
    return requests


def _milliseconds(load: Load, share: float) -> float:
    return round(load.percentile(share) * 1000, 1)


if __name__ == "__main__":
    raise SystemExit(main())
