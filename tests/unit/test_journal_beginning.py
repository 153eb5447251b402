"""Which segments a journal has let go, and which are missing in front of the others."""

from __future__ import annotations

import errno
from pathlib import Path

from engine.journal import Journal, Position
from tests.unit.test_journal import LINES, MIB, Unsynced, opened, positions


def test_segments_in_front_that_nobody_let_go_are_missing(tmp_path: Path) -> None:
    place = positions(tmp_path, segment_bytes=200)[15]
    journal = opened(tmp_path)
    list(journal.recover(place))
    journal.drop_before(Position(4, 0), 0)
    journal.close()
    (tmp_path / "00000004.journal").unlink()
    again = opened(tmp_path)
    assert list(again.recover(place)) == LINES[15:]
    missing = tmp_path / "00000004.journal"
    assert again.reports == [f"{missing}: is missing; snapshots stand for it, a replay misses it"]
    again.drop_before(Position(6, 0), 0)
    again.close()
    last = opened(tmp_path)
    assert list(last.recover(place)) == LINES[15:]
    assert not last.reports, "it would have gone by now"
    last.close()


def test_with_which_segment_it_begins_is_no_matter_where_it_cannot_be_written(tmp_path: Path) -> None:
    place = positions(tmp_path, segment_bytes=200)[15]

    class Failing(Unsynced):
        def rename(self, path: Path, to: Path) -> None:
            raise OSError(errno.ENOSPC, "no room")

    journal = Journal(tmp_path, bytes_max=64 * MIB, segment_bytes=200, disk=Failing())
    list(journal.recover(place))
    assert journal.drop_before(place, 0) > 0
    journal.close()
    again = opened(tmp_path)
    assert list(again.recover(place)) == LINES[15:]
    assert not again.reports
    assert [path.name for path in tmp_path.glob("*.first")] == [f"{place.segment:08d}.first"]
    again.close()
