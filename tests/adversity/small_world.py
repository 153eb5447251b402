"""Journal, snapshots, rule book, recovery and outbox as they are, around a core that counts, on a disk that can crash.

No event loop turns, no thread waits and nothing is delivered over a wire, so that tens of thousands of lives fit into a
minute. The outbox is the real one, in an SQLite file that is as it was after some commit: that SQLite keeps its
commits is shown elsewhere (test_torn_outbox). The sink is somebody else's: it outlives every crash, takes an event
once, and keeps the order of arrival.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast
from unittest.mock import patch

import msgspec

from engine import outbox as outbox_module
from engine.contracts import Emitted
from engine.errors import ContentChanged, Full, Refused
from engine.journal import Journal
from engine.metrics import Metrics
from engine.model import BUSINESS
from engine.outbox import SqliteOutbox
from engine.recovery import Keep, Recovery
from engine.rule_book import RuleSet
from engine.segment_folder import SegmentFolder
from engine.slices import Slicer
from engine.whole_file import BAD
from ext.batch import Batch
from tests.adversity.crash_disk import CrashDisk
from tests.counting_core import CountingCore, read
from tests.promises import Breach, Evidence, Promises, Told

DATA = Path("/data")
START_US = 1_700_000_000_000_000
SINK = "queue"
ROOMY = CrashDisk()  # SQLite has another disk, which is never full
AGAIN = 5  # after every so many acknowledgements the whole journal is read again: it takes its time
KEPT_WHOLE = 40_000  # no workload fills a journal that may be larger
RULES = RuleSet("dc1", {})
ROUTES = {type_: {SINK: "erp"} for type_ in BUSINESS}
Found = TypeVar("Found")


class Limits(msgspec.Struct, frozen=True):
    segment_bytes: int = 420
    every_bytes: int = 500
    keep_bytes: int = 50_000
    bytes_max: int = 1 << 20


class LineBatch:
    """Lines of one slice, as a batch gives them to `CountingCore`."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def record(self, row: int) -> dict[str, object]:
        return self.rows[row]

    def clear(self) -> None:
        self.rows = []


class LineDecoder:
    def decode(self, data: bytes, batch: Batch) -> list[tuple[int, str]]:
        rows = cast(LineBatch, batch).rows
        rows += [msgspec.json.decode(line) for line in data.splitlines()]
        return []


def build(rules: RuleSet) -> Slicer:
    return Slicer(CountingCore(), LineDecoder(), cast(Batch, LineBatch()))


class Outside:
    """What a crash does not touch: the ledger of acknowledgements, and the sink."""

    def __init__(self) -> None:
        self.acknowledged: list[str] = []
        self.arrived: list[Told] = []
        self._ids: set[str] = set()

    def copy(self) -> Outside:
        twin = Outside()
        twin.acknowledged, twin.arrived, twin._ids = self.acknowledged[:], self.arrived[:], set(self._ids)
        return twin

    def take(self, row: Told) -> None:
        if row.id not in self._ids:
            self._ids.add(row.id)
            self.arrived.append(row)


class World:
    """One life: `start`, then `accept`, `deliver`, ... Calls that a crash interrupts are simply never returned to."""

    def __init__(
        self,
        disk: CrashDisk,
        image: bytes,
        outside: Outside,
        rules: RuleSet = RULES,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.disk = disk
        self.outside = outside
        self.now_us = START_US
        self.metrics = Metrics()
        self.loop = loop_of_this_process()
        self.journal = Journal(
            DATA / "journal",
            bytes_max=limits.bytes_max,
            segment_bytes=limits.segment_bytes,
            disk=disk,
            clock=self.clock,
        )
        with sqlite_in_memory(image):
            self.outbox = SqliteOutbox(
                DATA / "outbox.sqlite", routes=ROUTES, sinks=[SINK], rows_max=10_000, clock=self.clock, disk=ROOMY
            )
        keep = Keep(limits.every_bytes, limits.keep_bytes)
        self.recovery = Recovery(rules, build, self.journal, self.outbox, DATA, self.metrics, self.clock, keep, disk)

    def clock(self) -> int:
        self.now_us += 1
        return self.now_us

    @property
    def image(self) -> bytes:
        """The outbox as it is on disk now."""
        return self.outbox._file.serialize()

    def start(self) -> None:
        self._run(self.recovery.run(self._publish))

    def accept(self, names: Sequence[str]) -> None:
        """A group: on disk, acknowledged, decided, told, and a snapshot when one is due."""
        payload = b"".join(read(name, START_US) + b"\n" for name in names)
        self.journal.append(payload)
        self.outside.acknowledged += names
        self.decide(payload)

    def accept_or_wait(self, names: Sequence[str]) -> bool:
        """As the engine does while the disk is full: it makes room where it can. False: nobody was acknowledged."""
        for _ in range(2):
            try:
                self.accept(names)
                return True
            except Full:
                self._run(self.recovery.make_room())
        return False

    def decide(self, payload: bytes) -> None:
        before = self.journal.position
        self._run(self._publish(self._run(self.recovery.slicer.feed(payload, _never))))
        self.recovery.decided(before, len(payload))
        if self.recovery.is_due(idle=True):
            self._run(self.recovery.keep())
            try:
                while self._run(self.recovery._pack_one()):
                    pass
            except OSError:
                return  # as the engine does: the segment stays as it is

    async def _publish(self, events: list[Emitted]) -> None:
        if events:
            self.outbox.append(events)

    def deliver(self) -> None:
        """All that waits goes to the sink, then the cursor moves."""
        for lane in self.outbox.lanes(SINK):
            while rows := self.outbox.read(lane.number, 100):
                for row in rows:
                    self.outside.take(Told(sequence_of(row.body), row.id, row.partitionkey, row.body))
                self.disk.watch("delivered")
                self.outbox.advance(lane.number, rows[-1].position, delivered=len(rows))
                self.disk.watch("advanced")

    def close(self) -> None:
        self.outbox.close()
        self.journal.close()

    def _run(self, work: Awaitable[Found]) -> Found:
        return self.loop.run_until_complete(_ended(work))

    def evidence(self) -> Evidence:
        """Once everything is delivered."""
        return Evidence(
            acknowledged=self.outside.acknowledged,
            arrived={SINK: self.outside.arrived},
            told=max((event.sequence for event in self.outside.arrived), default=0),
            starts=[None],
        )


async def _ended(work: Awaitable[Found]) -> Found:
    return await work


def sequence_of(body: bytes) -> int:
    at = body.index(b'"sequence":"') + 12
    return int(body[at : at + 20])


def _never(line: int, reason: str) -> None:
    raise AssertionError(reason)


class SecondConnection:
    """To a file in memory there is only one connection: whoever opens it once more gets the same."""

    def __init__(self, first: sqlite3.Connection) -> None:
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)

    def close(self) -> None:
        pass


@contextmanager
def sqlite_in_memory(image: bytes, module: ModuleType = outbox_module) -> Iterator[None]:
    """Files that the module opens begin as this image says; without one they are new."""
    opened: dict[Path, sqlite3.Connection] = {}

    def open_file(path: Path, schema: Sequence[str], version: int, *_: object) -> Any:
        if path in opened:
            return SecondConnection(opened[path])
        file = opened[path] = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        if image:
            file.deserialize(image)
        else:
            for statement in (*schema, f"PRAGMA user_version = {version}"):
                file.execute(statement)
        return file

    with patch.object(module, "open_file", open_file):
        yield


@contextmanager
def without_threads() -> Iterator[None]:
    """What would be done in a thread is done at once: a loop whose time is made up does not wait for one, it is an hour
    later."""

    async def at_once(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    def in_no_executor(
        loop: asyncio.AbstractEventLoop, executor: object, call: Callable[..., Any], *arguments: Any
    ) -> asyncio.Future[Any]:
        done = loop.create_future()
        try:
            done.set_result(call(*arguments))
        except BaseException as error:
            done.set_exception(error)
        return done

    executors = patch.object(asyncio.BaseEventLoop, "run_in_executor", in_no_executor)
    with patch.object(asyncio, "to_thread", at_once), executors:
        yield


_loops: dict[int, asyncio.AbstractEventLoop] = {}


def loop_of_this_process() -> asyncio.AbstractEventLoop:
    """A loop does not outlive a fork."""
    if os.getpid() not in _loops:
        _loops[os.getpid()] = asyncio.new_event_loop()
    return _loops[os.getpid()]


def live_on(
    disk: CrashDisk, image: bytes, outside: Outside, promises: Promises, limits: Limits, names: Sequence[str]
) -> World | None:
    """The next start after a crash, and all that the promises say of it. None: they did not let it be."""
    world = None
    try:
        world = World(disk, image, outside, limits=limits)
        world.start()
        for name in names:
            world.accept([name])
        world.deliver()
    except (Refused, Full, ContentChanged, OSError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        promises.check(Evidence(starts=[error]))
        if isinstance(error, Refused):
            promises.breaches.append(Breach("I8", f"a crash must not end in a refusal: {error}"))
        return None
    promises.check(world.evidence())
    promises.breaches += no_damage(world, limits)
    if len(outside.acknowledged) % AGAIN == 0:
        promises.breaches += the_same_again(world)
    return world


def no_damage(world: World, limits: Limits) -> Iterator[Breach]:
    """A crash alone damages no file that bears its own name, and no part of the journal is gone for it."""
    for folder in (DATA, DATA / "snapshots", DATA / "journal"):
        for name in world.disk.names(folder):
            if name.endswith(BAD):
                yield Breach("I8", f"{folder / name} was found damaged after a crash")
    if limits.keep_bytes > KEPT_WHOLE and world.journal.first() != 1:
        yield Breach("I10", f"the journal begins with {world.journal.first()}: there was room for all of it")
    if world.journal.lost_bytes:
        yield Breach("I1", f"a crash has cost {world.journal.lost_bytes} bytes: {world.journal.reports}")
    for report in world.journal.reports:
        if "is missing" in report:
            yield Breach("I8", f"a crash takes no segment away: {report}")


def the_same_again(world: World) -> Iterator[Breach]:
    """I10: the journal from its beginning on, through a core that knows nothing."""
    if world.journal.first() != 1:
        return
    core = CountingCore()
    segments = SegmentFolder(DATA / "journal", world.disk)
    batch = LineBatch()
    for number in segments.numbers():
        for part in segments.parts(number):
            batch.rows += [msgspec.json.decode(line) for line in (part.payload or b"").splitlines()]
    core.feed(cast(Batch, batch))
    told = {sequence: body for sequence, _, _, _, body, _ in core.take()}
    for row in world.outside.arrived:
        if told.get(row.sequence) != row.body:
            yield Breach("I10", f"{row.body!r} was told, and reads {told.get(row.sequence)!r} from the journal")
