"""What is looked up for an event: device, place, hour, referrer, and its movie at the time."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.devices import read_strings
from lakehouse.contract import table
from lakehouse.frames import frame_of
from lakehouse.silver import devices, movie_context, places, referrers

SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.5 Safari/605.1.15"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_a_user_agent_tells_browser_system_device_and_robots() -> None:
    read = devices.parse_all(pa.array([SAFARI, None, GOOGLEBOT, "", SAFARI]))
    safari = {"browser": "Safari", "os": "Mac OS X", "device": "Mac", "is_bot": False}
    robot = {"browser": "Googlebot", "os": "Other", "device": "Spider", "is_bot": True}
    nothing = {"browser": "Other", "os": "Other", "device": "Other", "is_bot": False}
    assert read.to_pylist() == [safari, None, robot, nothing, safari]


def test_a_name_that_comes_from_the_user_agent_itself_is_cut() -> None:
    model = "X" * 6_000
    agent = f"Mozilla/5.0 (Linux; Android 10; {model} Build/QP1A) AppleWebKit/537.36"
    assert devices.parse(agent).device == "X" * 256


def test_a_user_agent_that_no_browser_sends_does_not_stay_in_memory() -> None:
    devices.remembered.cache_clear()
    for agent in (SAFARI, SAFARI + "X" * devices.REMEMBERED, SAFARI):
        assert devices.parse(agent).browser == "Safari"
    assert devices.remembered.cache_info()[::3] == (1, 1)


def test_real_user_agents_each_have_a_family(real_files: Path) -> None:
    strings = read_strings(real_files)
    assert len(strings) == 12_472
    read = devices.parse_all(pa.array(strings)).to_pylist()
    assert all(row["browser"] and row["os"] and row["device"] for row in read)
    assert sum(row["is_bot"] for row in read) > 100


def test_the_country_is_the_region_of_the_locale(spark: SparkSession) -> None:
    expected = {
        "en-GB": "GB",
        "de_at": "AT",
        "zh-Hant-TW": "TW",
        "pt_BR.UTF-8": "BR",
        "en": None,
        "en-XX": None,
        "nonsense": None,
        "": None,
    }
    rows = frame_of(spark, [(locale,) for locale in [*expected, None]], "locale string")
    found = rows.select("locale", places.country_of(F.col("locale")).alias("country")).collect()
    assert {row.locale: row.country for row in found} == expected | {None: None}


def test_the_hour_is_that_of_the_users_own_clock(spark: SparkSession) -> None:
    expected = {
        "UTC": 23,
        "Asia/Tokyo": 8,
        "America/New_York": 18,
        "Asia/Kolkata": 4,
        "Mars/Olympus": None,
        "": None,
    }
    moment = datetime(2026, 1, 1, 23, 15)
    rows = frame_of(spark, [(zone, moment) for zone in [*expected, None]], "z string, t timestamp")
    found = rows.select("z", places.local_hour(F.col("t"), F.col("z")).alias("hour")).collect()
    assert {row.z: row.hour for row in found} == expected | {None: None}


def test_spark_knows_every_time_zone_that_may_reach_it(spark: SparkSession) -> None:
    zones = sorted(places.time_zones())
    rows = frame_of(spark, [(zone,) for zone in zones], "z string")
    hours = rows.select(places.local_hour(F.lit(datetime(2026, 1, 1)), F.col("z")).alias("h"))
    assert hours.where("h is null").count() == 0
    assert len(zones) > 400


SEARCHES = [
    "https://www.google.com/",
    "HTTPS://WWW.GOOGLE.COM.BR:443/search",
    "https://google.de./",
    " https://google.com ",
    "//www.google.fr/url",
    "https://user:secret@www.bing.com/search?q=films",
    "https://cn.bing.com/",
    "https://fr.search.yahoo.com/search",
    "https://r.search.yahoo.com/",
    "https://search.brave.com/",
    "https://m.search.naver.com/",
    "https://search.seznam.cz/",
    "https://yandex.com.tr/search",
    "https://ya.ru/",
    "https://www.ecosia.org/search?q=x",
    "https://lite.duckduckgo.com/lite/",
]
ELSEWHERE = [
    *(
        f"https://{name}.google.com/"
        for name in ("mail", "docs", "drive", "news", "accounts", "maps")
    ),
    *(f"https://{name}.google.com/" for name in ("classroom", "meet", "play", "search", "a.www")),
    *(f"https://{name}.yahoo.com/" for name in ("mail", "finance", "login")),
    *("https://mail.yandex.ru/", "https://www.bing.com.evil.example/", "https://tieba.baidu.com/"),
    *("https://google.evil.com/", "https://notgoogle.com/", "https://google.com.evil.com/"),
    *(
        "https://google.com@evil.example/",
        "https://a@google.com@evil.example/",
        "https://www.google/",
    ),
    *(
        "https://evil.example/https://google.com/",
        "https://evil.example?u=//google.com",
        "google.com",
    ),
    *("https://\u0433oogle.com/", "https://xn--oogle-bhe.com/", "https://google.com\u3002/", "//"),
    *(
        "https://evil.example\\@google.com/",
        "https://www.go\u043egle.co.uk/",
        "https://research.x.org/",
    ),
]


def test_a_referrer_is_classified_by_its_host(spark: SparkSession) -> None:
    expected = {
        None: "direct",
        " ": "direct",
        "/movies/13": "internal",
        "https://Movies.example/movies": "internal",
        "https://www.google.co.uk/search?q=films": "search",
        "https://duckduckgo.com": "search",
        "https://search.example/": "search",
        "https://m.facebook.com/x": "social",
        "https://t.co/abc": "social",
        "https://notfacebook.com/": "other",
        "https://google.evil-site.example.org/": "other",
        "android-app://com.slack/": "other",
        "not a url": "other",
        "http://[::1": "other",
        **dict.fromkeys(SEARCHES, "search"),
        **dict.fromkeys(ELSEWHERE, "other"),
        "//movies.example:8443/list": "internal",
        "https://l.facebook.com./l.php": "social",
        "https://www.pinterest.co.uk/pin/1": "social",
    }
    rows = frame_of(spark, [(it,) for it in expected], "referrer string")
    of = referrers.classify(F.col("referrer"), ["movies.example"])
    assert {r.referrer: r.c for r in rows.select("referrer", of.alias("c")).collect()} == expected


def test_an_event_sees_its_movie_as_it_was_then(
    spark: SparkSession, silver_events: Callable[..., DataFrame]
) -> None:
    at = {name: datetime(2026, 1, 1, 0, minute) for name, minute in (("first", 10), ("second", 20))}
    versions = frame_of(
        spark,
        [
            (13, at["first"], at["second"], False, "Working title", "Released", "1-10", None),
            (13, at["second"], None, True, "Forrest Gump", "Released", "1-10", "18,35"),
        ],
        table("silver.movie_versions").spark_schema(),
    )
    movies = frame_of(spark, [(13, 142)], "movie_id bigint, runtime_minutes int")
    events = silver_events(
        *({"at": minute, "movie_id": 13} for minute in (0, 10, 19, 20, 59)),
        {"at": 30, "movie_id": 99},
        {"at": 40},
    )
    rows = movie_context.transform(events, versions, movies).orderBy("occurred_at").collect()
    told = [(row.movie_title, row.movie_genre_ids, row.movie_runtime_minutes) for row in rows]
    early, late = ("Working title", None, 142), ("Forrest Gump", "18,35", 142)
    assert told == [early, early, early, late, (None, None, None), (None, None, None), late]
