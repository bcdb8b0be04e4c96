"""Every setting of Cinelake, in one class.

A value is looked for in the environment, then in `.env` of the working folder, then in
`$CINELAKE_HOME/stack.env`, which `cinelake up` writes for the local stack. No other module reads the environment.
"""

import re
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from cinelake.errors import SettingError

PROJECT_ROOT = Path(__file__).resolve().parents[1]

EXAMPLES = {
    "CINELAKE_HOME": ".cinelake",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "CINELAKE_KAFKA_JAVA_OPTIONS": "-Xmx2g",
    "POSTGRES_URI": "postgresql://cinelake:secret@127.0.0.1:5432/cinelake",
    "MONGO_URI": "mongodb://127.0.0.1:27017/cinelake",
    "LAKE_URI": ".cinelake/lake",
    "SPARK_MASTER": "local[2]",
    "CINELAKE_SPARK_MEMORY": "2g",
    "CINELAKE_SPARK_JAVA_OPTIONS": "-XX:+UseParallelGC",
    "CINELAKE_SPARK_UI_PORT": "4040",
    "CINELAKE_API_PORT": "8000",
    "CINELAKE_API_WORKERS": "2",
    "CINELAKE_API_KEY": "cl_0123456789ab_the-secret-that-keys-create-printed-in-43-chars",
    "CINELAKE_API_RATE_LIMIT": "1000",
    "CINELAKE_CORS_ORIGINS": "https://movies.example,https://app.movies.example",
    "CINELAKE_TRUSTED_PROXIES": "0",
    "CINELAKE_PSEUDONYM_KEY": "a-long-random-string-of-at-least-16-characters",
    "ANALYST_PASSWORD": "another-long-random-string",
    "ANALYST_PII_PASSWORD": "a-third-long-random-string",
    "TMDB_API_KEY": "0123456789abcdef0123456789abcdef",
    "TMDB_BASE_URL": "https://api.themoviedb.org/3",
    "TMDB_EXPORT_URL": "https://files.tmdb.org/p/exports",
    "CINELAKE_TMDB_REQUESTS_PER_SECOND": "40",
    "CINELAKE_TMDB_RECHECK_MINUTES": "15",
    "CINELAKE_SESSION_GAP_MINUTES": "30",
    "CINELAKE_SITE_HOSTS": "movies.example,www.movies.example",
    "CINELAKE_LATE_AFTER_HOURS": "24",
    "CINELAKE_FUTURE_TOLERANCE_MINUTES": "5",
    "CINELAKE_GATE_PANDAS_ROWS": "1000000",
    "CINELAKE_GATE_BLOCKS": "freshness,volume",
    "CINELAKE_ALERT_WEBHOOK": "https://hooks.slack.com/services/T000/B000/XXXX",
    "CINELAKE_SMTP_URI": "smtp://user:password@mail.example:587",
    "CINELAKE_ALERT_RECIPIENTS": "data@movies.example,on-call@movies.example",
    "CINELAKE_ALERT_SENDER": "cinelake@movies.example",
    "CINELAKE_REFRESH_DEADLINE_MINUTES": "60",
    "CINELAKE_RUN_ID": "nightly-2026-01-31",
    "CINELAKE_LOG_FORMAT": "console",
    "CINELAKE_LOG_LEVEL": "INFO",
    "DBT_PROFILES_DIR": "dbt_project",
}
"""An example of each variable, shown when one is missing or malformed and used by `.env.example`."""

T = TypeVar("T")

HostPort = Annotated[str, StringConstraints(pattern=r"^[^,\s:]+:\d{1,5}(,[^,\s:]+:\d{1,5})*$")]
PostgresUri = Annotated[str, StringConstraints(pattern=r"^postgres(ql)?://[^/\s]+/[^/\s?]+")]
RUN_ID_PATTERN = r"^[A-Za-z0-9_.-]{1,120}$"
LEAST_RATE = 0.01
"""Requests a second: one in a hundred seconds."""
API_KEY_PATTERN = r"^cl_([0-9a-f]{12})_([A-Za-z0-9_-]{20,100})$"
"""An API key: its id, which may be shown, and its secret."""
_ORIGIN = r"https?://[A-Za-z0-9._-]+(:\d{1,5})?"
Origins = Annotated[
    str, StringConstraints(pattern=rf"^(\*|{_ORIGIN}(,{_ORIGIN})*)?$", to_lower=True)
]
Hosts = Annotated[str, StringConstraints(pattern=r"^([a-z0-9.-]+(,[a-z0-9.-]+)*)?$")]
Rules = Annotated[str, StringConstraints(pattern=r"^([a-z_]+(,[a-z_]+)*)?$")]
_ADDRESS = r"[^@,\s]+@[^@,\s]+"
MongoUri = Annotated[str, StringConstraints(pattern=r"^mongodb(\+srv)?://[^/\s]+/[^/\s?]+")]


class Settings(BaseSettings):
    """The settings of one process. Instances do not change; get the current one with `get_settings`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    home: Path = Field(PROJECT_ROOT / ".cinelake", alias="CINELAKE_HOME")
    """The folder that holds the lake, the local services' data, checkpoints and the docs site."""

    kafka_bootstrap_servers: HostPort | None = Field(None, alias="KAFKA_BOOTSTRAP_SERVERS")
    kafka_java_options: str = Field("", alias="CINELAKE_KAFKA_JAVA_OPTIONS")
    """Flags for the JVM of the broker that `up` starts, on top of our own, as for a larger heap."""
    postgres_uri: PostgresUri | None = Field(None, alias="POSTGRES_URI")
    """The owner's connection; stages take on the roles `loader`, `transformer` and `analyst` from it."""
    mongo_uri: MongoUri | None = Field(None, alias="MONGO_URI")
    """The server and, as its path, the database."""

    lake: str = Field("", alias="LAKE_URI")
    """Where the Delta tables live: a path, or a URI Spark and delta-rs can both read. Default: `<home>/lake`."""
    spark_master: str = Field("local[2]", alias="SPARK_MASTER")
    spark_memory: Annotated[str, StringConstraints(pattern=r"^\d+[mg]$")] = Field(
        "2g", alias="CINELAKE_SPARK_MEMORY"
    )
    spark_java_options: str = Field("-XX:+UseParallelGC", alias="CINELAKE_SPARK_JAVA_OPTIONS")
    """Flags for the JVM of Spark's driver, on top of our own.

    By default a collector that works when the heap is full, not all the time beside the tasks.
    """

    spark_ui_port: int | None = Field(None, alias="CINELAKE_SPARK_UI_PORT", ge=1, le=65535)
    """The loopback port of Spark's web interface; where it is taken, the next free one. Default: off."""

    api_port: int | None = Field(None, alias="CINELAKE_API_PORT", ge=1, le=65535)
    """The port of the events API. Default: a free one, chosen at the first start and remembered."""
    api_workers: int = Field(2, alias="CINELAKE_API_WORKERS", ge=1, le=64)
    api_key: SecretStr | None = Field(None, alias="CINELAKE_API_KEY")
    """The key with which the demonstration, simulation and replay send events."""
    api_rate_limit: float = Field(
        1000, alias="CINELAKE_API_RATE_LIMIT", ge=LEAST_RATE, allow_inf_nan=False
    )
    """Requests a second that a key may make, unless it has a limit of its own."""
    cors: Origins = Field("", alias="CINELAKE_CORS_ORIGINS")
    """Web origins whose pages may use the API, separated by commas; `*` for any."""
    trusted_proxies: int = Field(0, alias="CINELAKE_TRUSTED_PROXIES", ge=0, le=10)
    """How many proxies stand before the API, each adding to `X-Forwarded-For`.

    The last of them may tell by `X-Forwarded-Proto` and `X-Forwarded-Host` at which origin the API is known.
    """

    pseudonym_key: SecretStr | None = Field(None, alias="CINELAKE_PSEUDONYM_KEY", min_length=16)
    """The HMAC key that turns e-mail and IP addresses into pseudonyms."""
    analyst_password: SecretStr | None = Field(None, alias="ANALYST_PASSWORD", min_length=8)
    analyst_pii_password: SecretStr | None = Field(None, alias="ANALYST_PII_PASSWORD", min_length=8)
    """The password of `analyst_pii`, who reads names and birth years too; nobody logs in as that role without one."""

    tmdb_api_key: SecretStr | None = Field(None, alias="TMDB_API_KEY")
    tmdb_base_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] = Field(
        "https://api.themoviedb.org/3", alias="TMDB_BASE_URL"
    )
    tmdb_export_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = Field(
        None, alias="TMDB_EXPORT_URL"
    )
    """The folder of the daily id files. Default: TMDB's own, or `/p/exports` at the host of another base URL."""
    tmdb_requests_per_second: int = Field(
        40, alias="CINELAKE_TMDB_REQUESTS_PER_SECOND", ge=1, le=10_000
    )
    """Requests that TMDB sees in any one second at most; it names "the 40 requests per second range"."""
    tmdb_recheck_minutes: int = Field(15, alias="CINELAKE_TMDB_RECHECK_MINUTES", ge=0)
    """A movie that TMDB lists as changed today is not asked for again within this time of the last answer."""

    session_gap_minutes: int = Field(30, alias="CINELAKE_SESSION_GAP_MINUTES", ge=1)
    """Inactivity that ends a session whose events carry no session id."""
    site_hosts: Hosts = Field("", alias="CINELAKE_SITE_HOSTS")
    """Host names of the product's own pages, in lower case, separated by commas: a referrer there is internal."""
    late_after_hours: int = Field(24, alias="CINELAKE_LATE_AFTER_HOURS", ge=1)
    """An event received longer than this after it occurred is flagged late (and still taken)."""
    future_tolerance_minutes: int = Field(5, alias="CINELAKE_FUTURE_TOLERANCE_MINUTES", ge=0)
    """An event that occurred longer than this after it was received goes to quarantine."""
    gate_pandas_rows: int = Field(1_000_000, alias="CINELAKE_GATE_PANDAS_ROWS", ge=0)
    """Increments up to this many rows are gated on pandas, a piece at a time, larger ones on Spark."""

    gate_block: Rules = Field("", alias="CINELAKE_GATE_BLOCKS")
    """Rules of trends, separated by commas, that stop a run where they would warn."""

    alert_webhook: SecretStr | None = Field(None, alias="CINELAKE_ALERT_WEBHOOK")
    """Where failed runs are told, as Slack's incoming webhooks take it."""
    smtp_uri: SecretStr | None = Field(None, alias="CINELAKE_SMTP_URI")
    """The mail server for alerts: `smtp://` (with STARTTLS where it offers that) or `smtps://`."""
    alert_recipients: Annotated[
        str, StringConstraints(pattern=rf"^({_ADDRESS}(,{_ADDRESS})*)?$")
    ] = Field("", alias="CINELAKE_ALERT_RECIPIENTS")
    """Whom alerts are mailed to, separated by commas."""
    alert_sender: Annotated[str, StringConstraints(pattern=rf"^{_ADDRESS}$")] = Field(
        "cinelake@localhost", alias="CINELAKE_ALERT_SENDER"
    )
    refresh_deadline_minutes: int = Field(60, alias="CINELAKE_REFRESH_DEADLINE_MINUTES", ge=1)
    """A refresh by Airflow that has not ended this long after it was queued is told as late."""

    run_id: Annotated[str, StringConstraints(pattern=RUN_ID_PATTERN)] | None = Field(
        None, alias="CINELAKE_RUN_ID"
    )
    """The run that a command is a part of, as an orchestrator names it. Default: one of its own."""
    log_format: Literal["console", "json"] = Field("console", alias="CINELAKE_LOG_FORMAT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="CINELAKE_LOG_LEVEL"
    )
    dbt_profiles_dir: Path = Field(PROJECT_ROOT / "dbt_project", alias="DBT_PROFILES_DIR")
    """Where `cinelake up` writes the profile that a plain `dbt` call uses; dbt reads the same variable."""

    @field_validator("home", "dbt_profiles_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().resolve()

    @field_validator("api_key")
    @classmethod
    def _is_api_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key and not re.fullmatch(API_KEY_PATTERN, key.get_secret_value()):
            raise ValueError("it should be a key that `cinelake keys create` made")
        return key

    @field_validator("alert_webhook", "smtp_uri")
    @classmethod
    def _is_address(cls, uri: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        schemes = "https?" if info.field_name == "alert_webhook" else "smtps?"
        if uri and not re.fullmatch(rf"{schemes}://\S+", uri.get_secret_value()):
            raise ValueError("it should be an address")
        return uri

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _real_ports(cls, servers: str | None) -> str | None:
        for port in [server.rpartition(":")[2] for server in servers.split(",")] if servers else []:
            if not 1 <= int(port) <= 65535:
                raise ValueError(f"there is no port {port}")
        return servers

    @property
    def lake_uri(self) -> str:
        """The root of the Delta lake, without a trailing slash."""
        if "://" in self.lake:
            return self.lake.rstrip("/")
        return str(Path(self.lake).expanduser().resolve() if self.lake else self.home / "lake")

    @property
    def checkpoints(self) -> str:
        """The root of Spark's streaming checkpoints, beside the tables they belong to."""
        return f"{self.lake_uri}/_checkpoints"

    @property
    def kafka(self) -> str:
        """`KAFKA_BOOTSTRAP_SERVERS`, or a `SettingError` when there is none."""
        return self._required(self.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")

    @property
    def postgres(self) -> str:
        """`POSTGRES_URI`, or a `SettingError` when there is none."""
        return self._required(self.postgres_uri, "POSTGRES_URI")

    @property
    def mongo(self) -> str:
        """`MONGO_URI`, or a `SettingError` when there is none."""
        return self._required(self.mongo_uri, "MONGO_URI")

    @property
    def cors_origins(self) -> list[str]:
        """`CINELAKE_CORS_ORIGINS` as a list; empty when no page of another origin may use the API."""
        return [origin for origin in self.cors.split(",") if origin]

    @property
    def own_hosts(self) -> list[str]:
        """`CINELAKE_SITE_HOSTS` as a list; empty when none is known."""
        return [host for host in self.site_hosts.split(",") if host]

    @property
    def gate_blocks(self) -> frozenset[str]:
        """`CINELAKE_GATE_BLOCKS` as a set; empty when every unusual thing is only told."""
        return frozenset(rule for rule in self.gate_block.split(",") if rule)

    @property
    def api_secret(self) -> str:
        """`CINELAKE_API_KEY` in clear, or a `SettingError` when there is none."""
        return self._required(self.api_key, "CINELAKE_API_KEY").get_secret_value()

    @property
    def pseudonym_secret(self) -> str:
        """`CINELAKE_PSEUDONYM_KEY` in clear, or a `SettingError` when there is none."""
        return self._required(self.pseudonym_key, "CINELAKE_PSEUDONYM_KEY").get_secret_value()

    @property
    def analyst_secret(self) -> str:
        """`ANALYST_PASSWORD` in clear, or a `SettingError` when there is none."""
        return self._required(self.analyst_password, "ANALYST_PASSWORD").get_secret_value()

    @property
    def analyst_pii_secret(self) -> str:
        """`ANALYST_PII_PASSWORD` in clear, or a `SettingError` when there is none."""
        if self.analyst_pii_password is None:
            raise SettingError(
                "ANALYST_PII_PASSWORD is not set.",
                "Nobody logs in as `analyst_pii` without it. Set it in the environment or in .env, then run `cinelake up`:"
                f" ANALYST_PII_PASSWORD={EXAMPLES['ANALYST_PII_PASSWORD']}",
            )
        return self.analyst_pii_password.get_secret_value()

    @property
    def tmdb_secret(self) -> str:
        """`TMDB_API_KEY` in clear, or a `SettingError` when there is none."""
        if self.tmdb_api_key is None or not self.tmdb_api_key.get_secret_value().strip():
            raise SettingError(
                "TMDB_API_KEY is not set.",
                "Get a key at https://www.themoviedb.org/settings/api and set it in the environment or in"
                " .env; or start `cinelake tmdb sandbox`, which needs none of TMDB's.",
            )
        return self.tmdb_api_key.get_secret_value().strip()

    @property
    def tmdb_exports(self) -> str:
        """The folder of the daily id files, without a trailing slash."""
        if self.tmdb_export_url:
            return self.tmdb_export_url.rstrip("/")
        base = urlsplit(self.tmdb_base_url)
        if base.hostname == "api.themoviedb.org":
            return EXAMPLES["TMDB_EXPORT_URL"]
        return f"{base.scheme}://{base.netloc}/p/exports"

    @staticmethod
    def _required(value: T | None, name: str) -> T:
        if value is None:
            raise SettingError(
                f"{name} is not set.",
                "Run `cinelake up` for the local stack, or set it in the environment or in .env,"
                f" for example {name}={EXAMPLES[name]}",
            )
        return value


def new_api_key() -> str:
    """A key nobody had before: an id of 48 random bits and a secret of 256."""
    return f"cl_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings anew.

    Args:
        overrides: Values by variable name that win over every other source, for example `CINELAKE_HOME=path`.

    Raises:
        SettingError: A variable is malformed; the message names each one with an example.
    """
    try:
        # Twice, because `.env` may name the home whose stack.env is meant.
        home = Settings(_env_file=".env", **overrides).home
        return Settings(_env_file=(home / "stack.env", ".env"), **overrides)
    except ValidationError as error:
        raise SettingError(
            "\n".join(_describe(problem) for problem in error.errors()),
            "Correct it in the environment, in .env or in the command; .env.example documents each variable.",
        ) from None


def _describe(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "a setting"
    example = f" (for example {name}={EXAMPLES[name]})" if name in EXAMPLES else ""
    return f"{name} is not valid: {problem['msg']}{example}"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once. `get_settings.cache_clear()` makes the next call read them anew."""
    return load_settings()
