"""Contracts of a git revision, and which revision is meant when none is named."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cinelake.errors import BadInputError
from lakehouse.contract import CONTRACTS
from lakehouse.contract_revision import (
    NothingToCompareError,
    at_revision,
    default_revision,
    working_tree,
)

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class Repository:
    """A repository with a folder of contracts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "deep" / "contracts"
        (self.folder / "silver").mkdir(parents=True)
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> None:
        who = [
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.org",
            "-c",
            "commit.gpgsign=false",
        ]
        subprocess.run(["git", "-C", str(self.root), *who, *arguments], check=True)

    def commit(self, *names: str) -> None:
        """Commit these contracts of silver besides those that are there."""
        for name in names:
            shutil.copy(CONTRACTS / "silver" / f"{name}.yaml", self.folder / "silver")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A commit")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_contracts_are_read_as_they_were(repository: Repository) -> None:
    repository.commit("ratings")
    repository.commit("genres")
    file = repository.folder / "silver/ratings.yaml"
    version = working_tree()["silver.ratings"].version
    file.write_text(file.read_text("utf-8").replace(version, "99.0.0"), "utf-8")
    assert sorted(at_revision("HEAD", repository.folder)) == ["silver.genres", "silver.ratings"]
    before = at_revision("HEAD^", repository.folder)
    assert list(before) == ["silver.ratings"]
    assert before["silver.ratings"] == working_tree()["silver.ratings"]


def test_a_revision_without_contracts_has_none(repository: Repository) -> None:
    repository.commit()
    assert at_revision("HEAD", repository.folder) == {}


@pytest.mark.parametrize("name", ["nowhere", "HEAD^", "--help", "", "a b"])
def test_a_revision_that_is_not_there_is_named(repository: Repository, name: str) -> None:
    repository.commit("ratings")
    with pytest.raises(BadInputError, match="There is no revision") as caught:
        at_revision(name, repository.folder)
    assert name in caught.value.message


def test_a_contract_of_then_that_cannot_be_read_is_named(repository: Repository) -> None:
    (repository.folder / "silver/odd.yaml").write_text("kind: Recipe", "utf-8")
    repository.commit()
    with pytest.raises(BadInputError, match=r"silver/odd\.yaml at HEAD is not a valid"):
        at_revision("HEAD", repository.folder)


def test_without_a_name_the_newest_release_counts_and_else_the_commit_before(
    repository: Repository,
) -> None:
    repository.commit("ratings")
    with pytest.raises(NothingToCompareError, match=r"HEAD\^"):
        default_revision(repository.folder)
    repository.commit("genres")
    assert default_revision(repository.folder) == "HEAD^"
    for tag in ("v1.9.0", "v1.10.0", "v2.0.0-rc1", "very-new", "1.11.0"):
        repository.git("tag", tag)
    assert default_revision(repository.folder) == "v1.10.0"
    repository.git("checkout", "--quiet", "--orphan", "elsewhere")
    repository.commit()
    repository.git("tag", "v9.0.0")
    repository.git("checkout", "--quiet", "v1.10.0")
    assert default_revision(repository.folder) == "v1.10.0"


def test_outside_of_a_repository_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(NothingToCompareError, match="not a git repository"):
        default_revision(tmp_path)
    with pytest.raises(BadInputError, match="not a git repository"):
        at_revision("HEAD", tmp_path)


def test_without_git_there_is_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NothingToCompareError, match="git is not installed"):
        default_revision(tmp_path)
