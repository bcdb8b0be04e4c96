"""ISO 3166-1 country and ISO 639-1 language codes, as pycountry holds them."""

import json
from functools import cache

import pycountry
from pyspark.sql import Column
from pyspark.sql import functions as F


@cache
def country_names() -> dict[str, str]:
    """Name of each country by its alpha-2 code in upper case; withdrawn codes are not among them."""
    return {country.alpha_2: country.name for country in pycountry.countries}


@cache
def language_names() -> dict[str, str]:
    """English name of each language that has a two-letter code, by that code in lower case."""
    return {
        language.alpha_2: language.name
        for language in pycountry.languages
        if hasattr(language, "alpha_2")
    }


def name_of(code: Column, names: dict[str, str]) -> Column:
    """The standard's name of a code; null for one it does not know.

    Args:
        code: A code in the case of `names`.
        names: `country_names()` or `language_names()`.
    """
    return F.try_element_at(F.from_json(F.lit(json.dumps(names)), "map<string, string>"), code)


def is_known(code: Column, names: dict[str, str]) -> Column:
    """Whether the standard knows a code; null for none."""
    # A text of all codes is made faster than a literal of each, and split when the query is planned.
    return F.array_contains(F.split(F.lit(" ".join(names)), " "), code)
