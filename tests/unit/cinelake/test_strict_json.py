"""JSON that commands and logs write is JSON also where a figure is none."""

import json
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest
import structlog

from cinelake.commands.values import write_json
from cinelake.log import configure_logging, get_logger
from cinelake.settings import load_settings
from cinelake.strict_json import strict_json

NAN, INF = float("nan"), float("inf")
FACTS = {"a": NAN, "b": [1.5, INF, (-INF, {"c": NAN})], "d": "NaN", "e": None, "f": True}
WRITTEN = {"a": None, "b": [1.5, None, [None, {"c": None}]], "d": "NaN", "e": None, "f": True}


def strictly(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_what_is_no_number_is_null() -> None:
    assert strictly(strict_json(FACTS)) == WRITTEN
    assert [strict_json(each) for each in (NAN, INF, -INF)] == ["null"] * 3
    # The default is asked for what JSON has no form of, and its answer is looked at as well.
    with pytest.raises(ValueError, match="not JSON compliant"):
        strict_json(object(), default=lambda _: NAN)


def test_commands_and_logs_write_it(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({**FACTS, "at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert strictly(capsys.readouterr().out) == {**WRITTEN, "at": "2026-01-01T00:00:00.000000Z"}
    before = structlog.get_config()
    try:
        configure_logging(load_settings(CINELAKE_LOG_FORMAT="json"))
        get_logger("recommend").info("trained", figures=FACTS, at=datetime(2026, 1, 1, tzinfo=UTC))
    finally:
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()
    line = strictly(capsys.readouterr().err)
    assert line["figures"] == WRITTEN and "2026" in line["at"]
