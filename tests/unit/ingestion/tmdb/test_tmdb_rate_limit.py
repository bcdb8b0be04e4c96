"""No second sees more than the limit, whatever holds requests up, and little of the limit is left unused."""

import threading
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.tmdb.rate_limit import RateLimit, Schedule

LATE = st.floats(0, 3, allow_nan=False)


def arrivals(per_second: int, delays: Sequence[tuple[float, float]], workers: int) -> list[float]:
    """When requests arrive that each take `delays` to arrive and to be answered, with so many threads."""
    schedule = Schedule(per_second, 0.0)
    now = 0.0
    under_way: list[float] = []
    arrived = []
    for to_server, to_client in delays:
        while True:
            for answered in [each for each in under_way if each <= now]:
                under_way.remove(answered)
                schedule.arrive(answered)
            wait = schedule.wait(now) if len(under_way) < workers else None
            if wait == 0:
                break
            coming = [now + wait] if wait is not None else []
            # The smallest step that moves the clock on, so that a wait of 1e-17 ends.
            now = max(min([*coming, *under_way]), now + 1e-9)
        schedule.leave()
        arrived.append(now + to_server)
        under_way.append(now + to_server + to_client)
    return arrived


def most_in_a_second(moments: Sequence[float]) -> int:
    in_order = sorted(moments)
    # Half-open windows, a billionth shorter than a second for the sake of binary fractions.
    return max(sum(start <= each < start + 1 - 1e-9 for each in in_order) for start in in_order)


@given(
    per_second=st.integers(1, 12),
    delays=st.lists(st.tuples(LATE, LATE), min_size=1, max_size=60),
    workers=st.integers(1, 20),
)
def test_no_second_sees_more_than_the_limit_however_late_requests_arrive(
    per_second: int, delays: list[tuple[float, float]], workers: int
) -> None:
    assert most_in_a_second(arrivals(per_second, delays, workers)) <= per_second


def test_a_bucket_alone_would_let_more_through() -> None:
    """What the places are for: requests that are held up for a second arrive with those of the next."""
    held_up = [(1.0, 0.0)] * 40 + [(0.0, 0.0)] * 40
    assert most_in_a_second(arrivals(40, held_up, 80)) <= 40
    paced_only = [number / 39 + to_server for number, (to_server, _) in enumerate(held_up)]
    assert most_in_a_second(paced_only) > 40


def test_quick_answers_use_the_limit_up() -> None:
    moments = arrivals(40, [(0.005, 0.005)] * 400, 16)
    assert 400 / (moments[-1] - moments[0]) >= 0.95 * 40


def test_a_new_limit_begins_without_a_burst() -> None:
    moments = arrivals(40, [(0.0, 0.0)] * 10, 16)
    assert moments[-1] >= 8 / 40


def test_threads_share_one_limit() -> None:
    limit = RateLimit(50)
    left: list[float] = []

    def ask() -> None:
        for _ in range(15):
            with limit.request():
                left.append(time.monotonic())

    threads = [threading.Thread(target=ask) for _ in range(5)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 75
    assert most_in_a_second(left) <= 50
    assert time.monotonic() - started >= 74 / 50


def test_a_pause_holds_every_thread() -> None:
    limit = RateLimit(1000)
    limit.pause(0.3)
    started = time.monotonic()
    with limit.request():
        assert time.monotonic() - started >= 0.3


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    schedule = Schedule(10, 0.0)
    schedule.close(5.0)
    schedule.close(1.0)
    assert schedule.wait(0.0) == 5.0


def test_a_failed_request_gives_its_place_back() -> None:
    limit = RateLimit(1)
    with pytest.raises(ValueError, match="lost"), limit.request():
        raise ValueError("lost")
    started = time.monotonic()
    with limit.request():
        assert time.monotonic() - started < 1.5
