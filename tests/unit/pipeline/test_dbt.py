"""dbt runs inside the process without leaving a trace there, and tells what failed instead of raising it."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import structlog
from dbt.contracts.results import NodeStatus

from cinelake.errors import ServiceError
from cinelake.settings import Settings, load_settings
from pipeline import gold_sources, staging
from pipeline.dbt import DBT_PROJECT, FAILED, INCREMENT, generate_docs, run_dbt
from pipeline.gold import Standing, build_next


@dataclass
class FakeRunner:
    """Stands in for dbt: keeps what it was told, and gives the outcome the test has set."""

    outcome: ClassVar[Any]
    told: ClassVar[list[list[str]]]
    environment: ClassVar[dict[str, str]]
    folder: ClassVar[Path]
    callbacks: list[Any] = field(default_factory=list)

    def invoke(self, args: list[str]) -> Any:
        FakeRunner.told.append(args)
        FakeRunner.environment = dict(os.environ)
        FakeRunner.folder = Path.cwd()
        for name, level in (
            ("NodeStart", "debug"),
            ("NodeFinished", "info"),
            ("NodeFinished", "error"),
        ):
            info = SimpleNamespace(
                name=name, level=level, msg=f"\x1b[32m{level} for a@mail.example"
            )
            for callback in self.callbacks:
                callback(SimpleNamespace(info=info))
        return FakeRunner.outcome


def outcome(*results: Any, success: bool = True, exception: BaseException | None = None) -> Any:
    return SimpleNamespace(
        success=success, exception=exception, result=SimpleNamespace(results=list(results))
    )


def node(name: str, status: str, message: str | None = None, failures: int | None = None) -> Any:
    return SimpleNamespace(
        node=SimpleNamespace(unique_id=f"test.cinelake.{name}", name=name, resource_type="test"),
        status=status,
        execution_time=0.5,
        failures=failures,
        message=message,
    )


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("dbt.cli.main.dbtRunner", FakeRunner)
    monkeypatch.setenv("POSTGRES_PORT", "1")
    monkeypatch.delenv("POSTGRES_HOST", raising=False)
    FakeRunner.told, FakeRunner.outcome = [], outcome()
    return load_settings(
        CINELAKE_HOME=str(tmp_path), POSTGRES_URI="postgresql://owner:secret@db.example:5433/lake"
    )


def option(name: str) -> str:
    return FakeRunner.told[-1][FakeRunner.told[-1].index(name) + 1]


def test_failed_tests_are_returned_and_not_raised(settings: Settings) -> None:
    FakeRunner.outcome = outcome(
        node("good", "pass", failures=0),
        node("bad", "fail", "Got 3 results", failures=3),
        node("after_it", "skipped"),
        success=False,
    )
    result = run_dbt(settings, ["build"])
    assert not result.success
    assert [found.name for found in result.nodes] == ["good", "bad", "after_it"]
    assert [(found.name, found.failures, found.message) for found in result.failed] == [
        ("bad", 3, "Got 3 results")
    ]


def test_the_words_for_failure_are_those_of_dbt() -> None:
    harmless = {"success", "pass", "warn", "skipped", "no-op", "reused"}
    assert {str(status) for status in NodeStatus} - harmless == FAILED


def test_dbt_that_cannot_run_at_all_is_a_service_error(settings: Settings) -> None:
    FakeRunner.outcome = outcome(exception=ConnectionError("refused"), success=False)
    with pytest.raises(ServiceError, match="refused") as caught:
        run_dbt(settings, ["build"])
    assert "secret" not in str(caught.value)


def test_dbt_finds_postgres_and_leaves_environment_and_folder_as_they_were(
    settings: Settings,
) -> None:
    environment, folder = dict(os.environ), Path.cwd()
    run_dbt(settings, ["build"])
    assert FakeRunner.environment["POSTGRES_HOST"] == "db.example"
    assert FakeRunner.environment["POSTGRES_PORT"] == "5433"
    assert FakeRunner.folder == DBT_PROJECT
    assert (dict(os.environ), Path.cwd()) == (environment, folder)


def test_dbt_keeps_its_files_below_the_home(settings: Settings) -> None:
    run_dbt(settings, ["build"], target="next")
    assert option("--target-path") == str(settings.home / "dbt/next/target")
    assert option("--log-path") == str(settings.home / "dbt/next/logs")
    assert option("--profiles-dir") == str(DBT_PROJECT / "env_profile")


def test_what_dbt_says_is_in_its_file_with_the_run_and_without_details(settings: Settings) -> None:
    with structlog.contextvars.bound_contextvars(run_id="this-run"):
        run_dbt(settings.model_copy(update={"log_format": "json"}), ["build"], target="next")
    lines = (settings.home / "dbt" / "next" / "logs" / "dbt.log").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [(line["level"], line["event"]) for line in found] == [
        ("info", "info for ***"),
        ("error", "error for ***"),
    ]
    assert {(line["run_id"], line["stage"]) for line in found} == {("this-run", "dbt")}


SEEN = gold_sources.Sources("a project", {"events": 2})


@pytest.mark.parametrize("is_current", [False, True])
def test_gold_next_is_built_and_never_gold(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_current: bool
) -> None:
    noted: list[Settings] = []
    sources: list[gold_sources.Sources] = []
    monkeypatch.setattr(gold_sources, "selection", lambda settings, seen: INCREMENT)
    monkeypatch.setattr(gold_sources, "note", lambda settings, seen: sources.append(seen))
    monkeypatch.setattr(staging, "note", noted.append)
    found = Standing(SEEN, is_staging_current=is_current, is_published=False)
    build_next(settings, found=found)
    assert FakeRunner.told[-1][0] == "build"
    assert option("--target") == "next"
    # As Airflow calls dbt: otherwise each of the two would parse the whole project after the other.
    assert option("--profile") == "cinelake"
    assert "--full-refresh" not in FakeRunner.told[-1]
    assert ("--selector" in FakeRunner.told[-1]) is is_current
    assert noted == ([] if is_current else [settings])
    build_next(settings, full_refresh=True, found=found)
    assert "--full-refresh" in FakeRunner.told[-1]
    assert "--selector" not in FakeRunner.told[-1]
    assert noted[-1:] == [settings]
    assert sources == [SEEN, SEEN]


@pytest.mark.parametrize("selected", [["--select", "source:silver.events+"], None])
def test_a_build_takes_what_changed_tables_feed_and_nothing_where_none_has(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, selected: list[str] | None
) -> None:
    told = len(FakeRunner.told)
    monkeypatch.setattr(gold_sources, "selection", lambda settings, seen: selected)
    monkeypatch.setattr(gold_sources, "note", lambda settings, seen: None)
    build_next(settings, found=Standing(SEEN, is_staging_current=True, is_published=False))
    assert len(FakeRunner.told) - told == bool(selected)
    if selected:
        assert option("--select") == selected[1]
        assert "--selector" not in FakeRunner.told[-1]


def test_progress_counts_nodes_that_ended(settings: Settings) -> None:
    done: list[int] = []
    run_dbt(settings, ["build"], progress=done.append)
    assert done == [1, 1]


def test_docs_without_a_page_are_an_error(settings: Settings) -> None:
    with pytest.raises(ServiceError, match="no docs"):
        generate_docs(settings)
    page = settings.home / "dbt/dev/target/static_index.html"
    page.parent.mkdir(parents=True)
    page.touch()
    assert generate_docs(settings) == page
    assert option("--target") == "dev"
