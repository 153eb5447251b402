"""A data folder that a newer version of the program has worked on is refused before anything in it is touched: neither
the lock, nor a file that would be put aside, mended or upgraded.

Everything of which the version counts is looked at here, as bytes: SQLite would put files beside a database that it is
only asked to read. What is damaged is nobody's version; the start itself sees to that. Snapshots are not asked: where
the journal goes back far enough, a start goes on without them (see recovery).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine import letter, outbox, passed_over, rule_book, shed_gaps
from engine.errors import Newer, Refused
from engine.mended_databases import LETTERS, OUTBOX
from engine.segment_folder import SegmentFolder
from engine.sinks import queue
from engine.sqlite_file import newer_version
from engine.whole_file import read_whole, refuse_newer

SMALL_FILES: Mapping[str, bytes] = {
    rule_book.NAME: rule_book.VERSION,
    passed_over.NAME: passed_over.VERSION,
    shed_gaps.NAME: shed_gaps.VERSION,
}
DATABASES: Mapping[str, int] = {OUTBOX: outbox.VERSION, LETTERS: letter.VERSION}


def refuse(data_dir: Path, queues: Iterable[Path] = ()) -> None:
    """queues: files of embedded queues, wherever they are. Raises Newer. Not while this process has the databases open
    (see `newer_version`)."""
    for name, version in SMALL_FILES.items():
        with contextlib.suppress(OSError):
            refuse_newer(data_dir / name, read_whole(data_dir / name), version)
    databases = {data_dir / name: version for name, version in DATABASES.items()}
    for path, ours in {**databases, **dict.fromkeys(queues, queue.VERSION)}.items():
        with contextlib.suppress(OSError):
            if found := newer_version(path, ours):
                raise Newer(path, f"is of version {found}, this program reads {ours}")
    if (data_dir / "journal").is_dir():
        _refuse_segments(SegmentFolder(data_dir / "journal"))


def _refuse_segments(segments: SegmentFolder) -> None:
    """Only of one whose head says nothing the rest is read."""
    for number in segments.numbers():
        try:
            header = segments.header(number)
            if header is not None and not header.version:
                segments.content(number)
        except Newer:
            raise
        except (Refused, OSError):
            continue
