"""The questions of `docs/sql-cookbook.md`: read from the page, asked as an analyst asks them, and timed."""

import re
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cinelake.settings import PROJECT_ROOT, Settings
from cinelake.stack.postgres import analyst_uri

PAGE = PROJECT_ROOT / "docs" / "sql-cookbook.md"
SECTION = re.compile(r"^## (?P<question>.+?)\n(?P<text>.*?)```sql\n(?P<sql>.*?)```", re.M | re.S)
REPEATS = 3


@dataclass(frozen=True)
class Query:
    """One question.

    Args:
        question: Its heading.
        columns: The columns that the text says the answer has, in order.
        sql: The query.
    """

    question: str
    columns: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Timed:
    """How long one question took.

    Args:
        question: Its heading.
        milliseconds: The fastest of a few runs.
        plan: What `explain (analyze)` says of it.
    """

    question: str
    milliseconds: float
    plan: str


def queries(page: Path = PAGE) -> list[Query]:
    """The questions of the page, in order. The columns are those that its text names after the last colon."""
    return [
        Query(
            match["question"],
            tuple(re.findall(r"`(\w+)`", match["text"].rpartition(":")[2])),
            match["sql"],
        )
        for match in SECTION.finditer(page.read_text("utf-8"))
    ]


def measure(settings: Settings) -> list[Timed]:
    """Ask every question a few times, as the role `analyst`."""
    timed = []
    with psycopg.connect(analyst_uri(settings)) as connection:
        for query in queries():
            runs = [
                connection.execute(f"explain (analyze) {query.sql}".encode()).fetchall()
                for _ in range(REPEATS)
            ]
            plans = ["\n".join(line for (line,) in run) for run in runs]
            seconds = [float(re.findall(r"Execution Time: ([\d.]+) ms", plan)[0]) for plan in plans]
            fastest = min(range(REPEATS), key=seconds.__getitem__)
            timed.append(Timed(query.question, seconds[fastest], plans[fastest]))
    return timed
