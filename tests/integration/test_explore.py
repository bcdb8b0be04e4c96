"""The page `Explore` asks gold as an analyst does: also a gold without tables, and one with a hostile title."""

import psycopg
import pytest

from cinelake.settings import Settings
from cinelake.stack.postgres import connect_as_analyst
from docs_site.explore import QUESTIONS, Answer, ask

HOSTILE = "\"'><script>alert(1)</script>"


def answers(settings: Settings) -> dict[str, Answer]:
    with connect_as_analyst(settings) as analyst:
        return {answer.question.name: answer for answer in ask(analyst)}


def test_a_gold_without_tables_answers_nothing_and_is_no_error(settings: Settings) -> None:
    found = answers(settings)
    assert list(found) == [question.name for question in QUESTIONS]
    assert all(answer.rows == () and not answer.picture for answer in found.values())


def test_a_hostile_title_is_text_in_the_chart_and_the_others_are_answered_too(
    settings: Settings,
) -> None:
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute("set role transformer")
        connection.execute(
            "create table gold.dim_movie as select 1 as movie_key, 13 as movie_id, true as is_current,"
            " %s as title, 1994 as release_year",
            [HOSTILE],
        )
        connection.execute(
            "create table gold.movie_popularity as select 1 as movie_key, 8.125 as weighted_rating,"
            " 3 as rating_count, 1 as popularity_rank"
        )
    found = answers(settings)
    top = found["top-movies"]
    assert [(movie, float(rating), count) for movie, rating, count in top.rows] == [
        (f"{HOSTILE} (1994)", 8.13, 3)
    ]
    assert "<script" not in top.picture
    assert "&lt;script&gt;" in top.picture
    assert found["ratings"].rows == ()


def test_every_movie_and_genre_has_a_row_of_its_own_and_nobodys_favourite_has_none(
    settings: Settings,
) -> None:
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute("set role transformer; set search_path = gold")
        connection.execute(
            "create table dim_movie as select id as movie_key, id as movie_id, true as is_current, title,"
            " year as release_year from (values (1, 'Heat', 1995), (2, 'Heat', 1995), (3, 'Heat', 1986),"
            " (4, 'Alien', null), (5, 'Alien', null), (6, 'Ronin (1998)', null), (7, 'Ronin', 1998),"
            " (8, E'Solaris\\u001b', 1972), (9, 'Unrated', 2000)) t (id, title, year)"
        )
        connection.execute(
            "create table movie_popularity as select movie_key, 8.5 - movie_key / 10.0 as weighted_rating,"
            " case when title = 'Unrated' then 0 else 3 end as rating_count, movie_key as popularity_rank from dim_movie"
        )
        connection.execute(
            "create table movie_daily as select movie_id, 20 - movie_id as event_count, date '2026-01-09' as date_day"
            " from dim_movie"
        )
        connection.execute(
            "create table dim_genre as select * from (values (1, 18, 'Drama'), (2, 36, 'Drama'), (3, 37, 'Western'))"
            " t (genre_key, genre_id, name)"
        )
        connection.execute(
            "create table genre_trends as select genre_key, name as genre, date '2026-01-01' as month_start,"
            " genre_key as event_count from dim_genre"
        )
    labels = [
        *("Heat (1995) #1", "Heat (1995) #2", "Heat (1986)", "Alien #4", "Alien #5"),
        *("Ronin (1998) #6", "Ronin (1998) #7", "Solaris\x1b (1972)"),
    ]
    found = answers(settings)
    assert [movie for movie, *_ in found["top-movies"].rows] == labels
    assert [movie for movie, *_ in found["trending-movies"].rows] == [*labels, "Unrated (2000)"]
    assert [genre for genre, *_ in found["genre-trends"].rows] == [
        "Western",
        "Drama #36",
        "Drama #18",
    ]
    for name in ("top-movies", "trending-movies", "genre-trends"):
        for label, *_ in found[name].rows:
            assert label.replace("\x1b", "\ufffd") in found[name].picture


@pytest.mark.parametrize("statement", ["delete from pg_class", "create table gold.t ()"])
def test_who_asks_for_the_site_can_change_nothing(settings: Settings, statement: str) -> None:
    with (
        connect_as_analyst(settings) as analyst,
        pytest.raises(
            (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
        ),
    ):
        analyst.execute(statement.encode())
