"""A snapshot's file is whole or it is refused; two are kept, and damage to one never hides the other."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.journal import Position
from engine.rule_book import RuleSet
from engine.snapshots import HEAD, Snapshot, Snapshots, Unusable, decode, encode

RULES = RuleSet("dc1", {"disorder_ms": 2_000, "closing_points": ("SEAL-1",)}, [("dc1/scan", {"skew_max_ms": 1})])


def snapshot(segment: int = 1, offset: int = 100, state: bytes = b"state of the windows") -> Snapshot:
    return Snapshot(Position(segment, offset), 42, RULES, state)


def usable(folder: Path) -> list[Position]:
    """What another start would find, newest first."""
    return [each.position for _, each in Snapshots(folder).newest_first() if isinstance(each, Snapshot)]


def named(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_comes_back_as_it_was() -> None:
    for state in (b"", b"x", random.Random(1).randbytes(100_000)):
        back = decode(encode(snapshot(state=state)))
        assert back.position == (1, 100)
        assert (back.sequence, back.state) == (42, state)
        assert back.rules.same(RULES)


def test_every_torn_length_is_damage() -> None:
    content = encode(snapshot())
    for length in range(len(content)):
        with pytest.raises(Unusable) as refused:
            decode(content[:length])
        assert refused.value.damaged


def test_every_flipped_bit_is_refused() -> None:
    content = encode(snapshot())
    for at in (*range(8 * 8), *range(8 * 12, 8 * len(content))):  # all but those of the version
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(Unusable):
            decode(bytes(flipped))


def test_a_newer_version_is_no_damage() -> None:
    content = bytearray(encode(snapshot()))
    content[8] = 2
    with pytest.raises(Unusable, match="version 2, this program reads 1") as refused:
        decode(bytes(content))
    assert not refused.value.damaged


def test_i8_a_version_that_only_a_flipped_bit_names_is_none() -> None:
    """It stayed where it was for ever, as a newer program's, and what is missing was not given up for its sake."""
    for bit in range(32):
        content = bytearray(encode(snapshot()))
        content[8 + bit // 8] ^= 1 << bit % 8
        assert encode(decode(bytes(content))) == encode(snapshot())


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    for segment in range(1, 5):
        assert snapshots.oldest_needed == (None if segment < 3 else (segment - 2, 100))
        snapshots.write(snapshot(segment))
    assert usable(tmp_path) == [(4, 100), (3, 100)]
    assert len(named(tmp_path)) == 2


def test_the_same_place_twice_is_one_snapshot(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.write(snapshot(1))
    snapshots.write(snapshot(2, state=b"old"))
    snapshots.write(snapshot(2, state=b"new"))
    assert usable(tmp_path) == [(2, 100), (1, 100)]
    assert snapshots.oldest_needed == (1, 100)


def test_one_that_was_never_read_back_is_not_relied_upon(tmp_path: Path) -> None:
    first = Snapshots(tmp_path)
    first.write(snapshot(1))
    first.write(snapshot(2))
    again = Snapshots(tmp_path)
    again.trust(Position(1, 100))  # the newer one was of another version, say
    assert again.oldest_needed is None
    again.write(snapshot(3))
    assert again.oldest_needed == (1, 100)
    assert usable(tmp_path) == [(3, 100), (1, 100)]


def test_a_damaged_one_is_put_aside_and_the_older_one_is_there(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.write(snapshot(1))
    snapshots.write(snapshot(2))
    newest = tmp_path / named(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    again = Snapshots(tmp_path)
    (path, why), (_, older) = again.newest_first()
    assert (path, why) == (newest, "its digest does not fit")
    assert isinstance(older, Snapshot)
    assert named(tmp_path) == ["00000001-000000000100.snapshot", "00000002-000000000100.snapshot.bad"]


def test_one_of_a_newer_version_stays_where_it_is(tmp_path: Path) -> None:
    Snapshots(tmp_path).write(snapshot(1))
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[8] = 2
    path.write_bytes(content)
    assert usable(tmp_path) == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("written", [0, 1, HEAD.size, 60])
def test_writing_that_was_cut_short_leaves_nothing(tmp_path: Path, written: int) -> None:
    Snapshots(tmp_path).write(snapshot(1))
    (tmp_path / "00000002-000000000100.snapshot.new").write_bytes(encode(snapshot(2))[:written])
    assert usable(tmp_path) == [(1, 100)]
    assert len(named(tmp_path)) == 1


def test_no_space_leaves_those_that_were_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.write(snapshot(1))
    snapshots.write(snapshot(2))

    def fails(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", fails)
        with pytest.raises(OSError, match="No space"):
            snapshots.write(snapshot(3))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []
    assert snapshots.oldest_needed == (1, 100)
    assert usable(tmp_path) == [(2, 100), (1, 100)]
    snapshots.write(snapshot(3))
    assert usable(tmp_path) == [(3, 100), (2, 100)]
