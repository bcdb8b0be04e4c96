"""What a home holds is its owner's alone, also when an older version or a hand left it open."""

import os
import stat
import sys
from pathlib import Path

import pytest

from cinelake import cli
from cinelake.owner_only import PASSAGE, close


def modes(*paths: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


def test_all_that_others_may_do_is_taken_from_them(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    table = home / "lake" / "table"
    table.mkdir(parents=True)
    for path in (table / "rows", table / "tool", outside):
        path.touch()
    (home / "link").symlink_to(outside)
    (home / "broken").symlink_to(tmp_path / "nothing")
    for path in (home, home / "lake", table, table / "tool"):
        path.chmod(0o777)
    for path in (table / "rows", outside):
        path.chmod(0o666)
    for _ in range(2):
        close(home, passages=(home, home / "lake", home / "not there yet"))
        assert modes(home, home / "lake", table) == [PASSAGE, PASSAGE, 0o700]
        assert modes(table / "rows", table / "tool", outside) == [0o600, 0o700, 0o666]


def test_a_folder_that_is_not_there_is_none_of_its_business(tmp_path: Path) -> None:
    close(tmp_path / "home")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a file of somebody else")
def test_what_belongs_to_another_account_stays_as_it_is(reachable_folder: Path) -> None:
    home = reachable_folder / "shared"
    home.mkdir()
    ours, theirs = home / "ours", home / "theirs"
    for path in (ours, theirs):
        path.touch()
        path.chmod(0o644)
    for path in (home, ours):
        os.chown(path, 1, -1)
    os.seteuid(1)
    try:
        close(home)
    finally:
        os.seteuid(0)
    assert modes(ours, theirs) == [0o600, 0o644]


def test_a_command_writes_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cinelake", "--version"])
    before = os.umask(0o022)
    try:
        with pytest.raises(SystemExit):
            cli.main()
    finally:
        ours = os.umask(before)
    assert ours == 0o077
