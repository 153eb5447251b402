"""What was appended comes back, whatever the machine did in between; what cannot be trusted is refused by name."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.disk import Disk
from engine.errors import Full, Refused
from engine.journal import Journal, Position
from engine.segments import HEADER_BYTES, MAGIC

MIB = 1024 * 1024
LINES = [f'{{"n":{n}}}\n'.encode() * (n + 1) for n in range(20)]


class Unsynced(Disk):
    """For what has nothing to do with syncs: they take their time."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


def opened(folder: Path, **settings: int) -> Journal:
    limits = {"bytes_max": 64 * MIB, "segment_bytes": 64 * 1024, **settings}
    return Journal(folder, bytes_max=limits["bytes_max"], segment_bytes=limits["segment_bytes"], disk=Unsynced())


def recovered(folder: Path, **settings: int) -> list[bytes]:
    journal = opened(folder, **settings)
    try:
        return list(journal.recover())
    finally:
        journal.close()


def write(folder: Path, payloads: list[bytes], **settings: int) -> None:
    journal = opened(folder, **settings)
    list(journal.recover())
    for payload in payloads:
        journal.append(payload)
    journal.close()


def test_what_was_appended_comes_back_in_order(tmp_path: Path) -> None:
    write(tmp_path, LINES[:10])
    write(tmp_path, LINES[10:])
    assert recovered(tmp_path) == LINES


def test_a_new_segment_begins_when_the_last_one_is_large_enough(tmp_path: Path) -> None:
    write(tmp_path, LINES, segment_bytes=200)
    assert len(list(tmp_path.glob("*.journal"))) > 3
    assert recovered(tmp_path) == LINES


def test_its_size_is_the_size_of_its_files(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=200)
    list(journal.recover())
    for payload in LINES:
        journal.append(payload)
    journal.close()
    assert journal.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
    again = opened(tmp_path)
    list(again.recover())
    assert again.bytes == journal.bytes + HEADER_BYTES
    again.close()


def test_what_was_only_reserved_counts_no_longer_once_it_is_given_back(tmp_path: Path) -> None:
    """As a crash leaves it: the last segment is as long as it was reserved."""
    write(tmp_path, LINES)
    (path,) = tmp_path.glob("*.journal")
    used = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(MIB)
    again = opened(tmp_path)
    assert list(again.recover()) == LINES
    assert path.stat().st_size == used
    assert again.bytes == used + HEADER_BYTES, "the new segment's"
    again.close()


@pytest.mark.parametrize("segment_bytes", [30, MIB])
def test_every_torn_end_gives_what_was_whole_and_stays_where_it_is(tmp_path: Path, segment_bytes: int) -> None:
    write(tmp_path, LINES[:3], segment_bytes=segment_bytes)
    last = max(tmp_path.glob("*.journal"))
    content = last.read_bytes()
    before = recovered(tmp_path)
    (tmp_path / f"{int(last.stem) + 1:08d}.journal").unlink()  # that start began it
    for cut in range(len(content)):
        last.write_bytes(content[:cut])
        journal = opened(tmp_path)
        found = list(journal.recover())
        assert found == before[: len(found)]
        assert not journal.lost_bytes
        journal.append(b"after\n")
        journal.close()
        assert recovered(tmp_path) == [*found, b"after\n"]
        remove_later(last)
        if cut > HEADER_BYTES:
            assert last.read_bytes() == content[:cut].rstrip(b"\0").ljust(len(last.read_bytes()), b"\0")
    last.write_bytes(content)
    assert recovered(tmp_path) == before


def remove_later(last: Path) -> None:
    """Segments that later starts have begun."""
    for path in last.parent.glob("*.journal"):
        if path > last:
            path.unlink()


@pytest.mark.parametrize("tail", [b"\xff" * 5_000, random.Random(1).randbytes(5_000), b"sortjrnl"])
def test_rubbish_behind_the_last_frame_is_reported_and_left_there(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, LINES)
    path = tmp_path / "00000001.journal"
    content = path.read_bytes() + tail
    path.write_bytes(content)
    for start in range(3):
        journal = opened(tmp_path)
        assert list(journal.recover()) == LINES
        assert [str(len(tail)) in line and "00000001.journal" in line for line in journal.reports] == [True] * (
            start == 0
        )
        assert not journal.lost_bytes
        journal.close()
    assert path.read_bytes() == content


def test_reserved_room_is_no_damage_and_is_given_back(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment_bytes=MIB)
    list(journal.recover())
    journal.append(b"one\n")
    path = tmp_path / "00000001.journal"
    assert path.stat().st_size == MIB
    assert path.stat().st_blocks * 512 >= MIB
    assert journal.bytes == HEADER_BYTES + 16
    killed = path.read_bytes()
    journal.close()
    assert path.stat().st_size == HEADER_BYTES + 16
    path.write_bytes(killed)
    again = opened(tmp_path, segment_bytes=MIB)
    assert list(again.recover()) == [b"one\n"]
    assert again.reports == []
    again.close()
    assert path.stat().st_size == HEADER_BYTES + 16


def test_what_is_lost_is_counted_and_reading_goes_on(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    path = tmp_path / "00000001.journal"
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES : HEADER_BYTES + 8] = b"rubbish!"
    path.write_bytes(content)
    journal = opened(tmp_path)
    assert list(journal.recover()) == LINES[1:]
    assert journal.lost_bytes == 16
    assert journal.reports == [f"{path}: damaged from offset 40 to 56: 16 bytes are lost"]
    journal.close()
    assert path.read_bytes() == content, "it stays as it is: the evidence"


def test_a_frame_at_another_place_is_none(tmp_path: Path) -> None:
    write(tmp_path, [b"one\n", b"two\n"])
    path = tmp_path / "00000001.journal"
    content = path.read_bytes()
    first, second = content[HEADER_BYTES : HEADER_BYTES + 16], content[HEADER_BYTES + 16 :]
    path.write_bytes(content[:HEADER_BYTES] + second + first)
    assert recovered(tmp_path) == []


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, LINES, segment_bytes=200)
    (tmp_path / "00000002.journal").unlink()
    with pytest.raises(Refused, match=r"00000002\.journal is missing"):
        recovered(tmp_path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    path = tmp_path / "00000001.journal"
    path.write_bytes(MAGIC + b"\3\0\0\0" + bytes(100))
    with pytest.raises(Refused, match="version 3"):
        recovered(tmp_path)


def test_full_is_raised_before_anything_is_written(tmp_path: Path) -> None:
    journal = opened(tmp_path, bytes_max=1_000)
    list(journal.recover())
    journal.append(b"x" * 900 + b"\n")
    for _ in range(2):
        with pytest.raises(Full, match="1000 bytes"):
            journal.append(b"y" * 100 + b"\n")
    journal.append(b"z\n")
    journal.close()
    assert recovered(tmp_path) == [b"x" * 900 + b"\n", b"z\n"]


class Failing(Disk):
    """Fails in one kind of call, while it is told to."""

    def __init__(self, error: int) -> None:
        self.error = error
        self.what = ""
        self.calls = 0

    def _fail(self, what: str) -> None:
        if what == self.what:
            self.calls += 1
            raise OSError(self.error, os.strerror(self.error))

    def write(self, file: int, offset: int, parts: Sequence[bytes]) -> None:
        whole = b"".join(parts)
        if self.what == "write":
            super().write(file, offset, [whole[: len(whole) // 2]])
        self._fail("write")
        super().write(file, offset, parts)

    def reserve(self, file: int, size: int) -> None:
        self._fail("reserve")
        super().reserve(file, size)

    def sync(self, file: int) -> None:
        self._fail("sync")
        super().sync(file)

    def truncate(self, file: int, size: int) -> None:
        self._fail("truncate")
        super().truncate(file, size)


def test_no_space_on_the_device_leaves_no_trace(tmp_path: Path) -> None:
    disk = Failing(errno.ENOSPC)
    journal = Journal(tmp_path, bytes_max=64 * MIB, disk=disk)
    list(journal.recover())
    journal.append(b"one\n")
    disk.what = "write"
    with pytest.raises(Full):
        journal.append(b"two\n")
    disk.what = ""
    journal.append(b"three\n")
    journal.close()
    assert recovered(tmp_path) == [b"one\n", b"three\n"]


def test_where_no_room_can_be_reserved_each_append_finds_its_own(tmp_path: Path) -> None:
    disk = Failing(errno.ENOSPC)
    disk.what = "reserve"
    journal = Journal(tmp_path, bytes_max=64 * MIB, disk=disk)
    list(journal.recover())
    journal.append(b"one\n")
    assert (tmp_path / "00000001.journal").stat().st_size == HEADER_BYTES + 16
    journal.close()
    assert recovered(tmp_path) == [b"one\n"]


@pytest.mark.parametrize("what", ["write", "reserve", "truncate"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_segment_that_is_begun_again_still_reaches_to_where_something_stands_for_it(
    tmp_path: Path, what: str, error: int
) -> None:
    """A snapshot stands for the end of a segment in which nothing is; the next start finds no room, or is killed."""
    write(tmp_path, [b"one\n"])
    journal = Journal(tmp_path, bytes_max=64 * MIB)
    list(journal.recover())
    end = journal.position
    assert end == Position(2, HEADER_BYTES)
    journal.close()
    disk = Failing(error)
    journal = Journal(tmp_path, bytes_max=64 * MIB, disk=disk)
    reading = journal.recover(end)
    disk.what = what
    with contextlib.suppress(OSError):
        list(reading)
    disk.what = ""
    journal.close()
    journal = Journal(tmp_path, bytes_max=64 * MIB)
    assert list(journal.recover(end)) == []
    journal.append(b"two\n")
    journal.close()
    assert recovered(tmp_path) == [b"one\n", b"two\n"]


def test_a_sync_that_failed_is_never_tried_again(tmp_path: Path) -> None:
    disk = Failing(errno.EIO)
    journal = Journal(tmp_path, bytes_max=64 * MIB, disk=disk)
    list(journal.recover())
    disk.what = "sync"
    with pytest.raises(OSError, match="Input/output"):
        journal.append(b"one\n")
    disk.what = ""
    with pytest.raises(RuntimeError):
        journal.append(b"two\n")
    assert disk.calls == 1
    journal.close()


def test_two_processes_cannot_have_one_folder(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(Refused, match=f"in use by process {os.getpid()}"):
        opened(tmp_path)
    next(tmp_path.rglob("lock")).unlink()  # by somebody who takes it for a leftover
    with pytest.raises(Refused, match=r"in use by process \?"):
        opened(tmp_path)
    journal.close()
    opened(tmp_path).close()


def test_nothing_is_appended_before_recovery_has_ended(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(RuntimeError):
        journal.append(b"one\n")
    journal.close()


def positions(folder: Path, **settings: int) -> list[Position]:
    """Its end before each append of LINES, and after the last."""
    journal = opened(folder, **settings)
    list(journal.recover())
    found = [journal.position]
    for payload in LINES:
        journal.append(payload)
        found.append(journal.position)
    journal.close()
    return found


@pytest.mark.parametrize("segment_bytes", [30, 200, MIB])
def test_only_what_came_after_a_position_is_read(tmp_path: Path, segment_bytes: int) -> None:
    for number, position in enumerate(positions(tmp_path, segment_bytes=segment_bytes)):
        journal = opened(tmp_path)
        assert list(journal.recover(position)) == LINES[number:]
        assert journal.passed == sum((len(line) + 15) // 8 * 8 for line in LINES[number:])
        journal.close()
    assert recovered(tmp_path) == LINES


@pytest.mark.parametrize("segment_bytes", [30, 200, MIB])
def test_what_lies_between_two_positions_is_read(tmp_path: Path, segment_bytes: int) -> None:
    places = positions(tmp_path, segment_bytes=segment_bytes)
    journal = opened(tmp_path)
    for first in range(0, len(places), 3):
        for last in range(first, len(places), 4):
            assert list(journal.read(places[first], places[last])) == LINES[first:last]
    journal.close()


def test_damage_before_the_position_is_not_looked_at(tmp_path: Path) -> None:
    places = positions(tmp_path)
    path = tmp_path / "00000001.journal"
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES] ^= 0xFF
    path.write_bytes(content)
    journal = opened(tmp_path)
    assert list(journal.recover(places[5])) == LINES[5:]
    journal.append(b"more\n")
    journal.close()
    again = opened(tmp_path)
    assert list(again.recover(places[5])) == [*LINES[5:], b"more\n"]
    again.close()


@pytest.mark.parametrize("segment_bytes", [200, MIB])
def test_every_torn_end_behind_a_position(tmp_path: Path, segment_bytes: int) -> None:
    place = positions(tmp_path, segment_bytes=segment_bytes)[-2]
    last = max(tmp_path.glob("*.journal"))
    content = last.read_bytes()
    for cut in range(place.offset if last.name.startswith(f"{place.segment:08d}") else 0, len(content) - 4):
        last.write_bytes(content[:cut])  # the last four only fill up
        journal = opened(tmp_path)
        assert list(journal.recover(place)) == []
        journal.append(b"after\n")
        journal.close()
        again = opened(tmp_path)
        assert list(again.recover(place)) == [b"after\n"]
        again.close()
        remove_later(last)


def test_a_position_that_it_does_not_reach_is_refused(tmp_path: Path) -> None:
    end = positions(tmp_path)[-1]
    before = sorted((path, path.read_bytes()) for path in tmp_path.glob("*.journal"))
    for position in (Position(1, end.offset + 1), Position(2, HEADER_BYTES), Position(7, 500)):
        journal = opened(tmp_path)
        with pytest.raises(Refused, match="do not belong together"):
            list(journal.recover(position))
        journal.close()
    assert sorted((path, path.read_bytes()) for path in tmp_path.glob("*.journal")) == before


def test_old_segments_go_oldest_first_and_only_as_far_as_told(tmp_path: Path) -> None:
    places = positions(tmp_path, segment_bytes=200)
    journal = opened(tmp_path, segment_bytes=200)
    list(journal.recover())
    whole = journal.bytes
    assert journal.drop_before(places[10], whole) == 0
    assert journal.drop_before(places[10], whole - 1) > 0
    assert journal.first() == 2
    journal.drop_before(places[10], 0)
    assert journal.first() == places[10].segment
    journal.drop_before(places[-1], 0)
    assert journal.first() == places[-1].segment, "the last one stays, it is written to"
    journal.append(b"more\n")
    journal.close()
    again = opened(tmp_path)
    assert list(again.recover(places[-1])) == [b"more\n"]
    again.close()


def test_a_hole_among_segments_that_were_to_go_is_no_matter(tmp_path: Path) -> None:
    place = positions(tmp_path, segment_bytes=200)[15]
    (tmp_path / "00000002.journal").unlink()
    journal = opened(tmp_path)
    assert list(journal.recover(place)) == LINES[15:]
    missing = tmp_path / "00000002.journal"
    assert journal.reports == [f"{missing}: is missing; snapshots stand for it, a replay misses it"]
    assert journal.lost_bytes == 0
    journal.drop_before(place, 0)
    assert journal.first() == place.segment
    journal.close()
    assert journal.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.journal"))


def test_what_is_packed_reads_the_same_and_is_smaller(tmp_path: Path) -> None:
    place = positions(tmp_path, segment_bytes=400)[15]
    journal = opened(tmp_path, segment_bytes=400)
    before = list(journal.recover())
    whole = journal.bytes
    while journal.pack_before(place):
        assert journal.pack_before(Position(1, 0)) == 0
    packed = sorted(tmp_path.glob("*.journal.zst"))
    assert len(packed) == place.segment - 1 > 1
    assert not [path for path in tmp_path.glob("*.journal") if int(path.stem) < place.segment]
    assert journal.bytes < whole
    journal.close()
    assert journal.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.journal*"))
    assert recovered(tmp_path) == before == LINES


@pytest.mark.parametrize("which", ["both", "half"])
def test_packing_that_was_cut_short_is_done_again(tmp_path: Path, which: str) -> None:
    place = positions(tmp_path, segment_bytes=400)[15]
    path = tmp_path / "00000001.journal"
    content = path.read_bytes()
    journal = opened(tmp_path)
    list(journal.recover(place))
    assert journal.pack_before(place) == 1
    journal.close()
    path.write_bytes(content)
    if which == "half":
        packed = tmp_path / "00000001.journal.zst"
        packed.rename(tmp_path / "00000001.journal.zst.new")
    again = opened(tmp_path)
    assert not list(tmp_path.glob("*.new"))
    assert list(again.recover()) == LINES
    assert again.pack_before(place) == 1
    assert not path.exists()
    again.close()
    assert recovered(tmp_path) == LINES


def test_what_is_too_old_goes_although_there_is_room(tmp_path: Path) -> None:
    now = 10**15
    journal = Journal(tmp_path, bytes_max=64 * MIB, segment_bytes=200, clock=lambda: now)
    list(journal.recover())
    for payload in LINES:
        journal.append(payload)
        now += 10
    last = journal.position
    assert journal.drop_before(last, 64 * MIB, 10**15) == 0
    assert journal.drop_before(last, 64 * MIB, now - 100) > 0
    assert 1 < journal.first() < last.segment
    journal.close()
