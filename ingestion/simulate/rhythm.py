"""When simulated people visit: at the hours and on the weekdays on which people watch movies where they live."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

# How much is watched in each hour of the local day, from midnight on; evenings lead.
_HOURS = (6, 3, 2, 1, 1, 1, 2, 3, 4, 4, 5, 5, 6, 7, 7, 7, 8, 10, 13, 17, 20, 19, 15, 10)
# And on each weekday, from Monday on; over a week the mean is 1.
_WEEKDAYS = (0.8, 0.8, 0.85, 0.9, 1.15, 1.3, 1.2)


def visit_times(
    visits_a_day: float, timezone: str, day: datetime, chance: random.Random
) -> Iterator[datetime]:
    """When a visitor comes on one day, in order.

    Args:
        visits_a_day: On average over a week.
        timezone: Of the visitor, an IANA name.
        day: Midnight (UTC) at which the day begins.
        chance: The only source of chance.

    Returns:
        Times from `day` on to 24 hours later, UTC.
    """
    busy, cumulated = _day_of(timezone, day)
    whole, part = divmod(visits_a_day * busy, 1)
    count = int(whole) + (chance.random() < part)
    hours = chance.choices(range(24), cum_weights=cumulated, k=count)
    yield from sorted(day + timedelta(hours=hour + chance.random()) for hour in hours)


@lru_cache(maxsize=256)
def _day_of(timezone: str, day: datetime) -> tuple[float, list[float]]:
    """How busy the day is for people of a time zone (1 is average), and its hours as cumulated weights."""
    zone = ZoneInfo(timezone)
    local = [(day + timedelta(hours=hour)).astimezone(zone) for hour in range(24)]
    weights = [_HOURS[moment.hour] * _WEEKDAYS[moment.weekday()] for moment in local]
    return sum(weights) / sum(_HOURS), list(accumulate(weights))
