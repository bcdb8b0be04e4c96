"""A log that is too long makes room while its writer goes on with the file it has."""

from pathlib import Path

from cinelake.log import KEPT_LOGS
from cinelake.stack.logs import make_room, make_room_in


def test_the_writer_goes_on_at_the_beginning_of_the_emptied_file(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    with log.open("a") as writer:
        for number in range(KEPT_LOGS + 2):
            writer.write(f"{number}" * 11)
            writer.flush()
            assert make_room(log, limit=10)
        writer.write("last")
    assert log.read_text() == "last"
    former = {path.name: path.read_text()[0] for path in tmp_path.glob("*.log.*")}
    newest = KEPT_LOGS + 1
    assert former == {f"kafka.log.{n}": str(newest + 1 - n) for n in range(1, KEPT_LOGS + 1)}


def test_a_log_keeps_its_permissions_when_it_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("x" * 11)
    log.chmod(0o600)
    assert make_room(log, limit=10)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_short_logs_and_those_put_aside_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "api.log").write_text("short")
    (tmp_path / "api.log.1").write_text("x" * 100)
    assert make_room_in(tmp_path) == []
    assert not make_room(tmp_path / "none.log")
    assert len(list(tmp_path.iterdir())) == 2
