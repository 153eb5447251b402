"""The way of a record as a whole: real journal, decoder, outbox and embedded queue around a core that counts."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from engine.contracts import Delivery, OutRow, Sink
from engine.crashes import Crashes
from engine.dead_letters import DeadLetters
from engine.errors import Refused
from engine.intake import Limits
from engine.journal import Journal
from engine.metrics import Metrics
from engine.model import BUSINESS
from engine.outbox import SqliteOutbox
from engine.pipeline import Pipeline
from engine.records import make_decoder
from engine.recovery import Build, Keep, Recovery
from engine.rule_book import RuleSet
from engine.sinks.queue import Queue, Settings
from engine.sinks.queue_sink import QueueSink
from engine.slices import Slicer
from engine.throttle import Settings as Delivering
from ext.batch import Batch
from ext.texts import Texts
from tests.counting_core import CountingCore, read, weigh

MIB = 1024 * 1024
START_US = 1_700_000_000_000_000
RULES = RuleSet("dc1", {})


class ListSink:
    """Keeps what it gets; `broken` makes it fail until somebody mends it."""

    def __init__(self, broken: Exception | None = None) -> None:
        self.broken = broken
        self.rows: list[OutRow] = []

    async def open(self) -> None:
        pass

    async def send(self, rows: Sequence[OutRow]) -> None:
        if self.broken is not None:
            raise self.broken
        self.rows.extend(rows)

    async def close(self) -> None:
        pass


class Rig:
    """A pipeline on a folder; build another one on the same folder for the next start.

    deliveries: how sinks are served, where a test says so in a class of its own.
    """

    deliveries: ClassVar[dict[str, Delivering]] = {}

    def __init__(
        self,
        folder: Path,
        sinks: dict[str, Sink] | None = None,
        rules: RuleSet = RULES,
        build: Build | None = None,
        **settings: int,
    ) -> None:
        limits = {"records_max": 10_000, "bytes_max": MIB, "journal_bytes_max": 64 * MIB, "rows_max": 10_000}
        limits |= {"every_bytes": MIB, "keep_bytes": 0, "segment_bytes": MIB}
        limits.update(settings)
        self.now_us = START_US
        self.metrics = Metrics()
        self.sinks = sinks or {"queue": QueueSink("queue", Settings(), folder, self.clock)}
        journal = Journal(
            folder / "journal", bytes_max=limits["journal_bytes_max"], segment_bytes=limits["segment_bytes"]
        )
        try:
            outbox = SqliteOutbox(
                folder / "outbox.sqlite",
                routes={type_: dict.fromkeys(self.sinks, "erp") for type_ in BUSINESS},
                sinks=list(self.sinks),
                rows_max=limits["rows_max"],
            )
            self.letters = DeadLetters(folder / "dead.sqlite", self.clock)
        except Refused:
            journal.close()
            raise
        self.recovery = Recovery(
            rules,
            build or new_slicer,
            journal,
            outbox,
            folder,
            self.metrics,
            self.clock,
            Keep(limits["every_bytes"], limits["keep_bytes"]),
            crashes=self.crashes(folder),
        )
        self.pipeline = Pipeline(
            "dc1",
            self.recovery,
            journal,
            outbox,
            self.sinks,
            self.metrics,
            self.clock,
            Limits(limits["records_max"], limits["bytes_max"]),
            self.letters,
            self.deliveries,
        )

    def crashes(self, folder: Path) -> Crashes | None:
        """Only a process of its own can die."""
        return None

    @property
    def core(self) -> CountingCore:
        core = self.recovery.slicer.core
        assert isinstance(core, CountingCore)
        return core

    def clock(self) -> int:
        return self.now_us

    async def put(self, *names: str) -> None:
        """One delivery that reads these load units; returns once it is acknowledged."""
        acknowledged = asyncio.Event()
        await self.pipeline.put(Delivery("scanner", [read(name, self.now_us) for name in names], acknowledged.set))
        await asyncio.wait_for(acknowledged.wait(), 60)

    async def abandon(self) -> None:
        """As a kill -9 would: nothing is drained, nothing is delivered any more."""
        for task in self.pipeline._tasks:
            task.cancel()
        await self.pipeline._close()


def new_slicer(rules: RuleSet) -> Slicer:
    texts = Texts()
    return Slicer(CountingCore(), make_decoder(texts), Batch(texts))


def queued(folder: Path) -> list[str]:
    queue = Queue(folder / "queue.sqlite")
    entries = queue.read("erp", 0, 100_000)
    queue.close()
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    return [entry.id for entry in entries]


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


def names(first: int, last: int) -> list[str]:
    return [f"LU-{n}" for n in range(first, last + 1)]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await story()

    asyncio.run(bounded())


def test_a_burst_fits_into_a_journal_that_is_as_small_as_can_be(tmp_path: Path) -> None:
    """One group of it would be larger than the whole journal, and wait for room for ever."""

    async def story() -> None:
        rig = Rig(tmp_path, bytes_max=16 * MIB, journal_bytes_max=MIB, segment_bytes=MIB // 16, every_bytes=MIB // 16)
        await rig.pipeline.start()
        async with asyncio.timeout(100):
            await asyncio.gather(*(rig.put(*(f"{n}-{m}-{'X' * 100}" for m in range(20))) for n in range(400)))
        await rig.pipeline.stop()

    run(story)


def test_records_become_events_in_the_queue(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        for n in range(0, 100, 5):
            await rig.put(*names(n + 1, n + 5))
        await rig.pipeline.stop()
        assert rig.metrics.sources["scanner"].records == 100
        assert rig.metrics.sinks["queue"].delivered == 100
        assert rig.metrics.state == "stopped"

    run(story)
    assert queued(tmp_path) == names(1, 100)


def test_nobody_is_acknowledged_before_the_record_is_on_disk(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        segment = tmp_path / "journal" / "00000001.journal"
        found = []
        line = read("LU-1", START_US)
        await rig.pipeline.put(Delivery("scanner", [line], lambda: found.append(line in segment.read_bytes())))
        await until(lambda: bool(found))
        assert found == [True]
        await rig.pipeline.stop()

    run(story)


def test_a_message_with_nothing_in_it_is_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put()
        await rig.pipeline.stop()

    run(story)


def test_a_refused_line_is_counted_for_its_source_and_stops_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.pipeline.put(Delivery("good", [read("LU-1", START_US)]))
        await rig.pipeline.put(Delivery("bad", [b"{", read("LU-2", START_US), b'{"kind":\n"scan.read"}', b"[]"]))
        await rig.put("LU-3")
        await until(lambda: len(rig.metrics.recent) == 3)
        assert rig.metrics.sources["good"].faulty == 0
        assert rig.metrics.sources["bad"].faulty == rig.core.rejected == 4
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == names(1, 3)


def test_the_next_start_continues_where_the_last_one_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        for start in (1, 11, 21):
            rig = Rig(tmp_path)
            await rig.pipeline.start()
            await rig.put(*names(max(1, start - 5), start + 9))
            assert rig.metrics.replayed == 0  # a clean stop leaves a snapshot of all there is
            await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == names(1, 30)


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    async def story() -> None:
        for life in range(6):
            rig = Rig(tmp_path)
            await rig.pipeline.start()
            for n in range(20):
                name = f"LU-{life}-{n}"
                line = read(name, START_US)
                await rig.pipeline.put(Delivery("scanner", [line], partial(acknowledged.append, name)))
                if n == 3 * life:
                    await asyncio.sleep(0.01 * life)
            await rig.abandon()
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.pipeline.stop()

    run(story)
    found = queued(tmp_path)
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)
    assert acknowledged == [name for name in found if name in set(acknowledged)]


def test_time_alone_decides_through_the_journal(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.pipeline.put(Delivery("scale", [weigh("LU-1", START_US)]))
        await until(lambda: rig.core.due_us() > 0)
        await asyncio.sleep(0.1)
        assert not rig.metrics.recent
        rig.now_us += 250_000
        await until(lambda: len(rig.metrics.recent) == 1)
        await rig.abandon()
        assert b'"kind":"clock.tick"' in (tmp_path / "journal" / "00000001.journal").read_bytes()
        again = Rig(tmp_path)  # its clock stands before the decision
        await again.pipeline.start()
        assert [event.id for event in again.metrics.recent] == ["weight-LU-1"]
        await again.pipeline.stop()

    run(story)
    assert queued(tmp_path) == ["weight-LU-1"]


def test_a_dead_sink_stops_nobody_else(tmp_path: Path) -> None:
    async def story() -> None:
        dead, alive = ListSink(ConnectionRefusedError("nobody there")), ListSink()
        rig = Rig(tmp_path, {"dead": dead, "alive": alive})
        await rig.pipeline.start()
        await rig.put(*names(1, 50))
        await until(lambda: len(alive.rows) == 50)
        assert rig.metrics.sinks["dead"].state == "retrying"
        dead.broken = None
        await until(lambda: len(dead.rows) == 50)
        assert [row.id for row in dead.rows] == [row.id for row in alive.rows] == names(1, 50)
        assert rig.metrics.sinks["dead"].state == "up"
        await rig.pipeline.stop()

    run(story)


def test_an_error_that_nobody_knows_holds_its_sink(tmp_path: Path) -> None:
    async def story() -> None:
        odd = ListSink(ArithmeticError("what is this"))
        rig = Rig(tmp_path, {"odd": odd})
        await rig.pipeline.start()
        await rig.put("LU-1")
        await until(lambda: rig.metrics.sinks["odd"].state == "held")
        assert "bug: ArithmeticError" in rig.metrics.sinks["odd"].detail
        await rig.put("LU-2")  # ingest goes on
        await rig.pipeline.stop(0.1)

    run(story)


def test_drivers_wait_while_the_outbox_is_full_and_go_on_afterwards(tmp_path: Path) -> None:
    async def story() -> None:
        sink = ListSink(ConnectionRefusedError("nobody there"))
        rig = Rig(tmp_path, {"sink": sink}, rows_max=10, records_max=20)
        await rig.pipeline.start()
        accepted = itertools.count()

        async def drive() -> None:
            for n in range(1, 201):
                await rig.pipeline.put(Delivery("scanner", [read(f"LU-{n}", START_US)]))
                next(accepted)

        driver = asyncio.create_task(drive())
        await until(lambda: rig.metrics.state == "full" and rig.metrics.intake.waiting == 1)
        await asyncio.sleep(0.2)
        assert not driver.done()
        assert rig.metrics.intake.records == 20
        sink.broken = None
        await driver
        await rig.pipeline.stop()
        assert [row.id for row in sink.rows] == names(1, 200)

    run(story)


def test_a_full_journal_acknowledges_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path, journal_bytes_max=1_000)
        await rig.pipeline.start()
        acknowledged: list[int] = []
        for n in range(1, 31):
            line = read(f"LU-{n}", START_US)
            await rig.pipeline.put(Delivery("scanner", [line], partial(acknowledged.append, n)))
            await asyncio.sleep(0.01)
        await until(lambda: rig.metrics.state == "full")
        assert "1000 bytes" in rig.metrics.detail
        await rig.pipeline.stop()
        assert 0 < len(acknowledged) < 30
        assert queued(tmp_path) == names(1, len(acknowledged))

    run(story)


def test_a_sync_that_fails_stops_the_engine_and_acknowledges_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()

        def fails(file: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("os.fdatasync", fails)
            acknowledged: list[int] = []
            await rig.pipeline.put(Delivery("scanner", [read("LU-1", START_US)], lambda: acknowledged.append(1)))
            with pytest.raises(OSError, match="Input/output"):
                await rig.pipeline.wait()
        await rig.pipeline.stop()
        assert not acknowledged

    run(story)


def test_a_torn_end_of_the_journal_is_reported_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put("LU-1")
        await rig.pipeline.stop()
        with (tmp_path / "journal" / "00000001.journal").open("ab") as file:
            file.write(b"\x40\0\0\0half a frame")
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put("LU-2")
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == ["LU-1", "LU-2"]
    assert "unfinished append" in caplog.text


def test_an_outbox_without_its_journal_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put("LU-1")
        await rig.pipeline.stop()
        (tmp_path / "journal" / "00000001.journal").unlink()
        rig = Rig(tmp_path)
        with pytest.raises(Refused, match="do not belong together"):
            await rig.pipeline.start()
        await rig.pipeline.stop()

    run(story)


def test_an_outbox_that_was_moved_away_is_built_again_and_nothing_is_doubled(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put(*names(1, 20))
        await rig.pipeline.stop()
        for path in tmp_path.glob("outbox.sqlite*"):
            path.unlink()
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put("LU-21")
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == names(1, 21)


def test_two_engines_cannot_have_one_folder(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        with pytest.raises(Refused, match="in use by process"):
            Rig(tmp_path)
        await rig.pipeline.stop()

    run(story)


def test_the_position_of_a_source_survives_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.pipeline.put(Delivery("scanner", [read("LU-1", START_US, seq=41)]))
        await rig.pipeline.stop()
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        assert rig.pipeline.position("dc1/scan/A") == (0, 41)
        await rig.pipeline.stop()

    run(story)


def test_an_acknowledgement_that_fails_stops_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        raise ConnectionResetError("gone")

    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.pipeline.put(Delivery("scanner", [read("LU-1", START_US)], fails))
        await rig.put("LU-2")
        await rig.pipeline.stop()
        assert rig.metrics.sources["scanner"].faults["acknowledgement failed"].count == 1

    run(story)
    assert queued(tmp_path) == ["LU-1", "LU-2"]
