"""`sortline fsck`: what a data folder holds, and what in it is damaged.

    sortline fsck WHERE                            look, change nothing
    sortline fsck --repair WHERE                   put aside what cannot be used, so that a start finds its way
    sortline fsck --repair --accept-loss WHERE     and go on without what the journal should have and has not

WHERE is a site file or a data folder. Nothing is ever deleted or rewritten: a damaged file is renamed to `.bad`, and an
empty segment takes the place of what is missing in the journal; an outbox whose events no journal has any more is told
that they are given up. What was done stands in `fsck-TIME.report` in the
folder. Exit code 0: a start can go on from here, as far as can be seen without the rules; 1: something is left that it
would refuse, or that was accepted and is lost.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from engine import newer
from engine.clock import now_us
from engine.config.faults import count
from engine.config.load import read_toml
from engine.disk import DISK
from engine.errors import Newer, Refused
from engine.journal import Position
from engine.mended_databases import LETTERS, OUTBOX, finish, logs_in_order, put_in_order
from engine.outbox_salvage import pass_to
from engine.outbox_sums import Damage, damage
from engine.passed_over import NAME as PASSED_OVER
from engine.passed_over import PassedOver
from engine.rule_book import NAME as RULES
from engine.rule_book import RuleBook
from engine.segment_folder import Gone, SegmentFolder
from engine.shed_gaps import NAME as SHED
from engine.shed_gaps import read as read_shed
from engine.snapshots import SUFFIX, Snapshot, Unusable, decode
from engine.sqlite_file import not_whole, open_to_read, tells_damage
from engine.whole_file import BAD, put_aside, read_whole, write_whole

DATA_DIR = "data"
MADE_AGAIN = (OUTBOX, LETTERS)  # the next start makes what is missing; a queue is the ERP's, and stays
FLAWS_SHOWN = 20
FLIPPED = "a flipped bit, which the next start turns back"
READ_BYTES = 1024 * 1024


class Finding(NamedTuple):
    """grave: a start refuses it, or something that was accepted is lost."""

    path: Path
    what: str
    grave: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("where", metavar="WHERE", type=Path, help="the site file, or the data folder")
    parser.add_argument("--repair", action="store_true", help="put aside what is damaged; deletes nothing")
    parser.add_argument(
        "--accept-loss", action="store_true", help="with --repair: go on without what the journal should have"
    )


def run(args: argparse.Namespace) -> int:
    """0 or 1, as above. A folder that is in use, not there, or a newer program's is raised as Refused."""
    if args.accept_loss and not args.repair:
        raise Refused("--accept-loss says what a repair may do: it needs --repair")
    folder = data_folder(args.where)
    newer.refuse(folder)
    no_folders = [path for path in (folder / "journal", folder / "snapshots") if path.exists() and not path.is_dir()]
    for path in no_folders:
        print(f"{path}: is no folder" + (f": renamed to {put_aside(path).name}" if args.repair else ""))
    if no_folders and not args.repair:
        return 1
    checked = Check(folder)
    findings = list(checked.findings())
    for finding in findings:
        print(finding)
    print(checked.summary())
    if not args.repair:
        return int(any(finding.grave for finding in findings))
    for line in repair(folder, accept_loss=args.accept_loss):
        print(line)
    left = [finding for finding in Check(folder).findings() if finding.grave]
    for finding in left:
        print(f"not repaired: {finding}")
    return int(bool(left))


def data_folder(where: Path) -> Path:
    """The data folder of a site file; a folder is one itself."""
    if where.is_dir():
        return where
    engine = read_toml(where).get("engine", {})
    folder = Path(str(engine.get("data_dir", DATA_DIR)) if isinstance(engine, dict) else DATA_DIR)
    if not folder.is_dir():
        raise Refused(f"{where}: its data folder {folder} is not there")
    return folder


class Check:
    """Everything in a data folder, once through; nothing is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments = SegmentFolder(folder / "journal")
        self.records = 0
        self.frames = 0
        self.lost_bytes = 0
        self.snapshots: list[Snapshot] = []
        self.end = Position(0, 0)
        self.ends_early = False  # before a snapshot, and nobody has accepted that

    def findings(self) -> Iterator[Finding]:
        yield from self._snapshots()
        yield from self._segments()
        yield from self._cursors()
        yield from self._others()

    def summary(self) -> str:
        numbers = self.segments.numbers()
        packed = sum(held.packed for number in numbers if (held := self.segments.held(number)) is not None)
        return (
            f"{self.folder}: {count(len(numbers), 'segment')} ({packed} packed), {self.segments.bytes()} bytes, "
            f"{count(self.frames, 'frame')}, {count(self.records, 'record')}, {self.lost_bytes} bytes lost, "
            f"{count(len(self.snapshots), 'snapshot')} that can be used"
        )

    def needed_from(self) -> int:
        """The segment from which a start reads."""
        return max((snapshot.position.segment for snapshot in self.snapshots), default=1)

    def goes_on_from(self, snapshot: Snapshot) -> bool:
        """Whether the journal has all that comes after it; of the newest one, whatever it has."""
        first = snapshot.position.segment
        return snapshot is self.snapshots[0] or (first in self.segments.numbers() and not self.segments.missing(first))

    def missing(self) -> list[int]:
        """Segments that a start wants to read."""
        first = self.needed_from() if self.snapshots and self.segments.numbers() else None
        return [number for number in self.segments.missing(first) if number >= self.needed_from()]

    def _segments(self) -> Iterator[Finding]:
        numbers = self.segments.numbers()
        needed = self.missing()
        for missing in sorted({*self.segments.lost_in_front(), *self.segments.missing(), *needed}):
            yield Finding(self.segments.path(missing), "is missing", missing in needed)
        if numbers and numbers[0] > 1 and not self.snapshots and not self.segments.is_loss(numbers[0]):
            yield Finding(self.segments.path(1), "is missing, and no snapshot stands for it", grave=True)
        for number in numbers:
            yield from self._segment(number)

    def _segment(self, number: int) -> Iterator[Finding]:
        held = self.segments.held(number)
        if held is None:
            return  # an engine at work needs it no more
        shown = end = 0
        accepted = self.segments.is_loss(number)
        try:
            for part in self.segments.parts(number):
                lost = part.payload is None and not part.unfinished
                self.lost_bytes += part.end - part.start if lost else 0
                if part.payload is not None:
                    self.frames += 1
                    self.records += part.payload.count(b"\n")
                end = part.end if not part.unfinished else end
                if part.flaw and shown < FLAWS_SHOWN:
                    shown += 1
                    yield Finding(held.path, part.flaw, grave=lost and not accepted and number >= self.needed_from())
        except Gone:
            return
        except Refused as error:
            yield Finding(held.path, str(error), grave=True)
        if accepted:
            yield Finding(held.path, "stands for what is lost; that was accepted")
        self.end = max(self.end, Position(number, end))

    def _snapshots(self) -> Iterator[Finding]:
        folder = self.folder / "snapshots"
        # not glob: to that a folder that may not be read is an empty one
        for path in [folder / name for name in reversed(DISK.names(folder)) if name.endswith(SUFFIX)]:
            try:
                self.snapshots.append(decode(read_whole(path)))
            except (Unusable, OSError) as error:
                yield Finding(path, f"cannot be used: {error}")

    def _cursors(self) -> Iterator[Finding]:
        """What stands for a place of the journal that it does not reach; what was told and is not in the outbox."""
        newest = self.snapshots[0] if self.snapshots else None
        if newest is None:
            return
        number = newest.position.segment
        if number not in self.segments.numbers() or not self.segments.reaches(number, newest.position.offset):
            later = [each for each in self.segments.numbers() if each >= number]
            self.ends_early = not any(map(self.segments.is_loss, later))
            what = f"ends before {newest.position}, where a snapshot stands"
            yield Finding(self.segments.folder, what, self.ends_early)
        told = told_by_outbox(self.folder / OUTBOX)
        if told is not None and told < newest.sequence:
            yield Finding(
                self.folder / OUTBOX,
                f"has {told} events, and {newest.sequence} had been told when the snapshot was taken",
                not any(each.sequence <= told and self.goes_on_from(each) for each in self.snapshots),
            )

    def _others(self) -> Iterator[Finding]:
        for path in sorted(self.folder.glob("*.sqlite")):
            fault = fault_of_database(path)
            if fault:
                yield Finding(path, fault.what, grave=path.name in MADE_AGAIN and not fault.mended)
        for name in SMALL_FILES:
            yield from self._small_file(self.folder / name)
        for path in sorted(self.folder.rglob(f"*{BAD}")):
            yield Finding(path, "was put aside earlier, to look at")

    def _small_file(self, path: Path) -> Iterator[Finding]:
        if fault := SMALL_FILES[path.name](path):
            yield Finding(path, fault.what)
        if path.name == PASSED_OVER and (deadly := len(PassedOver(path, put_damaged_aside=False))):
            yield Finding(path, f"{count(deadly, 'record')} on which the process died: passed over")
        if path.name == SHED and (shed := read_shed(path, mend=False)[0]):
            what = f"{count(sum(gap.records for gap in shed.values()), 'record')} not taken while the disk filled up"
            yield Finding(path, f"{what}: the next start tells of the gap")


def repair(folder: Path, *, accept_loss: bool) -> list[str]:
    """What can be done without deleting anything. Returns what was done, one line each; also written to a report."""
    lock = locked(folder)
    done: list[str] = []
    try:
        done += _put_aside(folder)
        given_up = list(_given_up(folder)) if accept_loss else []
        done += [*given_up, *_stand_ins(folder, accept_loss=accept_loss and not given_up)]
        _report(folder, done)
    except (OSError, sqlite3.OperationalError) as error:
        was = "".join(f"\n  done: {line}" for line in done)
        raise Refused(f"{folder}: the repair did not come to its end: {error}. Do it again then.{was}") from error
    finally:
        DISK.close(lock)
    return done or ["nothing had to be repaired"]


def _report(folder: Path, done: list[str]) -> None:
    if done:
        name = f"fsck-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.report"
        write_whole(folder / name, "".join(f"{line}\n" for line in done).encode())


def locked(folder: Path) -> int:
    try:
        return DISK.lock(folder / "journal" / "lock")
    except BlockingIOError as error:
        raise Refused(f"{folder} is in use by process {error.strerror}: stop it first") from None
    except FileNotFoundError:
        raise Refused(f"{folder}: there is no journal in it") from None


def _put_aside(folder: Path) -> Iterator[str]:
    yield from _databases_aside(folder)
    for pattern in ("journal/*", "snapshots/*", "*.sqlite-*"):
        for path in sorted(folder.glob(pattern)):
            if path.is_dir() and path.suffix != BAD:
                yield f"{path}: is a folder: renamed to {put_aside(path).name}"
    for path in sorted((folder / "snapshots").glob(f"*{SUFFIX}")):
        try:
            decode(read_whole(path))
        except Unusable as error:
            if error.damaged:
                yield f"{path}: {error}: renamed to {put_aside(path).name}"
    for name, fault_of in SMALL_FILES.items():
        if (fault := fault_of(folder / name)) and fault.damaged:
            yield f"{folder / name}: is damaged: renamed to {put_aside(folder / name).name}"
    segments = SegmentFolder(folder / "journal")
    for number in segments.numbers():
        held = segments.held(number)
        assert held is not None
        try:
            segments.content(number)
        except Newer:
            continue
        except Refused:
            aside = put_aside(held.path)
            segments.stand_in(number, now_us())
            yield f"{held.path}: is no segment: renamed to {aside.name}, an empty one stands for what is lost"


def _databases_aside(folder: Path) -> Iterator[str]:
    """What was salvaged comes in its place at once; what was cut short in between does now."""
    yield from finish(folder)
    yield from logs_in_order(folder)
    for path in map(folder.joinpath, MADE_AGAIN):
        fault = fault_of_database(path) if path.exists() else None
        if fault is not None and fault.damaged:
            yield from put_in_order(path, fault.what)
    yield from finish(folder)


def _given_up(folder: Path) -> Iterator[str]:
    """Where no start could build the outbox again: what it had, and no sink has, is given up."""
    checked = Check(folder)
    deque(checked.findings(), maxlen=0)
    told = told_by_outbox(folder / OUTBOX) or 0
    if checked.snapshots and told < checked.snapshots[0].sequence and checked.segments.numbers()[:1] != [1]:
        oldest = next(each for each in reversed(checked.snapshots) if checked.goes_on_from(each))
        pass_to(folder / OUTBOX, oldest.sequence)
        yield f"{folder / OUTBOX}: events {told + 1} to {oldest.sequence} are given up"


def _stand_ins(folder: Path, *, accept_loss: bool) -> Iterator[str]:
    checked = Check(folder)
    deque(checked.findings(), maxlen=0)
    segments = checked.segments
    numbers = segments.numbers()
    wanted = checked.missing()
    if checked.ends_early:
        number = checked.snapshots[0].position.segment
        last = max(numbers, default=number - 1)
        wanted += range(last + 1, number + 1) if last < number else [last + 1]
    if accept_loss and numbers and not wanted:
        if numbers[0] > 1 and not checked.snapshots:
            wanted.append(numbers[0] - 1)
        wanted.append(numbers[-1] + 1)
    for number in wanted:
        yield f"{segments.stand_in(number, now_us())}: stands for what is lost"


def told_by_outbox(path: Path) -> int | None:
    """The last sequence that the outbox has had; None: it cannot say."""
    if not path.exists():
        return None
    try:
        with open_to_read(path) as file:
            return int(file.execute("SELECT sequence FROM last").fetchone()[0])
    except (sqlite3.DatabaseError, TypeError):
        return None


class Fault(NamedTuple):
    """damaged: it will never be read. mended: it will be, by the next start. Neither: something is in the way, and the
    file may be as good as ever."""

    what: str
    damaged: bool = False
    mended: bool = False


def fault_of_rules(path: Path) -> Fault | None:
    book = RuleBook(path, put_damaged_aside=False)
    if book.damaged:
        return Fault("is damaged; the snapshots know the rules, too", damaged=True)
    return Fault(FLIPPED, mended=True) if book.report else None


def fault_of_passed_over(path: Path) -> Fault | None:
    passed_over = PassedOver(path, put_damaged_aside=False)
    if passed_over.damaged:
        return Fault("is damaged; what it names is found again", damaged=True)
    return Fault(FLIPPED, mended=True) if passed_over.report else None


def fault_of_shed(path: Path) -> Fault | None:
    gaps, said = read_shed(path, mend=False)
    if gaps is None:
        return Fault("is damaged; whose records were not taken while the disk filled up is not known", damaged=True)
    return Fault(FLIPPED, mended=True) if said else None


def fault_of_database(path: Path) -> Fault | None:
    """What SQLite finds wrong with a file; None: nothing."""
    try:
        with open_to_read(path) as file:
            found, turned = damage(file) if path.name == OUTBOX else Damage(not_whole(file))
            if found:
                return Fault(f"is damaged: {found}", damaged=True)
            what = ", ".join(each.what for each in turned)
            return Fault(f"{FLIPPED}: {what}", mended=True) if turned else None
    except sqlite3.DatabaseError as error:
        if tells_damage(error):
            return Fault(f"is damaged, or no SQLite file ({error})", damaged=True)
        why = unreadable(path) or unreadable(path.with_name(f"{path.name}-wal"))
        return Fault(f"cannot be read ({why or error})", damaged=bool(why))


def unreadable(path: Path) -> str:
    """Why not every byte of a file can be read; empty: they can. What is only forbidden is not asked of the disk."""
    try:
        with path.open("rb") as file:
            while file.read(READ_BYTES):
                pass
    except (PermissionError, FileNotFoundError):
        return ""
    except OSError as error:
        return str(error)
    return ""


SMALL_FILES: dict[str, Callable[[Path], Fault | None]] = {
    RULES: fault_of_rules,
    PASSED_OVER: fault_of_passed_over,
    SHED: fault_of_shed,
}
