"""`.env.example` documents every setting, and nothing else."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from cinelake.settings import EXAMPLES, PROJECT_ROOT, Settings, load_settings

LINES = (PROJECT_ROOT / ".env.example").read_text().splitlines()
VARIABLE = re.compile(r"^# ([A-Z][A-Z0-9_]*)=(.*)$")
DOCUMENTED = {found[1]: found[2] for line in LINES if (found := VARIABLE.match(line))}
ALIASES = {field.alias for field in Settings.model_fields.values()}


def test_every_setting_is_documented_and_every_variable_is_a_setting() -> None:
    assert set(DOCUMENTED) == ALIASES


def test_the_examples_are_those_the_error_messages_show() -> None:
    assert DOCUMENTED == EXAMPLES


def test_each_variable_has_a_sentence_before_it() -> None:
    for before, line in pairwise(LINES):
        if VARIABLE.match(line):
            assert re.match(r"^# .*[.:]$", before), line


def test_nothing_is_set_by_copying_the_file() -> None:
    assert all(line.startswith("#") for line in LINES if line)


def test_the_examples_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in DOCUMENTED:
        monkeypatch.delenv(name, raising=False)
    Path(".env").write_text("\n".join(f"{name}={value}" for name, value in DOCUMENTED.items()))
    settings = load_settings()
    assert settings.home == tmp_path / ".cinelake"
    assert settings.kafka == DOCUMENTED["KAFKA_BOOTSTRAP_SERVERS"]
