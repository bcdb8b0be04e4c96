"""The browser tracker in a real Chromium, against the real API: what a visitor does is in Kafka."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page

from cinelake.settings import Settings
from ingestion.api.keys import split_key
from tests.browser.conftest import KEY, STATIC, Site
from tests.kafka_events import events_of, once_each


def stored(page: Page, name: str) -> Any:
    """A value of the tracker's in the browser's storage."""
    return page.evaluate("name => localStorage['cinelake.' + name]", name)


def queued(page: Page) -> list[dict[str, Any]]:
    """The events that wait, in order."""
    events: list[dict[str, Any]] = page.evaluate(
        "Object.keys(localStorage).filter(k => k.startsWith('cinelake.q.')).sort()"
        ".map(k => JSON.parse(localStorage[k]))"
    )
    return events


def track(page: Page, event_type: str, **fields: Any) -> str:
    event_id: str = page.evaluate(
        "([type, fields]) => cinelake.track(type, fields)", [event_type, fields]
    )
    return event_id


def await_empty_queue(page: Page) -> None:
    page.wait_for_function("!Object.keys(localStorage).some(k => k.startsWith('cinelake.q.'))")


def test_it_is_at_most_4_kilobytes_as_served() -> None:
    assert (STATIC / "cinelake.js").stat().st_size <= 4096


def test_a_page_view_and_each_navigation_of_the_history_arrive_field_by_field(
    page: Page, site: Site, stack: Settings
) -> None:
    before = datetime.now(UTC)
    page.goto(f"{site.url}/movies", referer="https://search.example/?q=films")
    page.evaluate(
        "history.pushState(null, '', '/movies/862?tab=cast'); document.title = 'Toy Story'"
    )
    page.wait_for_function("Object.values(localStorage).some(it => it.includes('Toy Story'))")
    # Neither the query nor the same page again is another page.
    page.evaluate("history.replaceState(null, '', '/movies/862?tab=crew')")
    page.go_back()
    page.wait_for_url("**/movies")
    await_empty_queue(page)
    visitor, session = stored(page, "anon"), stored(page, "session")
    user_agent = page.evaluate("navigator.userAgent")
    events = once_each(events_of(stack, visitor))
    occurred = [datetime.fromisoformat(event.pop("occurred_at")) for event in events]
    received = [datetime.fromisoformat(event.pop("received_at")) for event in events]
    assert [before, *occurred] == sorted([before, *occurred])
    assert max(occurred) <= max(received) <= datetime.now(UTC)
    assert UUID(visitor).version == UUID(session).version == 4
    assert all(UUID(event.pop("event_id")).version == 4 for event in events)
    key_id, _ = split_key(site.api_key) or ("", "")
    assert [event.pop("key_id") for event in events] == [key_id] * 3
    shared = {
        "event_type": "page_view",
        "schema_version": 1,
        "user_id": None,
        "anonymous_id": visitor,
        "session_id": session,
        "movie_id": None,
    }
    context = {
        "user_agent": user_agent,
        "ip": "127.0.0.1",
        "locale": "en-GB",
        "app_version": "web-7",
        "screen": "1280x720",
    }
    views = [
        ("https://search.example/?q=films", "/movies", "A page"),
        (f"{site.url}/movies", "/movies/862", "Toy Story"),
        (f"{site.url}/movies/862", "/movies", "Toy Story"),
    ]
    assert [event["context"].pop("referrer") for event in events] == [view[0] for view in views]
    assert events == [
        shared | {"context": context, "properties": {"path": path, "title": title}}
        for _, path, title in views
    ]


def test_a_film_is_followed_from_play_to_its_end(
    page: Page, site: Site, stack: Settings, screenshot: Path
) -> None:
    page.goto(f"{site.url}/static/demo.html?key={KEY.replace(' ', '+').replace('&', '%26')}")
    page.evaluate("video.playbackRate = 16")
    page.get_by_label("User id").fill("ada")
    page.get_by_text("Sign in").click()
    # A string, as a page's own attributes are.
    page.evaluate("cinelake.play('862', video)")
    page.evaluate("video.play()")
    page.wait_for_function("video.currentTime > 25")
    page.evaluate("video.pause()")
    page.get_by_role("button", name="9").click()
    page.wait_for_timeout(400)
    page.screenshot(path=screenshot, full_page=True)
    page.evaluate("video.play()")
    page.wait_for_function("video.ended", timeout=30_000)
    await_empty_queue(page)
    events = once_each(events_of(stack, stored(page, "anon")))
    assert [event["user_id"] for event in events] == [None] + ["ada"] * (len(events) - 1)
    assert (events[0]["event_type"], events[1]["event_type"]) == ("page_view", "session_start")
    (rating,) = [event for event in events if event["event_type"] == "rating"]
    assert (rating["movie_id"], rating["properties"]) == (862, {"rating": 9})

    plays = [event for event in events if event["event_type"].startswith("play")]
    assert {event["movie_id"] for event in plays} == {862}
    assert len({event["properties"]["play_id"] for event in plays}) == 1
    kinds = [event["event_type"].removeprefix("play_") for event in plays]
    assert kinds[0] == "play"
    assert kinds.count("play") == 2
    assert kinds[-1] == "complete"
    assert kinds.count("complete") == 1
    positions = [event["properties"]["position_seconds"] for event in plays]
    assert positions == sorted(positions)
    assert positions[0] < 1
    assert positions[-1] == pytest.approx(60, abs=1)
    # Every 10 seconds of the film, as finely as the browser tells the time at this speed.
    assert max(later - earlier for earlier, later in pairwise(positions)) < 30
    assert "progress" in kinds[: kinds.index("play", 1)]


def test_a_rating_has_the_user_and_a_visitor_who_signs_out_has_none(
    page: Page, site: Site, stack: Settings
) -> None:
    page.goto(f"{site.url}/movies")
    page.evaluate("cinelake.identify(42)")
    page.reload()
    page.evaluate("cinelake.rate('862', '8.5')")
    page.evaluate("cinelake.identify(null)")
    track(page, "search", properties={"query": "toy"})
    await_empty_queue(page)
    events = once_each(events_of(stack, stored(page, "anon")))
    seen = [(event["event_type"], event["user_id"]) for event in events]
    assert seen == [("page_view", None), ("page_view", "42"), ("rating", "42"), ("search", None)]
    assert (events[2]["movie_id"], events[2]["properties"]) == (862, {"rating": 8.5})
    assert len({event["session_id"] for event in events}) == 1


@pytest.mark.parametrize("way", ["navigation", "closing", "another tab"])
def test_who_leaves_at_once_leaves_by_beacon(
    visitor: BrowserContext, page: Page, site: Site, stack: Settings, way: str
) -> None:
    page.goto(f"{site.url}/movies")
    other = visitor.new_page()
    other.goto(f"{site.url}/empty")
    page.bring_to_front()
    anonymous = stored(page, "anon")
    event_id = track(page, "search", properties={"query": "toy"})
    if way == "navigation":
        page.goto(f"{site.url}/empty")
    elif way == "closing":
        page.close(run_before_unload=True)
    else:
        page.evaluate(
            "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
    site.wait_for(other, event_id)
    (beacon,) = [sent for sent in site.sent if sent.is_beacon]
    assert event_id in beacon.ids
    assert event_id in {event["event_id"] for event in events_of(stack, anonymous)}
    # Nobody saw the answer: the next page sends it again under the same id, and is then done with it.
    other.goto(f"{site.url}/movies")
    await_empty_queue(other)
    assert site.ids().count(event_id) == 2
    assert {sent.status for sent in site.sent} == {202}


def test_leaving_in_the_middle_of_a_film_tells_how_far_it_was(
    page: Page, site: Site, stack: Settings
) -> None:
    page.goto(f"{site.url}/static/demo.html?key={KEY.replace(' ', '+').replace('&', '%26')}")
    page.evaluate("video.play()")
    page.wait_for_function("video.currentTime > 1")
    anonymous = stored(page, "anon")
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    progress = [e for e in events_of(stack, anonymous) if e["event_type"] == "play_progress"]
    assert progress
    assert 1 <= progress[-1]["properties"]["position_seconds"] < 10


def test_what_happens_offline_is_sent_once_back_online(
    visitor: BrowserContext, page: Page, site: Site, stack: Settings
) -> None:
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    visitor.set_offline(True)
    ids = [track(page, "search", properties={"query": str(number)}) for number in range(120)]
    # Long enough for attempts that fail.
    page.wait_for_timeout(4500)
    assert [event["event_id"] for event in queued(page)] == ids
    visitor.set_offline(False)
    site.wait_for(page, *ids)
    await_empty_queue(page)
    assert site.ids()[1:] == ids
    assert all(not sent.is_beacon for sent in site.sent)
    events = once_each(events_of(stack, stored(page, "anon")))
    assert [event["properties"].get("query") for event in events][1:] == list(map(str, range(120)))


def test_a_queue_survives_a_reload_while_the_api_is_away(
    page: Page, site: Site, stack: Settings
) -> None:
    site.is_away = True
    page.goto(f"{site.url}/movies")
    ids = [track(page, "search", properties={"query": str(number)}) for number in range(3)]
    page.wait_for_timeout(2500)
    page.reload()
    assert {event["event_id"] for event in queued(page)} >= set(ids)
    assert site.ids(503)
    assert site.ids() == []
    site.is_away = False
    site.wait_for(page, *ids)
    await_empty_queue(page)
    events = once_each(events_of(stack, stored(page, "anon")))
    assert sorted(event["event_type"] for event in events) == ["page_view"] * 2 + ["search"] * 3
    assert len({event["session_id"] for event in events}) == 1


def test_retry_after_is_kept_even_by_the_next_page(page: Page, site: Site) -> None:
    # Longer than the tracker would wait by itself.
    site.answers += [(429, {"Retry-After": "3"}), (503, {"Retry-After": "3"})]
    page.goto(f"{site.url}/movies")
    event_id = track(page, "search", properties={"query": "toy"})
    page.wait_for_function("localStorage['cinelake.hold'] > Date.now()")
    page.reload()
    site.wait_for(page, event_id)
    assert [sent.status for sent in site.sent] == [429, 503, 202]
    assert all(later.at - earlier.at >= 2.9 for earlier, later in pairwise(site.sent))


def test_a_wrong_key_keeps_the_events(page: Page, site: Site) -> None:
    site.answers += [(401, {})] * 2
    page.goto(f"{site.url}/movies")
    event_id = track(page, "search", properties={"query": "toy"})
    site.wait_for(page, event_id, seconds=20)
    assert [sent.status for sent in site.sent] == [401, 401, 202]
    first, *others = (set(sent.ids) for sent in site.sent)
    assert all(first <= ids for ids in others)


def test_a_refused_event_is_told_to_the_console_and_not_sent_again(page: Page, site: Site) -> None:
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    # Without a user there is no rating: alone, the API refuses the batch; beside a good event, one of it.
    page.evaluate("cinelake.rate(862, 8)")
    await_empty_queue(page)
    page.evaluate("cinelake.rate(862, 8)")
    good = track(page, "search", properties={"query": "toy"})
    await_empty_queue(page)
    page.wait_for_timeout(2200)
    assert [sent.status for sent in site.sent] == [202, 422, 202]
    assert good in site.sent[-1].ids
    assert sum(warning.startswith("cinelake.") for warning in warnings) == 2


def test_a_page_whose_origin_is_refused_is_told_so_and_does_not_send_again(
    page: Page, site: Site, stack: Settings
) -> None:
    statuses: list[int] = []
    warnings: list[str] = []
    page.on("response", lambda it: statuses.append(it.status) if "/v1/events" in it.url else None)
    page.on("console", lambda message: warnings.append(message.text))
    page.goto(f"{site.url}/empty")
    page.add_script_tag(path=STATIC / "cinelake.js")
    page.evaluate("([url, key]) => cinelake.init({ url, key })", [site.api_url, site.api_key])
    await_empty_queue(page)
    page.wait_for_timeout(2200)
    assert statuses == [403]
    assert sum(warning.startswith("cinelake.") for warning in warnings) == 1
    assert list(events_of(stack, stored(page, "anon"))) == []


def test_what_is_refused_is_not_sent_again_and_what_was_slow_is(page: Page, site: Site) -> None:
    site.answers += [(404, {}), (408, {})]
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    event_id = track(page, "search", properties={"query": "toy"})
    site.wait_for(page, event_id)
    assert [sent.status for sent in site.sent] == [404, 408, 202]
    assert [sent.ids for sent in site.sent[1:]] == [[event_id]] * 2


STRANGERS = ["<html>log in</html>", "", "null", "[]", "{}", '{"accepted": 1}', '{"rejected": "x"}']
"""Bodies that are not the API's."""


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("body", STRANGERS)
def test_a_stranger_who_says_yes_gets_a_warning_and_no_event_is_lost(
    page: Page, site: Site, status: int, body: str
) -> None:
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    site.answers.append((status, {"X-Body": body}))
    page.goto(f"{site.url}/movies")
    event_id = track(page, "search", properties={"query": "toy"})
    site.wait_for(page, event_id)
    await_empty_queue(page)
    first, *others = site.sent
    assert first.status == status
    assert set(first.ids) <= {each for sent in others for each in sent.ids}
    assert sum(warning.startswith("cinelake.") for warning in warnings) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_stranger_who_says_no_for_good_gets_a_warning(
    page: Page, site: Site, status: int
) -> None:
    warnings: list[str] = []
    page.on("console", lambda message: warnings.append(message.text))
    site.answers.append((status, {"X-Body": STRANGERS[0]}))
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    assert [sent.status for sent in site.sent] == [status]
    assert sum(warning.startswith("cinelake.") for warning in warnings) == 1


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("9999999999999", 3600),
        ("9" * 400, 3600),
        (timedelta(days=400), 3600),
        (timedelta(minutes=30), 1800),
        (timedelta(days=-9000), 0),
        *((each, 0) for each in ("0", "-5", "soon", "")),
    ],
    ids=lambda value: str(value)[:20],
)
def test_any_retry_after_is_a_wait_of_at_most_an_hour(
    page: Page, site: Site, retry_after: str | timedelta, seconds: float
) -> None:
    if isinstance(retry_after, timedelta):
        retry_after = format_datetime(datetime.now(UTC) + retry_after, usegmt=True)
    site.answers.append((503, {"Retry-After": retry_after}))
    page.goto(f"{site.url}/movies")
    page.wait_for_function("'cinelake.hold' in localStorage")
    left = page.evaluate("(localStorage['cinelake.hold'] - Date.now()) / 1000")
    if seconds:
        assert left == pytest.approx(seconds, abs=5)
    else:
        await_empty_queue(page)
    # A page's clock may have been years ahead, and an older tracker kept any hold.
    page.evaluate("localStorage['cinelake.hold'] = Date.now() + 4e6")
    page.reload()
    await_empty_queue(page)


def test_a_session_ends_after_30_minutes_without_an_event(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/movies")
    rewind = "minutes => localStorage['cinelake.seen'] -= minutes * 60000"
    sessions = [stored(page, "session")]
    for minutes in (29.9, 30.1):
        page.evaluate(rewind, minutes)
        track(page, "session_start")
        sessions.append(stored(page, "session"))
    assert sessions[0] == sessions[1] != sessions[2]


def test_two_tabs_are_one_visitor_and_lose_nothing_to_each_other(
    visitor: BrowserContext, page: Page, site: Site, stack: Settings
) -> None:
    other = visitor.new_page()
    page.goto(f"{site.url}/movies")
    other.goto(f"{site.url}/about")
    ids = [track(tab, "session_start") for _ in range(20) for tab in (page, other)]
    site.wait_for(page, *ids)
    await_empty_queue(page)
    events = once_each(events_of(stack, stored(page, "anon")))
    assert {event["event_id"] for event in events} >= set(ids)
    assert len({event["session_id"] for event in events}) == 1


def test_the_queue_is_bounded_and_the_oldest_goes_first(
    visitor: BrowserContext, page: Page, site: Site
) -> None:
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    visitor.set_offline(True)
    ids = page.evaluate("[...Array(600)].map(() => cinelake.track('session_start'))")
    assert [event["event_id"] for event in queued(page)] == ids[-500:]


BROKEN_STORAGE = {
    "forbidden": "get() { throw new DOMException('denied', 'SecurityError') }",
    "missing": "value: null",
}


@pytest.mark.parametrize("kind", BROKEN_STORAGE)
def test_without_storage_it_works_in_memory(
    page: Page, site: Site, stack: Settings, kind: str
) -> None:
    page.add_init_script(
        f"Object.defineProperty(window, 'localStorage', {{ {BROKEN_STORAGE[kind]} }})"
    )
    page.goto(f"{site.url}/movies")
    event_id = track(page, "session_start")
    site.wait_for(page, event_id)
    page.wait_for_timeout(2200)
    assert site.ids().count(event_id) == 1


def test_a_full_storage_costs_no_event(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/movies")
    page.evaluate(
        "for (let size = 2 ** 22; size >= 1; size /= 2)"
        " try { while (true) localStorage['x' + Math.random()] = 'x'.repeat(size) } catch {}"
    )
    event_id = track(page, "search", properties={"query": "toy"})
    site.wait_for(page, event_id)


def test_it_never_throws_into_the_page(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/movies")
    problems = page.evaluate(
        """() => {
            const circle = {}
            circle.circle = circle
            const calls = [
                () => cinelake.init(), () => cinelake.init(null), () => cinelake.track(),
                () => cinelake.track('search', {properties: circle}),
                () => cinelake.track('search', {properties: {query: 'x'.repeat(1e6)}}),
                () => cinelake.track('search', {properties: {query: 10n}}),
                () => cinelake.play(1, null), () => cinelake.play(), () => cinelake.rate(),
                () => cinelake.identify(), () => cinelake.identify(Symbol('x')),
                () => { localStorage['cinelake.q.0'] = 'no JSON' }, () => localStorage.clear(),
            ]
            return calls.flatMap(call => { try { call(); return [] } catch (e) { return [`${call} ${e}`] } })
        }"""
    )
    assert problems == []
    site.wait_for(page, track(page, "session_start"))


def test_a_body_of_the_longest_events_fits_a_beacon(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/movies")
    await_empty_queue(page)
    # Three bytes a character, five thousand of them: as long as the API takes properties.
    ids = [
        track(page, "search", properties={"query": "テ" * 4000, "more": "レ" * 1200})
        for _ in range(6)
    ]
    page.goto(f"{site.url}/empty")
    page.goto(f"{site.url}/movies")
    site.wait_for(page, *ids)
    assert {sent.status for sent in site.sent} == {202}
    assert any(sent.is_beacon and len(sent.ids) > 1 for sent in site.sent)


def test_nothing_is_sent_twice_without_need(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/movies")
    for _ in range(5):
        track(page, "session_start")
        page.wait_for_timeout(700)
    await_empty_queue(page)
    time.sleep(0.5)
    assert len(site.ids()) == len(set(site.ids())) == 6
