"""What was appended comes back, whatever the machine did in between; what cannot be trusted is refused by name."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from engine import journal as journal_module
from engine.errors import Full, Refused
from engine.journal import HEADER, Journal, Position

MIB = 1024 * 1024
LINES = [f'{{"n":{n}}}\n'.encode() * (n + 1) for n in range(20)]


def opened(folder: Path, **settings: int) -> Journal:
    return Journal(folder, **{"bytes_max": 64 * MIB, **settings})


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
        assert journal.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
    journal.close()
    again = opened(tmp_path)
    list(again.recover())
    assert again.bytes == journal.bytes
    again.close()


@pytest.mark.parametrize("segment_bytes", [30, MIB])
def test_every_torn_end_gives_what_was_whole_and_keeps_the_rest(tmp_path: Path, segment_bytes: int) -> None:
    write(tmp_path, LINES[:3], segment_bytes=segment_bytes)
    last = max(tmp_path.glob("*.journal"))
    content = last.read_bytes()
    before = recovered(tmp_path)
    for cut in range(len(content)):
        last.write_bytes(content[:cut])
        journal = opened(tmp_path)
        found = list(journal.recover())
        assert found == before[: len(found)]
        journal.append(b"after\n")
        journal.close()
        assert recovered(tmp_path) == [*found, b"after\n"]
        for torn in tmp_path.glob("*.torn"):
            assert torn.read_bytes() == content[int(torn.name.split(".")[2]) : cut]
            torn.unlink()
    last.write_bytes(content)
    assert recovered(tmp_path) == before


@pytest.mark.parametrize("tail", [b"\0" * 5_000, b"\xff" * 5_000, random.Random(1).randbytes(5_000), HEADER])
def test_rubbish_behind_the_last_frame_is_cut_off_and_reported(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, LINES)
    with (tmp_path / "00000001.journal").open("ab") as file:
        file.write(tail)
    journal = opened(tmp_path)
    assert list(journal.recover()) == LINES
    assert [str(len(tail)) in line and "00000001.journal" in line for line in journal.torn] == [True]
    journal.close()
    assert [path.read_bytes() for path in tmp_path.glob("*.torn")] == [tail]


def test_a_flipped_bit_is_never_read_as_a_record(tmp_path: Path) -> None:
    write(tmp_path, LINES, segment_bytes=400)
    segments = sorted(tmp_path.glob("*.journal"))
    chance = random.Random(7)
    for _ in range(150):
        path = chance.choice(segments)
        content = path.read_bytes()
        at = chance.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :])
        try:
            # only the last frame may be taken for an append that was never finished
            assert recovered(tmp_path) == LINES[:-1]
        except Refused as error:
            assert str(path) in str(error)
        for torn in tmp_path.glob("*.torn"):
            torn.unlink()
        path.write_bytes(content)
    assert recovered(tmp_path) == LINES


def test_a_frame_at_another_place_is_none(tmp_path: Path) -> None:
    write(tmp_path, [b"one\n", b"two\n"])
    path = tmp_path / "00000001.journal"
    content = path.read_bytes()
    first, second = content[len(HEADER) : len(HEADER) + 12], content[len(HEADER) + 12 :]
    path.write_bytes(HEADER + second + first)
    assert recovered(tmp_path) == []


def test_damage_in_front_of_whole_frames_is_refused_with_place_and_remedy(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    path = tmp_path / "00000001.journal"
    content = bytearray(path.read_bytes())
    content[len(HEADER)] ^= 0xFF  # the length of the first frame
    path.write_bytes(content)
    with pytest.raises(Refused, match=rf"00000001\.journal: damaged at offset {len(HEADER)}: .*truncate -s"):
        recovered(tmp_path)
    assert path.read_bytes() == content


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, LINES, segment_bytes=200)
    (tmp_path / "00000002.journal").unlink()
    with pytest.raises(Refused, match=r"00000002\.journal is missing"):
        recovered(tmp_path)


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path, LINES)
    path = tmp_path / "00000001.journal"
    path.write_bytes(HEADER[:8] + b"\2\0\0\0" + path.read_bytes()[len(HEADER) :])
    with pytest.raises(Refused, match="version 2"):
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


def test_no_space_on_the_device_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    list(journal.recover())
    journal.append(b"one\n")

    def half(file: int, offset: int, content: bytes) -> None:
        os.pwrite(file, content[: len(content) // 2], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "_write_at", half)
        with pytest.raises(Full):
            journal.append(b"two\n")
    journal.append(b"three\n")
    journal.close()
    assert recovered(tmp_path) == [b"one\n", b"three\n"]


def test_a_sync_that_failed_is_never_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    list(journal.recover())
    calls = []

    def fails(file: int) -> None:
        calls.append(file)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(OSError, match="Input/output"):
        journal.append(b"one\n")
    monkeypatch.undo()
    with pytest.raises(RuntimeError):
        journal.append(b"two\n")
    assert len(calls) == 1
    journal.close()


def test_two_processes_cannot_have_one_folder(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(Refused, match=f"in use by process {os.getpid()}"):
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
        assert journal.passed == sum(len(line) + 8 for line in LINES[number:])
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
    content[len(HEADER)] ^= 0xFF
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
    for cut in range(place.offset if last.name.startswith(f"{place.segment:08d}") else 0, len(content)):
        last.write_bytes(content[:cut])
        journal = opened(tmp_path)
        assert list(journal.recover(place)) == []
        journal.append(b"after\n")
        journal.close()
        again = opened(tmp_path)
        assert list(again.recover(place)) == [b"after\n"]
        again.close()
        for torn in tmp_path.glob("*.torn"):
            torn.unlink()


def test_a_position_that_it_does_not_reach_is_refused(tmp_path: Path) -> None:
    end = positions(tmp_path)[-1]
    before = sorted((path, path.read_bytes()) for path in tmp_path.glob("*.journal"))
    for position in (Position(1, end.offset + 1), Position(2, len(HEADER)), Position(7, 500)):
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
    assert journal.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
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
    assert journal.bytes == sum(path.stat().st_size for path in tmp_path.glob("*.journal"))
    journal.drop_before(place, 0)
    assert journal.first() == place.segment
    journal.close()
