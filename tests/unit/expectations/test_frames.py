"""Patterns are matched in Arrow only where that finds what Python finds, but for a line break at the end."""

import re
import warnings

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.frames import frame_from_arrow, patterns_in_arrow
from expectations.suites import suite_for
from lakehouse.contract import tables

PATTERNS = sorted(
    {
        rule.configuration.kwargs["regex"]
        for contract in (*tables("bronze"), *tables("silver"))
        for rule in suite_for(contract).expectations
        if "regex" in rule.configuration.kwargs
    }
)
HEX = "0123456789abcdef"


def matched(texts: list[str], pattern: str) -> tuple[list[bool], bool]:
    """What Great Expectations finds of a column, by its own expression, and whether Arrow did the work."""
    frame = frame_from_arrow(pa.table({"text": pa.array(texts, pa.string())}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with patterns_in_arrow(frame, [("text", pattern), ("not there", pattern)]):
            column = frame["text"].astype(str)
            return column.str.contains(pattern).tolist(), isinstance(column.dtype, pd.StringDtype)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(deadline=None)
@given(data=st.data())
def test_every_pattern_of_a_contract_finds_what_python_finds(
    pattern: str, data: st.DataObject
) -> None:
    near = st.from_regex(pattern)
    texts = data.draw(st.lists(near | st.text() | near.map(str.upper) | near.map(lambda t: t[1:])))
    found, _ = matched(texts, pattern)
    to_the_end = re.sub(r"\$$", r"\\Z", pattern)
    assert found == [re.search(to_the_end, text) is not None for text in texts]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_of_a_contract_is_matched_in_arrow(pattern: str) -> None:
    assert matched(["GB", HEX * 4, "u:ada", "a line\nand more"], pattern)[1]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("٣", r"^\d$"), ("ab", "^(?=a)ab$"), ("", "^a{,2}$")],
)
def test_what_arrow_takes_differently_is_left_to_python(text: str, pattern: str) -> None:
    assert matched([text], pattern) == ([True], False)


def test_a_line_break_at_the_end_belongs_to_the_text() -> None:
    assert matched(["GB\n", "GB"], "^[A-Z]{2}$") == ([False, True], True)


def test_what_python_cannot_name_is_brought_to_where_no_contract_allows_it() -> None:
    days = pa.array([-(10**6), 0, None, 10**7], pa.int32()).cast(pa.date32())
    times = pa.array([-(10**17), 0, None, 10**18], pa.int64()).cast(pa.timestamp("us", "UTC"))
    numbers = pa.array([float("nan"), 1.0, None, float("-inf")])
    frame = frame_from_arrow(pa.table({"day": days, "time": times, "number": numbers}))
    for name in ("day", "time"):
        years = [
            value and value.year
            for value in frame[name].astype(object).where(frame[name].notna(), None)
        ]
        assert years == [1, 1970, None, 9999]
    assert frame["number"].tolist()[:2] == [float("inf"), 1.0]
    assert frame["number"].isna().tolist() == [False, False, True, False]
