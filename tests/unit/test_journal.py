"""What was appended comes back, whatever the machine did in between; what cannot be trusted is refused by name."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from engine import journal as journal_module
from engine.errors import Full, Refused
from engine.journal import HEADER, Journal

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
