"""Reading numbers: liberal in form, strict in meaning."""

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.numbers import decimal_number, number, whole_number

NO_NUMBERS = [
    *("", " ", "nan", "NaN", "inf", "-Infinity", "1e999", "-1e999", "0x10", "1_000", "1,000"),
    *(
        "1 000",
        "1\u00a0000",
        "1.",
        ".5",
        "+5",
        "--5",
        "5-",
        "1e",
        "1e+",
        "e5",
        "\u0668\u0666\u0662",
        "\uff18\uff16\uff12",
        "½",
    ),
    *("$5", "5%", "8 62", "862abc", "None", "True", "1/2", "9" * 500, "1.5.2", "1e1.5"),
]


@pytest.mark.parametrize("text", NO_NUMBERS)
@pytest.mark.parametrize("read", [decimal_number, whole_number, number])
def test_what_is_no_finite_decimal_is_no_number(text: str, read: type[float]) -> None:
    with pytest.raises(ValueError, match="is not"):
        read(text)


@pytest.mark.parametrize(
    "text", ["862", " 862 ", "862.0", "862.000", "8.62e2", "8.62E+2", "86200e-2", "0862", "\t862\r"]
)
def test_a_whole_number_is_read_in_any_form(text: str) -> None:
    assert whole_number(text) == number(text) == 862
    assert type(number(text)) is int
    assert decimal_number(text) == 862.0


@pytest.mark.parametrize("text", ["1.5", "1e-1", "1e18", "-1e18", "1e999999999", "1e-999999999"])
def test_a_fraction_and_a_number_beyond_18_digits_are_not_whole(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        whole_number(text)


@pytest.mark.parametrize(
    "text", ["1000000000000000000", "-123456789012345678901234", "1e18", "1e300", "1" * 19 + ".5"]
)
def test_a_number_that_a_double_would_round_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number of at most 18 digits"):
        number(text)
    assert number("999999999999999999") == 999999999999999999
    assert number("1.5") == 1.5


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_no_digit_of_a_whole_number_is_lost(value: int) -> None:
    assert whole_number(f"{value}.0") == whole_number(str(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_comes_back_as_it_was_written(value: float) -> None:
    assert decimal_number(repr(value)) == value


@given(st.text(st.sampled_from("0123456789.eE+- _xnaif\u0663"), max_size=8))
def test_what_is_read_is_what_the_grammar_says(text: str) -> None:
    is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text.strip(" "))
    try:
        value = decimal_number(text)
    except ValueError:
        assert not is_number or math.isinf(float(Decimal(text.strip())))
    else:
        assert is_number
        assert value == float(Decimal(text.strip()))
