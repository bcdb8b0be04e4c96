import stat
from pathlib import Path

import pytest

from cinelake.errors import BadInputError
from cinelake.whole_file import whole_file


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with whole_file(path) as file:
        file.write(b"one")
        file.flush()
        assert not path.exists()
        file.write(b" two")
    assert path.read_bytes() == b"one two"
    assert names(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_a_failure_the_old_file_stands_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), whole_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.bin"]


def test_the_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "ordinary").write_bytes(b"")
    with whole_file(tmp_path / "whole") as file:
        file.write(b"")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "whole")}
    assert len(modes) == 1


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="nowhere"), whole_file(tmp_path / "nowhere" / "f"):
        pass


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(BadInputError, match="taken"), whole_file(tmp_path / "taken") as file:
        file.write(b"x")
    assert names(tmp_path) == ["taken"]
