import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recording_publisher import KEY, KnownKeys, RecordingPublisher, serving

from cinelake.errors import BadInputError
from ingestion.api.app import create_app
from ingestion.batch_files.importing import Mapping, import_rows
from ingestion.batch_files.rows import Row, read_rows
from ingestion.client import EventSender
from ingestion.events import validate_event
from ingestion.movielens import (
    NO_TMDB_ID,
    count_ratings,
    ratings_mapping,
    read_links,
    replay,
    tags_mapping,
)
from ingestion.topics import USER_LOGS

LINKS = "movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,8844\n3,0113228,\n4,0,862\n"
RATINGS = (
    "userId,movieId,rating,timestamp\n"
    "1,1,4.0,964982703\n1,2,0.5,964982704\n1,3,5.0,964982705\n2,4,3.5,964982706\n1,4,4.0,964982703\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "links.csv").write_text(LINKS)
    (tmp_path / "ratings.csv").write_text(RATINGS)
    return tmp_path


def events_of(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    mapping = ratings_mapping(read_links(folder / "links.csv"))
    return sorted_out(mapping, folder / "ratings.csv")


def sorted_out(mapping: Mapping, path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    outcomes = mapping([row for row in read_rows(path) if isinstance(row, Row)])
    events = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    return events, [outcome for outcome in outcomes if isinstance(outcome, str)]


def test_a_rating_is_doubled_timed_and_named_by_its_tmdb_id(folder: Path) -> None:
    events, _ = events_of(folder)
    first = events[0]
    assert first["properties"] == {"rating": 8.0}
    assert first["occurred_at"] == "2000-07-30T18:45:03.000000Z"
    assert (first["user_id"], first["movie_id"]) == ("1", 862)
    for event in events:
        validate_event(event)


def test_a_rating_whose_movie_has_no_tmdb_id_is_refused_and_counted(folder: Path) -> None:
    events, refused = events_of(folder)
    assert len(events) == 4
    assert refused == [NO_TMDB_ID]


def test_event_ids_follow_from_the_content_alone(folder: Path) -> None:
    ids = [event["event_id"] for event in events_of(folder)[0]]
    assert ids == [event["event_id"] for event in events_of(folder)[0]]
    # Pinned: another way to make the ids would count every earlier replay twice.
    assert ids[0] == "1c080771-cbb1-5692-abb1-24af6e8e016a"


@pytest.mark.parametrize(("file", "value"), [("ratings.csv", "4.0"), ("tags.csv", "a: b")])
def test_ids_that_hold_the_separator_are_told_apart(tmp_path: Path, file: str, value: str) -> None:
    column = "rating" if file == "ratings.csv" else "tag"
    (tmp_path / "links.csv").write_text("movieId,tmdbId\n3,862\n2:3,862\n")
    lines = "".join(f"{ids},{value},964982703\n" for ids in ("1:2,3", "1,2:3", "1\\,2:3"))
    (tmp_path / file).write_text(f"userId,movieId,{column},timestamp\n{lines}")
    mapping = ratings_mapping if column == "rating" else tags_mapping
    events, refused = sorted_out(mapping(read_links(tmp_path / "links.csv")), tmp_path / file)
    assert not refused
    assert len({event["event_id"] for event in events}) == 3


@pytest.mark.parametrize(
    "change",
    [
        *[{name: "\ud800"} for name in ("userId", "movieId", "rating", "tag", "timestamp")],
        *[{name: [["a"]]} for name in ("userId", "movieId", "rating", "tag", "timestamp")],
        *[{"timestamp": text} for text in ("1e19", "-1e300", "9" * 30, "253402300800")],
    ],
)
def test_a_value_that_no_event_can_have_costs_its_row_alone(
    tmp_path: Path, api: str, publisher: RecordingPublisher, change: dict[str, Any]
) -> None:
    (tmp_path / "links.csv").write_text(LINKS)
    row = {"userId": 1, "movieId": 1, "rating": 4, "tag": "good", "timestamp": 964982703}
    path = tmp_path / "x.jsonl"
    rows = [row, row | change, row | {"userId": 2}]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    links = read_links(tmp_path / "links.csv")
    for mapping, unread in ((ratings_mapping, "tag"), (tags_mapping, "rating")):
        sender = EventSender(api, api_key=KEY)
        result = import_rows(sender, read_rows(path), mapping(links))
        assert (result.rows, result.accepted) == (3, 2 + (unread in change)), result.reasons


def test_two_movielens_movies_that_are_one_at_tmdb_give_two_events(folder: Path) -> None:
    of_user = [event for event in events_of(folder)[0] if event["user_id"] == "1"]
    of_movie = [event for event in of_user if event["movie_id"] == 862]
    assert len({str(event["event_id"]) for event in of_movie}) == 2


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def api(publisher: RecordingPublisher) -> Iterator[str]:
    with serving(create_app(publisher=publisher, keys=KnownKeys())) as url:
        yield url


def test_offered_is_accepted_and_refused(
    folder: Path, api: str, publisher: RecordingPublisher
) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write("5,1,9.0,964982703\n")
    finished: list[int] = []
    result = replay(EventSender(api, api_key=KEY), folder, finished.append)
    assert (result.offered, result.accepted, result.refused) == (6, 4, 2)
    assert result.refused_reasons == {
        NO_TMDB_ID: 1,
        "properties.rating: should be less than or equal to 10": 1,
    }
    assert sum(finished) == 6 == count_ratings(folder)
    assert len(publisher.values(USER_LOGS)) == 4


def test_each_users_ratings_arrive_in_the_order_of_the_file(
    folder: Path, api: str, publisher: RecordingPublisher
) -> None:
    lines = [f"{number % 7 + 1},1,4.0,{1_000_000_000 + number}\n" for number in range(6000)]
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "".join(lines))
    assert replay(EventSender(api, api_key=KEY), folder).accepted == 6000
    values = publisher.values(USER_LOGS)
    for user in range(1, 8):
        times = [value["occurred_at"] for value in values if value["user_id"] == str(user)]
        assert times == sorted(times)


@pytest.mark.parametrize("name", ["links.csv", "ratings.csv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BadInputError, match=name):
        replay(EventSender("http://127.0.0.1:9"), folder)


@pytest.mark.parametrize(
    ("name", "column"), [("links.csv", "tmdbId"), ("ratings.csv", "timestamp")]
)
def test_a_missing_column_is_named(folder: Path, name: str, column: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace(column, "other"))
    with pytest.raises(BadInputError, match=f"{name}.*{column}"):
        replay(EventSender("http://127.0.0.1:9"), folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,1,four,964982703", "rating: is no number"),
        ("1,1,,964982703", "rating: is no number"),
        ("1,1,inf,964982703", "rating: is no number"),
        ("1,1,0x4,964982703", "rating: is no number"),
        ("1,1,4_0,964982703", "rating: is no number"),
        ("1,1,4.0,inf", "timestamp: is no number of seconds since 1970"),
        ("1,1,4.0,noon", "timestamp: is no number of seconds since 1970"),
        ("1,1,4.0,99999999999999999", "timestamp: is no number of seconds since 1970"),
        ("1,1,4.0,-1", "occurred_at: should be a time from 1970 to 9999"),
        ("1,1,4.0", "the row has 3 fields where the header has 4"),
        (",1,4.0,964982703", "user_id: is required; blanks and placeholders count as missing"),
    ],
)
def test_a_malformed_line_is_refused_and_the_others_are_sent(
    folder: Path, api: str, publisher: RecordingPublisher, line: str, reason: str
) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write(f"{line}\n1,1,4.5,964982799\n")
    result = replay(EventSender(api, api_key=KEY), folder)
    assert (result.offered, result.accepted, result.refused) == (7, 5, 2)
    assert result.refused_reasons == {NO_TMDB_ID: 1, reason: 1}
    assert len(publisher.values(USER_LOGS)) == 5


def test_files_that_went_through_pandas_or_a_spreadsheet_give_the_same_events(folder: Path) -> None:
    shipped = events_of(folder)
    for name in ("ratings.csv", "links.csv"):
        path = folder / name
        header, *lines = path.read_text().splitlines()
        cells = [[c if "." in c or not c else f" {c}.0" for c in one.split(",")] for one in lines]
        rows = ["\ufeff" + ",".join(f'"{column}"' for column in header.split(","))]
        rows += [",".join(one) for one in cells]
        path.write_bytes("\r\n".join([*rows, "", ""]).encode())
    assert events_of(folder) == shipped


@pytest.mark.parametrize("name", ["links.csv", "ratings.csv"])
def test_a_column_that_stands_twice_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace("movieId", "movieId,movieId", 1))
    with pytest.raises(BadInputError, match=f"{name} has the column movieId twice"):
        replay(EventSender("http://127.0.0.1:9"), folder)


def test_a_link_that_is_no_number_is_named(folder: Path) -> None:
    with (folder / "links.csv").open("a") as file:
        file.write("9,0113228,x\n")
    with pytest.raises(BadInputError, match=r"links\.csv, line 6.*tmdbId"):
        replay("http://127.0.0.1:9", folder)


def test_a_tag_is_a_comment_whose_ids_follow_from_its_content(folder: Path) -> None:
    (folder / "tags.csv").write_text(
        "userId,movieId,tag,timestamp\n2,1,Highly “quotable”,1445714996\n2,1,funny,1445714994\n2,3,x,1\n"
    )
    mapping = tags_mapping(read_links(folder / "links.csv"))
    events, refused = sorted_out(mapping, folder / "tags.csv")
    assert refused == [NO_TMDB_ID]
    first = events[0]
    assert (first["event_type"], first["user_id"], first["movie_id"]) == ("comment", "2", 862)
    assert first["properties"]["text"] == "Highly “quotable”"
    assert first["occurred_at"] == "2015-10-24T19:29:56.000000Z"
    assert len({event["properties"]["comment_id"] for event in events}) == 2
    assert sorted_out(mapping, folder / "tags.csv")[0] == events
    for event in events:
        validate_event(event)
