"""Fixtures every test may use: the one Spark session, and a home that an unprivileged PostgreSQL can reach."""

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbt_common.behavior_flags import BehaviorFlagRendered
from pyspark.sql import SparkSession
from xdist.scheduler import LoadFileScheduling

from cinelake.settings import Settings, load_settings
from lakehouse.tables import ensure_layer

# A process of pytest-xdist has 80 there, which a console keeps from the moment it is made: a command's output in a pipe has no
# width.
os.environ.pop("COLUMNS", None)

DEMO = "tests/demo/"
COLLECTOR = "-XX:+UseParallelGC"
FIRST_COMPILER = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
"""Flags for the JVM of a command, which ends before the second compiler, half of its time, has much to show for it.

Without that compiler the JVM keeps room for little code, and compiles no more at all once it is full.
"""
FEW_ROWS = f"{COLLECTOR} -Dspark.sql.codegen.factoryMode=NO_CODEGEN"
"""Flags for the JVM of Spark: projections over a test's few rows are interpreted, as each task writes their code anew."""
SHORT_LIVED = f"{FEW_ROWS} {FIRST_COMPILER}"
"""Flags for a command that reads few rows."""
STACK_VARIABLES = (
    "CINELAKE_HOME",
    "KAFKA_BOOTSTRAP_SERVERS",
    "POSTGRES_URI",
    "MONGO_URI",
    "LAKE_URI",
    "CINELAKE_API_PORT",
    "CINELAKE_API_KEY",
    "CINELAKE_PSEUDONYM_KEY",
    "ANALYST_PASSWORD",
    "ANALYST_PII_PASSWORD",
    "DBT_PROFILES_DIR",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full-scale`: what `make prove` runs."""
    parser.addoption(
        "--full-scale",
        action="store_true",
        help="200,000 simulated events instead of 3,000, and the tests that need as many",
    )


@pytest.fixture(scope="session")
def full_scale(pytestconfig: pytest.Config) -> None:
    """For a test that takes too long for each change: it runs with `--full-scale` alone."""
    if not pytestconfig.getoption("full_scale"):
        pytest.skip("takes long: only with --full-scale")


class OneHomeOneProcess(LoadFileScheduling):
    """Gives the tests of a file to one process (`--dist loadfile`), and those of `demo/`, which share a home."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return DEMO if file.startswith(DEMO) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """How `make test` shares out the tests."""
    return OneHomeOneProcess(config, log)


@pytest.fixture(scope="session", autouse=True)
def _own_environment(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Keep the tests away from a stack that a person runs, and from a person's `.env`."""
    with pytest.MonkeyPatch.context() as patch:
        for name in STACK_VARIABLES:
            patch.delenv(name, raising=False)
        if not pytestconfig.getoption("full_scale"):
            patch.setenv("CINELAKE_SPARK_JAVA_OPTIONS", SHORT_LIVED)
            patch.setenv("CINELAKE_KAFKA_JAVA_OPTIONS", FIRST_COMPILER)
        folder = tmp_path_factory.mktemp("cwd")
        patch.setenv("CINELAKE_HOME", str(folder / "unused-home"))
        patch.chdir(folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def _flags_of_dbt_without_a_source() -> Iterator[None]:
    """Keep dbt from a search for who asks for its flags: among all modules of pytest it takes most of a second a call of dbt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BehaviorFlagRendered, "_default_source", staticmethod(lambda: "dbt"))
        yield


@pytest.fixture(autouse=True)
def _umask_of_most_accounts() -> Iterator[None]:
    """The umask that a command sets in this process ends with its test."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that other accounts can enter: as root, PostgreSQL runs as one of them."""
    folder = Path(tempfile.mkdtemp(prefix="cinelake-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def spark_settings(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings with a lake and scratch folder, without services."""
    flags = (
        {} if pytestconfig.getoption("full_scale") else {"CINELAKE_SPARK_JAVA_OPTIONS": FEW_ROWS}
    )
    return load_settings(
        CINELAKE_HOME=str(tmp_path_factory.mktemp("spark-home")),
        CINELAKE_PSEUDONYM_KEY="a-key-for-tests-only",
        CINELAKE_SPARK_MEMORY="1g",
        **flags,
    )


@pytest.fixture(scope="session")
def spark(spark_settings: Settings) -> Iterator[SparkSession]:
    """The one Spark session of the test run."""
    from spark_streaming.session import build_session

    session = build_session(spark_settings, app_name="tests")
    # A plan over rows of a test would be computed while it is planned, not by the code that runs over tables.
    session.conf.set(
        "spark.sql.optimizer.excludedRules",
        "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation",
    )
    yield session
    session.stop()


@pytest.fixture(scope="module", autouse=True)
def _forget_lakes() -> Iterator[None]:
    """Let Delta forget the tables of a module's lakes: it keeps what it knows of a path for an hour, in memory."""
    yield
    # A command that ran in this process may have started Spark, too.
    session = SparkSession.getActiveSession()
    if session is not None and session._jvm is not None:
        gc.collect()
        session._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@pytest.fixture
def lake(spark_settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a lake folder of the test's own."""
    return spark_settings.model_copy(update={"lake": str(tmp_path / "lake")})


@pytest.fixture(scope="session")
def with_tables(spark: SparkSession, spark_settings: Settings) -> Callable[[Settings], Settings]:
    """Gives the lake of some settings every table of both layers, empty; made once, as making them takes seconds."""
    for layer in ("bronze", "silver"):
        ensure_layer(lambda: spark, spark_settings, layer)

    def copy(settings: Settings) -> Settings:
        shutil.copytree(spark_settings.lake_uri, settings.lake_uri)
        return settings

    return copy


@pytest.fixture
def empty_lake(with_tables: Callable[[Settings], Settings], lake: Settings) -> Settings:
    """Settings with a lake of the test's own that holds every table, without rows."""
    return with_tables(lake)


@pytest.fixture(scope="session")
def real_data(pytestconfig: pytest.Config) -> Path | None:
    """The folder with the real data sets, or None where there is none."""
    folder = os.environ.get("CINELAKE_DATA")
    # Relative to where pytest was called, as the tests work in another folder.
    return (pytestconfig.invocation_params.dir / folder).resolve() if folder else None


@pytest.fixture(scope="session")
def real_files(real_data: Path | None) -> Path:
    """The folder with the real data sets, for a test that makes no sense without it."""
    if real_data is None:
        pytest.skip("CINELAKE_DATA names no folder with the real data sets")
    return real_data
