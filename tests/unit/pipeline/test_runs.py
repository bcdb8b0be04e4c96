"""What is kept of a run tells of no row."""

import pytest

from pipeline.runs import without_rows


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (
            "dbt refused gold_next: 1 of 9 nodes failed.\n  comments: Database Error in model comments\n"
            '  new row for relation "comments" violates check constraint "c"\n'
            "  DETAIL:  Failing row contains (1, a secret of Ada).\n"
            "  compiled code at target/run/comments.sql",
            "dbt refused gold_next: 1 of 9 nodes failed.\n  comments: Database Error in model comments\n"
            '  new row for relation "comments" violates check constraint "c"\n'
            "  compiled code at target/run/comments.sql",
        ),
        (
            'PostgreSQL refused: invalid input syntax\nCONTEXT:  COPY users, line 1, column name: "Ada"\n',
            "PostgreSQL refused: invalid input syntax",
        ),
        ("published", "published"),
    ],
)
def test_the_outcome_of_a_run_shows_no_row_that_postgresql_refused(message: str, kept: str) -> None:
    assert without_rows(message) == kept
