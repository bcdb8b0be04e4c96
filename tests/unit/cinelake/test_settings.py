"""Settings come from the environment, then `.env`, then the stack's own file, and a wrong one is named."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinelake.errors import SettingError
from cinelake.settings import EXAMPLES, load_settings

MALFORMED = {
    "KAFKA_BOOTSTRAP_SERVERS": [
        "no-port",
        "127.0.0.1:99999",
        "127.0.0.1:1,127.0.0.1:70000",
        "a b:1",
    ],
    "POSTGRES_URI": ["mysql://u@h/db", "postgresql://u@h", "secret-looking-text"],
    "MONGO_URI": ["http://h/db", "mongodb://h"],
    "CINELAKE_SPARK_MEMORY": ["2", "2 GB", "lots"],
    "CINELAKE_SPARK_UI_PORT": ["0", "65536", "auto"],
    "CINELAKE_API_PORT": ["0", "65536", "eighty"],
    "CINELAKE_API_WORKERS": ["0", "65", "two"],
    "CINELAKE_PSEUDONYM_KEY": ["too short"],
    "ANALYST_PASSWORD": ["short"],
    "ANALYST_PII_PASSWORD": ["short"],
    "TMDB_BASE_URL": ["ftp://api.example", "api.example"],
    "CINELAKE_SESSION_GAP_MINUTES": ["0", "half an hour"],
    "CINELAKE_SITE_HOSTS": ["https://movies.example", "Movies.Example", "a, b"],
    "CINELAKE_LATE_AFTER_HOURS": ["0", "-1"],
    "CINELAKE_FUTURE_TOLERANCE_MINUTES": ["-1", "1.5"],
    "CINELAKE_GATE_BLOCKS": ["freshness volume", "freshness,,volume", "Freshness"],
    "CINELAKE_GATE_PANDAS_ROWS": ["-1", "many"],
    "CINELAKE_ALERT_WEBHOOK": ["hooks.example", "ftp://hooks.example/x"],
    "CINELAKE_SMTP_URI": ["mail.example:25", "https://mail.example"],
    "CINELAKE_ALERT_RECIPIENTS": ["nobody", "a@b.example, c@d.example"],
    "CINELAKE_ALERT_SENDER": ["", "nobody"],
    "CINELAKE_REFRESH_DEADLINE_MINUTES": ["0", "an hour"],
    "CINELAKE_RUN_ID": ["", "two words", "a/b", "x" * 121],
    "CINELAKE_LOG_FORMAT": ["xml"],
    "CINELAKE_LOG_LEVEL": ["LOUD"],
    "CINELAKE_API_KEY": (
        "hunter2",
        "cl_short_x",
        "Bearer cl_0123456789ab_0123456789012345678901234567890",
    ),
    "CINELAKE_API_RATE_LIMIT": ("0", "-1", "many", "inf", "nan", "1e-320"),
    "CINELAKE_CORS_ORIGINS": (
        *("movies.example", "https://a.example, https://b.example"),
        *("https://*.a.example", "https://a.example/", "https://(a|b).example", "null"),
    ),
    "CINELAKE_TRUSTED_PROXIES": ("-1", "11", "yes"),
    "TMDB_EXPORT_URL": ("ftp://files.example", "files.example"),
    "CINELAKE_TMDB_REQUESTS_PER_SECOND": ("0", "fast"),
    "CINELAKE_TMDB_RECHECK_MINUTES": ("-1", "soon"),
}
REQUIRED = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka",
    "POSTGRES_URI": "postgres",
    "MONGO_URI": "mongo",
    "CINELAKE_PSEUDONYM_KEY": "pseudonym_secret",
    "ANALYST_PASSWORD": "analyst_secret",
    "ANALYST_PII_PASSWORD": "analyst_pii_secret",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without `.env`, and an environment without our variables."""
    monkeypatch.chdir(tmp_path)
    for name in EXAMPLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CINELAKE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


def test_the_environment_wins_over_dotenv_and_that_over_the_stack(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = []
    (folder / "home" / "stack.env").write_text("CINELAKE_API_PORT=1003\n")
    ports.append(load_settings().api_port)
    (folder / ".env").write_text("CINELAKE_API_PORT=1002\n")
    ports.append(load_settings().api_port)
    monkeypatch.setenv("CINELAKE_API_PORT", "1001")
    ports.append(load_settings().api_port)
    ports.append(load_settings(CINELAKE_API_PORT=1000).api_port)
    assert ports == [1003, 1002, 1001, 1000]


def test_each_source_fills_in_what_the_ones_before_leave_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "home" / "stack.env").write_text(f"MONGO_URI={EXAMPLES['MONGO_URI']}\n")
    (folder / ".env").write_text(f"POSTGRES_URI={EXAMPLES['POSTGRES_URI']}\n")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "broker:1,other:2")
    found = load_settings()
    assert (found.kafka, found.postgres, found.mongo) == (
        "broker:1,other:2",
        EXAMPLES["POSTGRES_URI"],
        EXAMPLES["MONGO_URI"],
    )


def test_the_stack_is_the_one_of_the_home_that_dotenv_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CINELAKE_HOME")
    (folder / ".env").write_text("CINELAKE_HOME=elsewhere\n")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "stack.env").write_text("CINELAKE_API_PORT=1234\n")
    found = load_settings()
    assert (found.home, found.api_port) == (folder / "elsewhere", 1234)


def test_every_setting_that_can_be_malformed_is_tried_below() -> None:
    # The others are texts and paths, of which none is wrong in itself.
    free = {
        "CINELAKE_HOME",
        "LAKE_URI",
        "SPARK_MASTER",
        "CINELAKE_SPARK_JAVA_OPTIONS",
        "CINELAKE_KAFKA_JAVA_OPTIONS",
        "TMDB_API_KEY",
        "DBT_PROFILES_DIR",
    }
    assert set(MALFORMED) == set(EXAMPLES) - free


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values]
)
def test_a_malformed_setting_is_named_with_an_example_and_never_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as caught:
        load_settings()
    message = caught.value.message
    assert message.startswith(f"{name} is not valid: ")
    assert f"{name}={EXAMPLES[name]}" in message
    assert len(message.splitlines()) == 1
    assert caught.value.exit_code == 2
    if "URI" in name or "KEY" in name or "PASSWORD" in name:
        assert value not in message


def test_all_malformed_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in MALFORMED.items():
        monkeypatch.setenv(name, values[0])
    with pytest.raises(SettingError) as caught:
        load_settings()
    lines = caught.value.message.splitlines()
    assert {line.partition(" ")[0] for line in lines} == set(MALFORMED)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named_when_it_is_needed(name: str) -> None:
    found = load_settings()
    with pytest.raises(SettingError, match=f"{name} is not set") as caught:
        getattr(found, REQUIRED[name])
    assert f"{name}={EXAMPLES[name]}" in caught.value.hint


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("CINELAKE_PSEUDONYM_KEY", "ANALYST_PASSWORD", "TMDB_API_KEY")
    for name in secrets:
        monkeypatch.setenv(name, EXAMPLES[name])
    found = load_settings()
    assert found.pseudonym_secret == EXAMPLES["CINELAKE_PSEUDONYM_KEY"]
    assert found.analyst_secret == EXAMPLES["ANALYST_PASSWORD"]
    assert not [name for name in secrets if EXAMPLES[name] in repr(found)]


@pytest.mark.parametrize(
    ("lake", "expected"),
    [
        ("", "{home}/lake"),
        ("relative/lake", "{cwd}/relative/lake"),
        ("/absolute/lake", "/absolute/lake"),
        ("s3a://bucket/lake/", "s3a://bucket/lake"),
    ],
)
def test_the_lake_is_a_path_or_a_uri(folder: Path, lake: str, expected: str) -> None:
    found = load_settings(LAKE_URI=lake)
    assert found.lake_uri == expected.format(home=folder / "home", cwd=folder)
    assert found.checkpoints == f"{found.lake_uri}/_checkpoints"


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=40), st.sampled_from(["KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_URI"]))
def test_any_text_is_a_setting_or_a_setting_error(text: str, name: str) -> None:
    try:
        load_settings(**{name: text})
    except SettingError as error:
        assert error.message.startswith(f"{name} is not valid: ")
