"""Bugs that are planted on purpose, one at a time, to see that the tests find them.

    python -m tests.adversity.planted            every one of them: its tests must fail
    python -m tests.adversity.planted NAME ...   some
    python -m tests.adversity.planted --list

Each is a mistake that somebody has made in some such program. It is patched in before the tests that are to find it are
run, in a process of its own (SORTLINE_PLANTED names it; conftest asks here). Nothing of it is in the product.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine import overload, pipeline, recovery, segment_folder, segments, slices, snapshots
from engine.contracts import Delivery, Emitted, OutRow
from engine.disk import Disk
from engine.errors import Full
from engine.intake import Group
from engine.journal import Journal, Position
from engine.outbox import SqliteOutbox
from engine.segments import PACKED, pack
from engine.whole_file import NEW, read_whole, write_whole

ROOT = Path(__file__).parents[2]
CRASHES = "tests/adversity/test_crash_states.py"
FAULTS = "tests/adversity/test_disk_faults.py"
DAMAGES = "tests/adversity/test_damaged_folders.py"
KILLS = "tests/adversity/test_killed_engine.py"
QUICKLY = {"SORTLINE_CRASH_STATES": "3000", "SORTLINE_DAMAGES": "3000", "SORTLINE_KILLS": "30"}


class Bug(NamedTuple):
    """what: the mistake. plant: makes it. found_by: tests, at least one of which must fail."""

    what: str
    plant: Callable[[], None]
    found_by: Sequence[str]


class WithoutFolderSync:
    """A disk on which names are never synced."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)

    def sync_folder(self, folder: Path) -> None:
        pass


def put(where: Any, name: str, mistake: Any) -> Callable[[], None]:
    return lambda: setattr(where, name, mistake)


def no_sync(self: Journal, file: int) -> None:
    """Written is not on disk."""


def begin_without_folder_sync(real: Callable[[Any, int, int], None]) -> Callable[[Any, int, int], None]:
    def begin(self: Any, number: int, end_before: int) -> None:
        disk, self._disk = self._disk, WithoutFolderSync(self._disk)
        try:
            real(self, number, end_before)
        finally:
            self._disk = disk

    return begin


def sync_again(self: Any, file: int) -> None:
    for last in (False, True):
        try:
            self._disk.sync(file)
            return
        except OSError:
            if last:
                raise


def settle_without_writing(real: Callable[..., None]) -> Callable[..., None]:
    return lambda self, number, end, last: real(self, number, end, None)


def append_that_swallows_full(real: Callable[[Any, bytes], None]) -> Callable[[Any, bytes], None]:
    def append(self: Any, payload: bytes) -> None:
        try:
            real(self, payload)
        except Full:
            return

    return append


async def record_and_acknowledge_first(self: Any) -> bool:
    group = self._intake.take()
    if group is None:
        if self._closing:
            return False
        if not await self._tick():
            await self._intake.wait(self._wait_s())
        return True
    for waiting in group.waiting:
        self._acknowledge(waiting.delivery)
    if group.payload and not await self._append(group.payload):
        return False
    self._to_decide(group)
    return True


async def say_without_recording(self: Any, records: Sequence[dict[str, Any]]) -> None:
    payload = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    self._to_decide(Group([], payload))


def written_in_place(path: Path, content: bytes, disk: Disk) -> None:
    file = disk.open(path, create=True)
    disk.truncate(file, 0)
    disk.write(file, 0, [content])
    disk.sync(file)
    disk.close(file)
    disk.sync_folder(path.parent)


def renamed_before_it_was_synced(path: Path, content: bytes, disk: Disk) -> None:
    new = path.with_name(path.name + NEW)
    file = disk.open(new, create=True)
    disk.write(file, 0, [content])
    disk.close(file)
    disk.rename(new, path)
    disk.sync_folder(path.parent)


def packed_after_it_went(self: Any, number: int) -> int:
    held = self._held[number]
    data = read_whole(held.path, self.disk)
    self.disk.unlink(held.path)
    self.disk.sync_folder(self.folder)
    path = self.folder / f"{number:08d}{PACKED}"
    write_whole(path, pack(data), self.disk)
    self._held[number] = segment_folder.Held(number, path, held.bytes)
    return 0


def whole_without_crc(data: bytes, at: int, number: int) -> int:
    if len(data) - at < 8:
        return 0
    length = int.from_bytes(data[at : at + 4], "little")
    return length if 0 < length <= len(data) - at - 8 else 0


def newest_alone(self: Any) -> Position | None:
    return self._trusted[-1] if self._trusted else None


def told_by_the_clock(self: Any, events: Sequence[Any]) -> list[Emitted]:
    now = f"{time.time_ns()}".encode()
    named = (Emitted(*event) for event in events)
    return [
        event._replace(
            id=f"{event.id}@{now.decode()}",
            body=event.body.replace(event.id.encode(), event.id.encode() + b"@" + now, 1),
        )
        for event in named
    ]


def decided_too_early(real: Callable[..., None]) -> Callable[..., None]:
    """The snapshot says that it stands for a frame more than it has seen."""

    def decided(self: Any, position: Position, size: int) -> None:
        real(self, Position(position.segment, position.offset + 72), size)

    return decided


def read_and_advance(real: Callable[..., list[OutRow]]) -> Callable[..., list[OutRow]]:
    def read(self: Any, lane: int, limit: int) -> list[OutRow]:
        rows = real(self, lane, limit)
        if rows:
            self.advance(lane, rows[-1].position, delivered=len(rows))
        return rows

    return read


def lock_that_locks_nothing(self: Disk, path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)


def sheds_everybody(self: Any, delivery_: Delivery) -> bool:
    return bool(self.at_least("shed"))


BUGS: dict[str, Bug] = {
    "acknowledged_before_sync": Bug(
        "a record is acknowledged once it is written, and never synced", put(Journal, "_sync", no_sync), [CRASHES]
    ),
    "acknowledged_before_append": Bug(
        "a record is acknowledged before it is written",
        put(pipeline.Pipeline, "_record_next", record_and_acknowledge_first),
        ["tests/integration/test_pipeline.py::test_nobody_is_acknowledged_before_the_record_is_on_disk"],
    ),
    "no_folder_sync": Bug(
        "a new segment's name is not synced",
        put(Journal, "_begin", begin_without_folder_sync(Journal._begin)),
        [CRASHES],
    ),
    "snapshot_in_place": Bug(
        "a snapshot is written under its own name", put(snapshots, "write_whole", written_in_place), [CRASHES]
    ),
    "renamed_before_sync": Bug(
        "a snapshot bears its name before its content is on disk",
        put(snapshots, "write_whole", renamed_before_it_was_synced),
        [CRASHES],
    ),
    "snapshot_ahead_of_its_state": Bug(
        "a snapshot says a place of the journal that its state has not come to",
        put(recovery.Recovery, "decided", decided_too_early(recovery.Recovery.decided)),
        [CRASHES],
    ),
    "dropped_for_one_snapshot": Bug(
        "the journal goes as soon as one snapshot stands for it",
        put(snapshots.Snapshots, "oldest_needed", property(newest_alone)),
        ["tests/unit/test_snapshots.py", "tests/integration/test_restarts.py"],
    ),
    "unlinked_before_packed": Bug(
        "a segment goes before its packed file is on disk",
        put(segment_folder.SegmentFolder, "pack", packed_after_it_went),
        [CRASHES],
    ),
    "crc_not_checked": Bug(
        "a frame's checksum is not looked at", put(segments.Second, "whole", staticmethod(whole_without_crc)), [CRASHES]
    ),
    "sync_tried_again": Bug(
        "a sync that failed is tried again, and believed",
        put(Journal, "_sync", sync_again),
        [FAULTS, "tests/unit/test_journal.py"],
    ),
    "last_frame_not_written_again": Bug(
        "what a start reads from memory after a failed sync is taken for safe",
        put(Journal, "_settle", settle_without_writing(Journal._settle)),
        [FAULTS],
    ),
    "full_is_swallowed": Bug(
        "a record that found no room is acknowledged",
        put(Journal, "append", append_that_swallows_full(Journal.append)),
        [FAULTS],
    ),
    "id_from_the_clock": Bug(
        "an event's id has the time in it", put(slices.Slicer, "_told", told_by_the_clock), [CRASHES]
    ),
    "cursor_before_data": Bug(
        "a sink's cursor moves before it has the events",
        put(SqliteOutbox, "read", read_and_advance(SqliteOutbox.read)),
        ["tests/integration/test_pipeline.py", CRASHES, KILLS],
    ),
    "tick_not_recorded": Bug(
        "time decides, and the journal does not say so",
        put(pipeline.Pipeline, "_say", say_without_recording),
        ["tests/integration/test_pipeline.py::test_time_alone_decides_through_the_journal"],
    ),
    "no_lock": Bug(
        "two processes have one data folder",
        put(Disk, "lock", lock_that_locks_nothing),
        ["tests/unit/test_journal.py", "tests/integration/test_pipeline.py::test_two_engines_cannot_have_one_folder"],
    ),
    "sequence_used_twice": Bug(
        "after a loss the sequence goes on where the core stands",
        put(slices.Slicer, "pass_to", lambda self, sequence: None),
        ["tests/integration/test_fsck.py"],
    ),
    "acknowledged_are_shed": Bug(
        "an overloaded engine drops what it owes an acknowledgement for",
        put(overload.Overload, "sheds", sheds_everybody),
        ["tests/unit/test_overload.py"],
    ),
}


def plant(name: str) -> None:
    """From now on, in this process, the engine has this bug."""
    BUGS[name].plant()


def main(argv: Sequence[str] | None = None) -> int:
    """0: all that were planted were found."""
    parser = argparse.ArgumentParser(
        description="Plants bugs, one at a time, and runs the tests that are to find them."
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args(argv)
    unknown = set(args.names) - set(BUGS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    missed = 0
    for name in args.names or BUGS:
        if args.list:
            print(f"{name:<30} {BUGS[name].what}")
            continue
        began_s = time.monotonic()
        by = found_by(name)
        missed += not by
        print(f"{name:<30} {'found' if by else 'NOT FOUND'} in {time.monotonic() - began_s:5.1f} s   {by}", flush=True)
    return int(missed > 0)


def found_by(name: str) -> str:
    """The first test that fails with the bug planted, and why; empty: none does."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *BUGS[name].found_by]
    environment = {**os.environ, **QUICKLY, "SORTLINE_PLANTED": name}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{name}: the tests could not be run:\n{done.stdout}{done.stderr}")
    return failed[0].removeprefix("FAILED ")[:150] if failed else ""


if __name__ == "__main__":
    sys.exit(main())
