"""The page `Explore`: what gold says, a question a chart, each with the query behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from markupsafe import Markup
from psycopg.rows import dict_row

from docs_site.charts import SERIES, draw

Row = Mapping[str, Any]

WIDTH, HEIGHT = 420, 200
"""Of a chart's plot, in pixels before the page scales it."""
ROW = {"height": {"step": 24}}
"""In place of the height: that of a bar, or of a heat map's cell, with its gap."""
LONG_NAMES = {"width": 330, "padding": {"left": 48, "top": 5, "right": 36, "bottom": 5}}
"""Room for names as long as the longest that is not shortened, in a font a quarter wider than the one Vega measures with."""


@dataclass(frozen=True)
class Question:
    """One chart of the page.

    Args:
        name: Its anchor on the page.
        title: The question.
        note: How to read the answer.
        query: The SQL that an analyst would ask; its rows are the chart's data.
        plot: The Vega-Lite specification, without data and width.
        remark: What to know of an answer before one believes it, in a sentence; empty for nothing.
    """

    name: str
    title: str
    note: str
    query: str
    plot: Mapping[str, Any]
    remark: Callable[[Sequence[Row]], str] = lambda _: ""


@dataclass(frozen=True)
class Answer:
    """A question with what gold answered.

    Args:
        question: The question.
        columns: Names of the answer's columns.
        rows: The answer; none when gold has nothing to say yet.
        picture: The chart; empty without rows.
        remark: What to know of it; empty for nothing.
    """

    question: Question
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    picture: Markup
    remark: str = ""


SMALL_COHORT = 10
"""People below which a share of them is told with a word of warning."""


def _funnel_remark(rows: Sequence[Row]) -> str:
    """Why nothing is left below the first step, where that is so."""
    sessions, *steps = (int(row["sessions"]) for row in rows)
    if sessions == 0 or any(steps):
        return ""
    return (
        "No session has a movie view, with which the way begins: what is imported from files, such as ratings,"
        " comes without the views and plays before it."
    )


def _retention_remark(rows: Sequence[Row]) -> str:
    """Which cohorts are so small that a share says little."""
    sizes = {row["cohort_week"]: int(row["cohort_size"]) for row in rows}
    small = [size for size in sizes.values() if size < SMALL_COHORT]
    if not small:
        return ""
    return (
        f"{len(small)} of these {len(sizes)} weeks began with fewer than {SMALL_COHORT} people,"
        " of whom a share says little."
    )


DAY = 86_400_000
"""Milliseconds, in which a time axis counts."""


def _steps(step: int, **more: Any) -> dict[str, Any]:
    """An axis that tells multiples of a step alone.

    Between small counts Vega puts halves, and between few days hours, all of which would be written as the count or day once more.
    """
    is_between = f"datum.value % {step}"
    shade = {"condition": {"test": is_between, "value": 0}, "value": 1}
    label = f"{is_between} ? '' : datum.label"
    return {"labelExpr": label, "gridOpacity": shade, "tickOpacity": shade, **more}


def _distinct(label: str, number: str) -> str:
    """SQL: a label, with the row's own number where several rows have it: bars of one name would lie on each other."""
    return f"{label} || case when count(*) over (partition by {label}) > 1 then ' #' || {number} else '' end"


def _axis(field: str, kind: str, title: str | None = None, **more: Any) -> dict[str, Any]:
    return {"field": field, "type": kind, "title": title, **more}


def _bars(category: str, figure: str, title: str, **axis: Any) -> dict[str, Any]:
    """Horizontal bars in the order of the rows, as names are long; each says its figure at its end."""
    y = _axis(category, "nominal", sort=None)
    if axis["format"].endswith("d"):
        axis |= _steps(1)
    x = _axis(figure, "quantitative", title, axis={"grid": False, "tickCount": 5, **axis})
    label = {"type": "text", "align": "left", "dx": 4}
    text = {"field": figure, "type": "quantitative", "format": axis["format"]}
    return {
        **ROW,
        "layer": [{"mark": "bar"}, {"mark": label, "encoding": {"text": text}}],
        "encoding": {"y": y, "x": x},
    }


def _heat_map(x: dict[str, Any], y: dict[str, Any], shade: str, text_format: str) -> dict[str, Any]:
    """Cells that are the darker the higher, with their figure in them."""
    opacity = {
        **_axis(shade, "quantitative"),
        "scale": {"range": [0.05, 0.6], "domainMin": 0},
        "legend": None,
    }
    text = {"field": shade, "type": "quantitative", "format": text_format}
    return {
        **ROW,
        "layer": [
            {"mark": "rect", "encoding": {"fillOpacity": opacity}},
            {"mark": "text", "encoding": {"text": text}},
        ],
        "encoding": {"x": x, "y": y},
    }


QUESTIONS = (
    Question(
        "daily-actives",
        "How many people are active?",
        "Users with an event on the day, in the 7 and in the 30 days up to it; the last 60 days that have data.",
        """
select
    date_day,
    dau as daily,
    wau as weekly,
    mau as monthly
from user_activity
where date_day > (select max(date_day) from user_activity) - 60
order by date_day""",
        {
            "transform": [{"fold": ["daily", "weekly", "monthly"], "as": ["window", "users"]}],
            "mark": {"type": "line", "point": {"size": 24}},
            "encoding": {
                # As UTC, or a day would begin in the time zone of whoever builds the site.
                "x": _axis(
                    "date_day",
                    "temporal",
                    scale={"type": "utc"},
                    axis=_steps(DAY, format="%-d %b", grid=False),
                ),
                "y": _axis("users", "quantitative", "users", axis=_steps(1, format=",d")),
                "color": _axis(
                    "window",
                    "nominal",
                    scale={"domain": ["daily", "weekly", "monthly"], "range": list(SERIES[:3])},
                ),
            },
        },
    ),
    Question(
        "events-by-type",
        "What do people do?",
        "All events, by their type.",
        """
select
    event_type,
    count(*) as events
from fact_user_event
group by event_type
order by events desc, event_type""",
        _bars("event_type", "events", "events", format=",d"),
    ),
    Question(
        "funnel",
        "How far do sessions get?",
        "Sessions in which a movie was viewed, then played, then played to its end, then rated.",
        """
select
    step,
    sessions
from (
    select
        sum(session_count) as session,
        sum(view_session_count) as view,
        sum(play_session_count) as play,
        sum(complete_session_count) as complete,
        sum(rating_session_count) as rating
    from session_funnel
) as total
cross join lateral (
    values
    (1, 'session', session),
    (2, 'view', view),
    (3, 'play', play),
    (4, 'complete', complete),
    (5, 'rating', rating)
) as steps (position, step, sessions)
where sessions is not null
order by position""",
        _bars("step", "sessions", "sessions", format=",d"),
        _funnel_remark,
    ),
    Question(
        "retention",
        "Do people come back?",
        "Of those first active in a week, the share that was active again so many weeks later; beside the week, how many"
        " they were.",
        """
select
    cohort_week,
    cohort_size,
    week_number,
    retention_share
from user_retention
where cohort_week > (select max(cohort_week) from user_retention) - 7 * 10
    and week_number <= 10
order by cohort_week, week_number""",
        {
            "transform": [
                {"calculate": "datum.cohort_week + ' (' + datum.cohort_size + ')'", "as": "cohort"}
            ],
            **_heat_map(
                _axis("week_number", "ordinal", "weeks later", axis={"labelAngle": 0}),
                _axis("cohort", "ordinal"),
                "retention_share",
                ".0%",
            ),
        },
        _retention_remark,
    ),
    Question(
        "genre-trends",
        "Which genres are on the rise?",
        "Events about the movies of a genre, month by month; the ten genres with most of them, the last six months.",
        f"""
with genres as (

    select
        dim_genre.genre_key,
        {_distinct("dim_genre.name", "dim_genre.genre_id")} as genre
    from genre_trends
    inner join dim_genre on genre_trends.genre_key = dim_genre.genre_key
    group by dim_genre.genre_key, dim_genre.genre_id, dim_genre.name
    order by sum(genre_trends.event_count) desc, dim_genre.genre_key
    limit 10

)

select
    genres.genre,
    to_char(genre_trends.month_start, 'YYYY-MM') as month,
    genre_trends.event_count as events
from genre_trends
inner join genres on genre_trends.genre_key = genres.genre_key
where genre_trends.month_start > (select max(month_start) from genre_trends) - interval '6 months'
order by month, events desc, genre""",
        _heat_map(
            _axis("month", "ordinal", axis={"labelAngle": 0}),
            _axis("genre", "nominal", sort={"field": "events", "op": "sum", "order": "descending"}),
            "events",
            ",d",
        ),
    ),
    Question(
        "top-movies",
        "Which movies are liked best?",
        "The Bayesian weighted rating, which draws a movie with few ratings towards the mean of all; movies that have any.",
        f"""
with best as (

    select
        dim_movie.movie_id,
        concat(dim_movie.title, ' (' || dim_movie.release_year || ')') as label,
        movie_popularity.weighted_rating,
        movie_popularity.rating_count,
        movie_popularity.popularity_rank
    from movie_popularity
    inner join dim_movie on movie_popularity.movie_key = dim_movie.movie_key
    where movie_popularity.rating_count > 0
    order by movie_popularity.popularity_rank
    limit 12

)

select
    {_distinct("label", "movie_id")} as movie,
    round(weighted_rating::numeric, 2) as weighted_rating,
    rating_count as ratings
from best
order by popularity_rank""",
        LONG_NAMES | _bars("movie", "weighted_rating", "weighted rating", format=".2f"),
    ),
    Question(
        "trending-movies",
        "Which movies are trending?",
        "Events in the last 7 days that have data, less those in the 7 days before.",
        f"""
with days as (

    select
        movie_id,
        event_count,
        date_day > (select max(date_day) from movie_daily) - 7 as is_recent
    from movie_daily
    where date_day > (select max(date_day) from movie_daily) - 14

),

changes as (

    select
        movie_id,
        sum(case when is_recent then event_count else -event_count end) as more_events
    from days
    group by movie_id

),

trending as (

    select
        dim_movie.movie_id,
        concat(dim_movie.title, ' (' || dim_movie.release_year || ')') as label,
        changes.more_events
    from changes
    inner join dim_movie on changes.movie_id = dim_movie.movie_id and dim_movie.is_current
    where changes.more_events > 0
    order by changes.more_events desc, label, dim_movie.movie_id
    limit 12

)

select
    {_distinct("label", "movie_id")} as movie,
    more_events
from trending
order by more_events desc, movie""",
        LONG_NAMES | _bars("movie", "more_events", "more events than in the week before", format="+,d"),
    ),
    Question(
        "ratings",
        "How do people rate?",
        "Ratings that stand, by their value.",
        """
select
    rating,
    count(*) as ratings
from ratings
group by rating
order by rating""",
        {
            "mark": "bar",
            "encoding": {
                "x": _axis("rating", "ordinal", "rating", axis={"labelAngle": 0}),
                "y": _axis("ratings", "quantitative", "ratings", axis=_steps(1, format=",d")),
            },
        },
    ),
)  # fmt: skip
"""The questions of the page, in their order."""


def ask(connection: psycopg.Connection) -> list[Answer]:
    """Ask gold every question.

    Args:
        connection: An analyst's.

    Returns:
        The answers, in the order of the questions; one about tables that are not there yet has no rows.
    """
    return [_answer(connection, question) for question in QUESTIONS]


def _answer(connection: psycopg.Connection, question: Question) -> Answer:
    try:
        with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(question.query.encode()).fetchall()
            columns = tuple(column.name for column in cursor.description or ())
    except psycopg.errors.UndefinedTable:
        return Answer(question, (), (), Markup())
    values = tuple(tuple(row.values()) for row in rows)
    if not rows:
        return Answer(question, columns, values, Markup())
    return Answer(question, columns, values, _picture(question, rows), question.remark(rows))


def _picture(question: Question, rows: Sequence[Row]) -> Markup:
    data = [{name: _plain(value) for name, value in row.items()} for row in rows]
    spec = {"width": WIDTH, "height": HEIGHT, "data": {"values": data}, **question.plot}
    return draw(spec, f"Chart: {question.title} The figures are in the table below it.")


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date | datetime) else value
