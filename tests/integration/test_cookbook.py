"""Each question of the SQL cookbook runs as the analyst and answers in the columns that the page names."""

import psycopg
import pytest

from benchmarks.gold.cookbook import Query, queries
from cinelake.settings import Settings
from cinelake.stack.postgres import analyst_uri
from tests.integration.behaviour import Behaviour

# Nothing ran that could have left a ledger, and nobody commented or listed a movie.
EMPTY = {
    "Which comments are talked about most?",
    "Which movies divide opinions?",
    "Which movies wait on watchlists?",
    "What did one visitor do in the latest session?",
    "Did the gates pass, and does the ledger add up?",
}


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.question)
def test_a_question_is_answered_as_described(behaviour: Behaviour, query: Query) -> None:
    with psycopg.connect(analyst_uri(behaviour.settings)) as connection:
        cursor = connection.execute(query.sql.encode())
        assert tuple(column.name for column in cursor.description or ()) == query.columns
        assert bool(cursor.fetchall()) == (query.question not in EMPTY)


def test_the_most_popular_movies_are_those_that_somebody_rated(settings: Settings) -> None:
    popular = next(
        query for query in queries() if query.question == "Which movies are the most popular?"
    )
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute("set role transformer")
        connection.execute(
            "create table gold.movie_popularity as select rank as popularity_rank, title, count as rating_count,"
            " mean as mean_rating, 7.5 as weighted_rating"
            " from (values (1, 'Heat', 9, 8.1), (2, 'Unrated', 0, null), (3, 'Ronin', 1, 2.0)) t (rank, title, count, mean)"
        )
    with psycopg.connect(analyst_uri(settings)) as connection:
        found = connection.execute(popular.sql.encode()).fetchall()
    assert [title for _, title, *_ in found] == ["Heat", "Ronin"]


def test_there_are_fifteen_questions() -> None:
    assert len({query.question for query in queries()}) == 15
