"""Any Chromium or Chrome of the machine serves the browser tests."""

from pathlib import Path

import pytest

from tests.browser.conftest import browser_path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROME_BIN", raising=False)
    return tmp_path


def program(path: Path) -> str:
    path.touch(mode=0o755)
    return str(path)


@pytest.mark.parametrize(
    "name", ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
)
def test_each_name_on_the_path_serves(folder: Path, name: str) -> None:
    assert browser_path() is None
    path = program(folder / name)
    assert browser_path() == path


def test_the_one_in_chrome_bin_goes_before(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(folder / "chromium")
    own = program(tmp_path_factory.mktemp("own") / "my-chrome")
    monkeypatch.setenv("CHROME_BIN", own)
    assert browser_path() == own
    monkeypatch.setenv("CHROME_BIN", "/nowhere/chrome")
    assert browser_path() is None
