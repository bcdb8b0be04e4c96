"""Each question of the SQL cookbook runs as the analyst and answers in the columns that the page names."""

import psycopg
import pytest

from benchmarks.gold.cookbook import Query, queries
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


def test_there_are_fifteen_questions() -> None:
    assert len({query.question for query in queries()}) == 15
