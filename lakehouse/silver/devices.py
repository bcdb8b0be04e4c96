"""What a User-Agent says of the browser, operating system and device, by the rules of uap-core.

Source of the rules: https://github.com/ua-parser/uap-core, through the package `ua-parser`.
"""

from functools import lru_cache
from typing import NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc
import ua_parser
from pyspark.sql import Column
from pyspark.sql.pandas.functions import arrow_udf

from lakehouse.contract import table

OTHER = "Other"
"""The family of what the rules do not know, as uap-core itself calls it."""
_BOT = "Spider"
"""The device family that uap-core gives every robot."""
REMEMBERED = 512
"""Characters of a User-Agent that is kept in memory: longer ones, each another, would fill it."""
LONGEST = table("silver.events").column("device").max_length
DDL = "browser string, os string, device string, is_bot boolean"


class Device(NamedTuple):
    """What is known of a User-Agent; each family is a name of uap-core or `Other`, cut to `LONGEST` characters."""

    browser: str
    os: str
    device: str
    is_bot: bool


def parse(user_agent: str) -> Device:
    """Read one User-Agent; strings that occurred before are not read again, but for those that no browser sends."""
    return (remembered if len(user_agent) <= REMEMBERED else _read)(user_agent)


def _read(user_agent: str) -> Device:
    result = ua_parser.parse(user_agent)
    found = (result.user_agent, result.os, result.device)
    # Some rules of uap-core take a name from the User-Agent itself, however long it is there.
    browser, os, device = (each.family[:LONGEST] if each else OTHER for each in found)
    return Device(browser, os, device, device == _BOT)


remembered = lru_cache(maxsize=100_000)(_read)
"""Reads one of up to `REMEMBERED` characters, each once."""


def parse_all(user_agents: pa.Array) -> pa.Array:
    """Read User-Agents, each distinct one once.

    Args:
        user_agents: Strings, in which null is no User-Agent.

    Returns:
        Structs with the fields of `Device`, null where there was none.
    """
    encoded = pc.dictionary_encode(user_agents)
    distinct = [parse(text) for text in encoded.dictionary.to_pylist()]
    types = {"browser": pa.string(), "os": pa.string(), "device": pa.string(), "is_bot": pa.bool_()}
    table = pa.StructArray.from_arrays(
        [
            pa.array([row[place] for row in distinct], kind)
            for place, kind in enumerate(types.values())
        ],
        names=list(types),
    )
    return table.take(encoded.indices)


def of_user_agent(user_agent: Column) -> Column:
    """The struct of `DDL` for a column of User-Agents."""
    # Spark's stubs ask for the kind of UDF, which Spark itself reads off the type hints.
    read = arrow_udf(parse_all, DDL)  # type: ignore[call-overload]
    return cast(Column, read(user_agent))
