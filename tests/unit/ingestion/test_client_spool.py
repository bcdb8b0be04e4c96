import os
import signal
import stat
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.spool import Spool, SpoolError, SpoolFullError, read_lines

TEXT = st.text(st.characters(codec="utf-8"))
LINES = st.lists(st.dictionaries(TEXT, TEXT | st.none(), max_size=3).map(orjson.dumps), max_size=8)

WRITER = """
import sys
from pathlib import Path
from ingestion.spool import Spool
spool = Spool(Path(sys.argv[1]))
for number in range(3):
    spool.append([b'{"number":%d}' % number])
print("stored", flush=True)
sys.stdin.read()
"""

READER = """
import sys
from pathlib import Path
from ingestion.spool import Spool
spool = Spool(Path(sys.argv[1]))
sys.stdin.readline()
while segment := spool.claim():
    print(*(line.decode() for line in segment.lines), sep="\\n", flush=True)
    segment.remove()
"""


def started(program: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def lines_of(spool: Spool) -> list[bytes]:
    """Everything that can be claimed, which is then gone."""
    lines: list[bytes] = []
    while segment := spool.claim():
        lines += segment.lines
        segment.remove()
    return lines


@given(LINES, st.data())
def test_of_a_file_cut_anywhere_every_whole_line_is_read(
    lines: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    cut = data.draw(st.integers(0, len(whole)))
    ends = list(accumulate(len(line) + 1 for line in lines))
    # A last line that lacks nothing but its line break is whole.
    expected = [line for line, end in zip(lines, ends, strict=True) if end - 1 <= cut]
    read, unreadable = read_lines(whole[:cut])
    assert read == expected
    assert len(unreadable) <= 1


@given(LINES, st.binary(), LINES)
def test_garbage_in_the_middle_costs_only_itself(
    before: list[bytes], garbage: bytes, after: list[bytes]
) -> None:
    read, unreadable = read_lines(b"\n".join([*before, garbage, *after]))
    within = read_lines(garbage)
    assert read == [*before, *within[0], *after]
    assert unreadable == within[1]


def test_what_was_appended_is_claimed_in_order_and_gone_once_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", segment_bytes=40)
    lines = [b'{"number":%d}' % number for number in range(20)]
    for line in lines:
        spool.append([line])
    assert len(list((tmp_path / "spool").iterdir())) > 3
    assert lines_of(spool) == lines
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_segment_that_is_released_is_claimed_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"{}"])
    segment = spool.claim()
    assert segment
    assert spool.claim() is None
    assert Spool(tmp_path).claim() is None
    segment.release()
    assert lines_of(Spool(tmp_path)) == [b"{}"]


def test_the_segment_of_a_live_process_is_its_own_until_it_is_killed(tmp_path: Path) -> None:
    writer = started(WRITER, tmp_path)
    assert writer.stdout and writer.stdin
    assert writer.stdout.readline() == "stored\n"
    spool = Spool(tmp_path)
    assert spool.claim() is None
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    writer.stdin.close()
    writer.stdout.close()
    assert lines_of(spool) == [b'{"number":0}', b'{"number":1}', b'{"number":2}']


def test_processes_that_claim_at_once_get_each_segment_once(tmp_path: Path) -> None:
    for number in range(60):
        spool = Spool(tmp_path)
        spool.append([b'{"number":%d}' % number])
        spool.close()
    readers = [started(READER, tmp_path) for _ in range(3)]
    for reader in readers:
        assert reader.stdin
        reader.stdin.write("go\n")
        reader.stdin.flush()
    got = [line for reader in readers for line in reader.communicate(timeout=60)[0].splitlines()]
    assert sorted(got) == sorted(f'{{"number":{number}}}' for number in range(60))


def another_takes_the_segment_once_it_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let another process claim and send everything in the moment between opening and locking a segment."""
    real = os.open

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        monkeypatch.undo()
        lines_of(Spool(folder))
        return descriptor

    monkeypatch.setattr("ingestion.spool.os.open", opened)


def test_a_new_segment_that_another_took_for_a_dead_ones_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    another_takes_the_segment_once_it_is_opened(tmp_path, monkeypatch)
    spool.append([b"{}"])
    assert lines_of(spool) == [b"{}"]


def test_a_segment_that_another_has_sent_meanwhile_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = Spool(tmp_path)
    dead.append([b"{}"])
    dead.close()
    another_takes_the_segment_once_it_is_opened(tmp_path, monkeypatch)
    assert Spool(tmp_path).claim() is None
    assert list(tmp_path.iterdir()) == []


def test_the_torn_end_of_a_write_is_kept_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b'{"number":0}'])
    spool.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b'{"numb')
    assert lines_of(spool) == [b'{"number":0}']
    (aside,) = tmp_path.iterdir()
    assert (aside.suffix, aside.read_bytes()) == (".unreadable", b'{"numb')


def test_a_full_spool_says_so_stores_nothing_of_it_and_takes_more_when_there_is_room(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path, max_bytes=30)
    spool.append([b'{"number":0}', b'{"number":1}'])
    with pytest.raises(SpoolFullError, match="over its limit of 30"):
        spool.append([b'{"number":2}'])
    # The bound is the folder's, not the process's.
    with pytest.raises(SpoolFullError):
        Spool(tmp_path, max_bytes=30).append([b'{"number":2}'])
    assert len(lines_of(spool)) == 2
    spool.append([b'{"number":2}'])
    assert lines_of(spool) == [b'{"number":2}']


def test_nothing_is_stored_behind_a_write_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append([b'{"number":0}'])

    def torn(descriptor: int, data: memoryview) -> int:
        os.pwrite(descriptor, data[:5], 0)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingestion.spool.os.write", torn)
        with pytest.raises(SpoolError, match="No space left"):
            spool.append([b'{"number":1}'])
    spool.append([b'{"number":1}'])
    assert lines_of(spool) == [b'{"number":0}', b'{"number":1}']


def test_an_append_returns_when_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        mode = os.fstat(descriptor).st_mode
        synced.append("folder" if stat.S_ISDIR(mode) else "file")

    monkeypatch.setattr("ingestion.spool.os.fsync", fsync)
    spool = Spool(tmp_path)
    spool.append([b"{}"])
    assert synced == ["folder", "file"]
    spool.append([b"{}"])
    assert synced == ["folder", "file", "file"]


def test_only_the_own_account_reads_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([b"{}"])
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    (path,) = (tmp_path / "spool").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match="file/spool"):
        Spool(tmp_path / "file" / "spool")
