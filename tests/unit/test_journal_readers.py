"""Who reads a journal while the engine works on it: what is packed meanwhile is found, what goes is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli import main
from engine.errors import Refused
from engine.journal import Journal, Position
from engine.journals import listing
from engine.segment_folder import SegmentFolder, kept_in
from tests.unit.test_journal import opened

PAYLOADS = [b'{"n":%d,"kind":"scan.read"}\n' % n * 3 for n in range(60)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """One at work, of many segments."""
    journal = opened(tmp_path / "journal", segment_bytes=400)
    list(journal.recover())
    for payload in PAYLOADS:
        journal.append(payload)
    yield journal
    journal.close()


def payloads_in(data: Path) -> Iterator[bytes]:
    kept = kept_in(data, print)
    assert kept is not None
    return (payload for _, payload in kept.payloads)


def packed(journal: Journal) -> None:
    while journal.pack_before(journal.position):
        pass


def test_what_is_packed_while_it_is_read_is_read_on(journal: Journal, tmp_path: Path) -> None:
    reading = payloads_in(tmp_path)
    read = [next(reading)]
    packed(journal)
    assert [*read, *reading] == PAYLOADS


def test_what_comes_while_it_is_read_is_a_whole_frame_or_nothing(journal: Journal, tmp_path: Path) -> None:
    reading = payloads_in(tmp_path)
    read = [next(reading)]
    more = [payload.replace(b"n", b"m") for payload in PAYLOADS]
    for payload in more:
        journal.append(payload)
    read += reading
    assert read == [*PAYLOADS, *more][: len(read)]
    assert len(read) >= len(PAYLOADS)


def test_what_goes_while_it_is_read_is_said(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = payloads_in(tmp_path)
    folder = SegmentFolder(tmp_path / "journal")
    next(reading)
    journal.drop_before(journal.position, 0)
    with pytest.raises(Refused, match=r"00000002.journal: the engine let it go while it was read: begin again"):
        list(reading)
    assert len(list(listing(folder))) == 1
    assert main(["fsck", str(tmp_path)]) == 1, "there is no snapshot"
    assert "let it go" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["journal export", "replay"])
def test_what_is_lost_of_a_journal_is_said_to_its_reader(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A replay with a hole in it must not pass for the whole story."""
    folder = tmp_path / "journal"
    (folder / "00000001.journal").unlink()
    (folder / "00000003.journal").unlink()
    spoiled = bytearray((folder / "00000005.journal").read_bytes())
    spoiled[60:90] = bytes(30)
    (folder / "00000005.journal").write_bytes(spoiled)
    assert main([*command.split(), str(tmp_path), "--out", str(tmp_path / "out.ndjson")]) == 0
    said = capsys.readouterr().err
    assert f"{folder}/00000001.journal: is missing\n" in said
    assert f"{folder}/00000003.journal: is missing\n" in said
    assert f"{folder}/00000005.journal: damaged from offset" in said


def test_a_loss_that_was_accepted_and_a_beginning_that_was_let_go_are_said_to_a_replay(
    journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "journal"
    journal.drop_before(Position(3, 0), 0)
    SegmentFolder(folder).stand_in(max(SegmentFolder(folder).numbers()) + 1, 1)
    assert main(["replay", str(tmp_path), "--out", str(tmp_path / "out.ndjson")]) == 0
    said = capsys.readouterr().err
    assert f"{folder}: begins with 00000003.journal: " in said
    assert "what stood before it is lost; that was accepted" in said
    assert "is missing" not in said
