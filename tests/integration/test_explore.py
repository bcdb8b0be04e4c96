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


@pytest.mark.parametrize("statement", ["delete from pg_class", "create table gold.t ()"])
def test_who_asks_for_the_site_can_change_nothing(settings: Settings, statement: str) -> None:
    with (
        connect_as_analyst(settings) as analyst,
        pytest.raises(
            (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
        ),
    ):
        analyst.execute(statement.encode())
