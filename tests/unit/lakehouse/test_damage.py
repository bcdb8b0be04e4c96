"""A file of the lake that is gone or damaged is named with its table by every command, which never ends in a traceback."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.errors import PySparkException

from cinelake import cli
from cinelake.errors import DamagedDataError, ServiceError
from cinelake.settings import Settings, get_settings, load_settings
from lakehouse import changes, checkpoints, damage, inspection, tables
from tests.unit.lakehouse.test_checkpoints import note

NAME, WHOLE = "silver.genres", "silver.keywords"
NEWEST = 4
DAMAGES: dict[str, Callable[[Path], object]] = {
    "is cut off": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "is empty": lambda file: file.write_bytes(b""),
    "holds something else": lambda file: file.write_bytes(b"\x00\xff\x13 something else"),
    "is gone": lambda file: file.unlink(),
}
FILES = {
    "the newest commit": f"_delta_log/{NEWEST:020}.json",
    "a commit in the midst": f"_delta_log/{NEWEST - 1:020}.json",
    "the checkpoint of the log": f"_delta_log/{NEWEST - 2:020}.checkpoint.parquet",
    "a data file": "part-*.parquet",
}


def make(lake: Settings, name: str) -> None:
    """A table of five versions, with a checkpoint of the third and the checksums that Spark adds."""
    folder = Path(tables.table_path(lake, name))
    for number in range(NEWEST + 1):
        rows = pa.table({"genre_id": range(number * 1000, number * 1000 + 1000)})
        feed = {"delta.enableChangeDataFeed": "true"}
        write_deltalake(folder, rows, mode="append", configuration=feed)
        (folder / "_delta_log" / f"{number:020}.crc").write_text("{}")
        if number == NEWEST - 2:
            DeltaTable(folder).create_checkpoint()


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it said."""

    code: int
    out: str
    err: str

    def names(self, *parts: str) -> bool:
        """Whether the command ended as one that met damaged data, and told of it in these words."""
        said = self.err.replace("\n", "").replace("│", "").replace(" ", "")
        return (
            self.code == DamagedDataError.exit_code
            and "Traceback" not in self.err
            and all(part in said for part in parts)
        )


@pytest.fixture(scope="module")
def lake_of_two(spark_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two tables, made once."""
    folder = tmp_path_factory.mktemp("two") / "lake"
    for name in (NAME, WHOLE):
        make(spark_settings.model_copy(update={"lake": str(folder)}), name)
    return folder


@pytest.fixture
def home(lake_of_two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A home without services, with that lake."""
    monkeypatch.setenv("CINELAKE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "400")
    get_settings.cache_clear()
    settings = load_settings()
    shutil.copytree(lake_of_two, settings.lake_uri)
    yield settings
    get_settings.cache_clear()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command as the program does."""

    def ended(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["cinelake", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return Ended(int(end.value.code or 0), *capfd.readouterr())

    return ended


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("what", FILES)
def test_every_command_names_the_table_and_the_file(
    home: Settings, run: Callable[..., Ended], tmp_path: Path, what: str, how: str
) -> None:
    folder = Path(tables.table_path(home, NAME))
    file = sorted(folder.glob(FILES[what]))[0]
    DAMAGES[how](file)

    assert run("reconcile").names(NAME, str(file))
    assert run("export", NAME, "--to", str(tmp_path / "rows.jsonl")).names(NAME, str(file))
    assert run("as-of", NAME, "--version", str(NEWEST), "--limit", "5000").names(NAME, str(file))
    seen = run("status", "--json")
    facts = json.loads(seen.out)
    assert set(facts["damaged"]) == {NAME}
    assert str(file) in facts["damaged"][NAME][0]
    assert facts["services"], "what can be seen is shown"


def test_what_is_whole_can_be_read_beside_what_is_not(
    home: Settings, run: Callable[..., Ended]
) -> None:
    file = Path(tables.table_path(home, NAME), FILES["the newest commit"])
    DAMAGES["is cut off"](file)
    assert run("as-of", WHOLE, "--version", str(NEWEST), "--limit", "5").code == 0
    assert run("status").out.count(str(file)) == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_a_table_whose_log_has_every_commit_can_do_without_its_checkpoint(
    home: Settings, how: str
) -> None:
    folder = Path(tables.table_path(home, NAME))
    file = folder / FILES["the checkpoint of the log"]
    DAMAGES[how](file)
    file.unlink(missing_ok=True)
    (folder / "_delta_log" / "_last_checkpoint").unlink()
    assert inspection.damaged(home, is_thorough=True) == {}
    assert changes.count_rows(home, NAME) == 5000


def test_a_table_without_damage_is_whole(home: Settings) -> None:
    assert inspection.damaged(home) == inspection.damaged(home, is_thorough=True) == {}
    inspection.require_whole(home)


@pytest.mark.parametrize("unseen", [f"{NEWEST - 1:020}.json", f"{NEWEST:020}.json"])
def test_a_commit_that_came_while_the_log_was_listed_is_no_damage(
    home: Settings, unseen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = damage._names(tables.table_path(home, NAME))
    lists = [names, [name for name in names if name != unseen]]
    monkeypatch.setattr(damage, "_names", lambda _: lists.pop())
    assert changes.open_table(home, NAME) is not None
    assert lists == []


def test_a_log_whose_oldest_commits_were_cleaned_away_is_whole(home: Settings) -> None:
    folder = Path(tables.table_path(home, NAME))
    for number in range(2):
        (folder / "_delta_log" / f"{number:020}.json").unlink()
    assert inspection.damaged(home) == {}
    assert changes.count_rows(home, NAME) == 5000


def test_data_without_a_log_is_no_table_that_is_still_to_be_made(home: Settings) -> None:
    folder = Path(tables.table_path(home, NAME))
    (folder / "_delta_log").rename(folder / "elsewhere")
    with pytest.raises(DamagedDataError, match="_delta_log is missing"):
        changes.open_table(home, NAME)


def test_rows_overwritten_in_place_are_named_by_who_reads_them(
    home: Settings, run: Callable[..., Ended]
) -> None:
    file = sorted(Path(tables.table_path(home, NAME)).glob("part-*.parquet"))[0]
    size = file.stat().st_size
    file.write_bytes(b"\xff" * size)
    assert run("as-of", NAME, "--version", str(NEWEST), "--limit", "5000").names(NAME, str(file))


@pytest.mark.parametrize("how", ["is cut off", "is empty", "holds something else"])
def test_a_commit_is_not_passed_over_by_who_reads_changes(home: Settings, how: str) -> None:
    file = Path(tables.table_path(home, NAME), "_delta_log", f"{1:020}.json")
    DAMAGES[how](file)
    with pytest.raises(DamagedDataError, match=f"{file} is"):
        changes.read_changes(home, NAME, 0, NEWEST).read_all()
    assert changes.read_changes(home, NAME, 1, NEWEST).read_all().num_rows == 3000


def test_a_wrong_condition_is_no_damage(home: Settings, run: Callable[..., Ended]) -> None:
    assert run("as-of", NAME, "--version", "1", "--where", "nothing = 1").code == 2


def test_an_error_of_spark_becomes_the_damage_it_came_of(home: Settings) -> None:
    def fail(error: Exception, cause: Exception | None = None) -> None:
        with inspection.named(home):
            raise error from cause

    with pytest.raises(PySparkException, match="of Spark"):
        fail(PySparkException("of Spark"))
    file = sorted(Path(tables.table_path(home, NAME)).glob("part-*.parquet"))[0]
    file.unlink()
    for error in ((PySparkException("it"),), (ServiceError("a query"), PySparkException("it"))):
        with pytest.raises(DamagedDataError, match=f"{NAME}: {file} is missing"):
            fail(*error)
    with pytest.raises(ServiceError, match="PostgreSQL"):
        fail(ServiceError("PostgreSQL is away."), RuntimeError("of psycopg"))


# --- Checkpoints of queries ---------------------------------------------------------------------------------

QUERY = "silver.bronze.movie"
OF_A_QUERY = {
    "who it is": "metadata",
    "its plan": "offsets/3",
    "where it goes on": "offsets/2",
    "its last commit": "commits/2",
    "where it began": "sources/0/0",
}


@pytest.mark.parametrize("how", ["is cut off", "is empty", "holds something else"])
@pytest.mark.parametrize("what", OF_A_QUERY)
def test_a_damaged_file_of_a_query_is_named_before_the_query_starts(
    home: Settings, run: Callable[..., Ended], what: str, how: str
) -> None:
    note(home, QUERY, planned=3, committed=2)
    folder = Path(tables.checkpoint_path(home, QUERY))
    (folder / "sources" / "0").mkdir(parents=True)
    (folder / "sources" / "0" / "0").write_bytes(b'\0v1\n{"user_logs":{"0":0}}')
    checkpoints.require_whole(home, QUERY)
    file = folder / OF_A_QUERY[what]
    DAMAGES[how](file)

    assert run("silver").names(str(file))
    facts = json.loads(run("status", "--json").out)
    assert set(facts["damaged"]) == {f"checkpoint of {QUERY}"}
    assert str(file) in facts["damaged"][f"checkpoint of {QUERY}"][0]


@pytest.mark.parametrize("file", ["metadata", "offsets/2"])
def test_a_file_that_is_gone_of_a_query_that_wrote_is_named(home: Settings, file: str) -> None:
    note(home, QUERY, planned=2, committed=2)
    path = Path(tables.checkpoint_path(home, QUERY), file)
    path.unlink()
    with pytest.raises(DamagedDataError, match=f"{path} is missing"):
        checkpoints.require_whole(home, QUERY)


def test_files_beyond_three_are_counted() -> None:
    error = damage._damaged("lake/silver/genres", ["a", "b", "c", "d", "e"])
    assert error.message == "silver.genres is damaged: a; b; c; and 2 more."
