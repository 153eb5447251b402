"""A disk that fills up under a running engine, and a stop under load: what was acknowledged arrives in any case."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from engine.contracts import Delivery, Emitted
from engine.overload import Overload, Policy
from engine.segment_folder import SegmentFolder
from engine.shed_gaps import NAME, ShedGaps
from tests.counting_core import read
from tests.integration.test_pipeline import RULES, START_US, Rig, names, queued, run, until

STOP_S_MAX = 10.0


class Share:
    def __init__(self) -> None:
        self.used = 0.1

    def __call__(self) -> float:
        return self.used


def rig_with(folder: Path, share: Share, **settings: int) -> Rig:
    rig = Rig(folder, None, RULES, None, **settings)
    rig.pipeline._overload = Overload(Policy(), {"the disk": share}, ShedGaps(folder / NAME))
    return rig


def recorded(folder: Path) -> bytes:
    segments = SegmentFolder(folder / "journal")
    return b"".join(part.payload or b"" for number in segments.numbers() for part in segments.parts(number))


def test_polls_are_shed_first_then_nobody_is_acknowledged_and_it_ends_by_itself(tmp_path: Path) -> None:
    share = Share()
    owed: list[str] = []

    async def poll(rig: Rig, name: str) -> None:
        await rig.pipeline.put(Delivery("plc", [read(name, START_US, src="dc1/plc/A", t=START_US)]))

    async def send(rig: Rig, name: str) -> None:
        await rig.pipeline.put(Delivery("broker", [read(name, START_US)], partial(owed.append, name)))

    async def story() -> None:
        rig = rig_with(tmp_path, share)
        await rig.pipeline.start()
        await poll(rig, "POLL-1")
        await send(rig, "QOS-1")
        await until(lambda: owed == ["QOS-1"])
        share.used = 0.95
        await until(lambda: rig.metrics.overload == "shed")
        await poll(rig, "POLL-shed")
        await rig.pipeline.put(Delivery("plc", [b'{"kind":"link.down","src":"dc1/plc/A","t_rx":1}']))
        await send(rig, "QOS-2")
        await until(lambda: owed == ["QOS-1", "QOS-2"])
        assert rig.metrics.source("plc").shed == 1
        share.used = 1.0
        await until(lambda: rig.metrics.overload == "wait")
        assert rig.metrics.state == "full"
        assert rig.metrics.detail == "the disk is 100 % full"
        await asyncio.sleep(0.6)  # whoever was just being taken is through
        await send(rig, "QOS-3")
        await poll(rig, "POLL-shed-too")
        await asyncio.sleep(0.5)
        assert owed == ["QOS-1", "QOS-2"]
        share.used = 0.2
        await until(lambda: owed == ["QOS-1", "QOS-2", "QOS-3"])
        await until(lambda: rig.metrics.state == "running")
        await poll(rig, "POLL-2")
        await until(lambda: b'"source.gap"' in recorded(tmp_path))
        await rig.pipeline.stop()
        assert rig.metrics.source("plc").shed == 2

    run(story)
    assert queued(tmp_path) == ["POLL-1", "QOS-1", "QOS-2", "QOS-3", "POLL-2"]
    (gap,) = [line for line in recorded(tmp_path).splitlines() if b'"source.gap"' in line]
    assert b'"src":"dc1/plc/A"' in gap
    assert b'"count":2' in gap


def test_a_stop_while_polls_are_shed_tells_of_the_gap(tmp_path: Path) -> None:
    share = Share()

    async def story() -> None:
        rig = rig_with(tmp_path, share)
        await rig.pipeline.start()
        share.used = 0.95
        await until(lambda: rig.metrics.overload == "shed")
        await rig.pipeline.put(Delivery("plc", [read("POLL-shed", START_US, src="dc1/plc/A", t=START_US)]))
        await rig.pipeline.stop()

    run(story)
    (gap,) = recorded(tmp_path).splitlines()
    assert b'"source.gap"' in gap
    assert b'"count":1' in gap


@pytest.mark.parametrize("damage", ["none", "a flipped bit", "cut", "a folder"])
def test_what_was_shed_before_a_kill_is_told_by_the_next_start_once(tmp_path: Path, damage: str) -> None:
    share = Share()
    kept = tmp_path / NAME

    async def killed() -> None:
        rig = rig_with(tmp_path, share)
        await rig.pipeline.start()
        share.used = 0.95
        await until(lambda: rig.metrics.overload == "shed")
        for n in range(3):
            await rig.pipeline.put(Delivery("plc", [read(f"P-{n}", START_US, src="dc1/plc/A", t=START_US + n)]))
        await until(lambda: kept.exists() and b",3]" in kept.read_bytes())
        await rig.abandon()

    async def again() -> None:
        share.used = 0.1
        rig = rig_with(tmp_path, share)
        await rig.pipeline.start()
        await rig.put("LU-1")
        await until(lambda: not kept.exists())
        await rig.pipeline.stop()

    run(killed)
    content = bytearray(kept.read_bytes())
    if damage == "a flipped bit":
        content[60] ^= 1
    kept.write_bytes(content[:-9] if damage == "cut" else content)
    if damage == "a folder":
        kept.unlink()
        kept.mkdir()
    run(again)
    run(again)
    gaps = [json.loads(line) for line in recorded(tmp_path).splitlines() if b'"source.gap"' in line]
    told = [(gap["src"], gap["t_from"] - START_US, gap["t_to"] - START_US, gap["count"]) for gap in gaps]
    lost = damage in ("cut", "a folder")
    assert told == ([] if lost else [("dc1/plc/A", 0, 2, 3)])
    assert (tmp_path / f"{NAME}.bad").exists() == lost


def test_what_snapshots_stand_for_goes_before_anybody_has_to_wait(tmp_path: Path) -> None:
    share = Share()

    async def story() -> None:
        rig = rig_with(tmp_path, share, every_bytes=1_000, segment_bytes=2_000, keep_bytes=1 << 24)
        await rig.pipeline.start()
        for n in range(0, 200, 5):
            await rig.put(*names(n + 1, n + 5))
        before = rig.metrics.journal.bytes
        assert SegmentFolder(tmp_path / "journal").numbers()[0] == 1
        share.used = 0.75
        await until(lambda: SegmentFolder(tmp_path / "journal").numbers()[0] > 1)
        await rig.put(*names(201, 205))
        assert rig.metrics.journal.bytes < before
        assert rig.metrics.state == "running"
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == names(1, 205)


def test_a_start_that_finds_no_room_makes_it(tmp_path: Path) -> None:
    share = Share()
    small = {"every_bytes": 1_000, "segment_bytes": 2_000, "keep_bytes": 1 << 24}

    async def story() -> None:
        rig = rig_with(tmp_path, share, **small)
        await rig.pipeline.start()
        for n in range(0, 200, 5):
            await rig.put(*names(n + 1, n + 5))
        await rig.pipeline.stop()
        assert SegmentFolder(tmp_path / "journal").numbers()[0] == 1
        share.used = 1.0
        rig = rig_with(tmp_path, share, **small)
        await rig.pipeline.start()
        await until(lambda: SegmentFolder(tmp_path / "journal").numbers()[0] > 1)
        share.used = 0.1
        await rig.put(*names(201, 205))
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == names(1, 205)


def test_snapshots_that_could_not_be_written_are_written_when_room_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device was full while the journal grew to its cap; then others gave room back, and no record comes in."""
    share = Share()

    def fails(self: object, snapshot: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def story() -> None:
        rig = rig_with(tmp_path, share, every_bytes=1_000, segment_bytes=2_000, keep_bytes=1 << 24)
        await rig.pipeline.start()
        for n in range(0, 50, 5):  # one after the other: on a busy machine a single snapshot would stand for them all
            await rig.put(*names(n + 1, n + 5))
            await until(lambda: not rig.metrics.intake.records and not rig.pipeline._at_rest.locked())
        await until(lambda: rig.recovery._snapshots.oldest_needed is not None)
        await until(lambda: not rig.pipeline._at_rest.locked())
        needed = rig.recovery._snapshots.oldest_needed
        assert needed is not None
        with monkeypatch.context() as patch:
            patch.setattr("engine.snapshots.Snapshots.write", fails)
            for n in range(50, 200, 5):
                await rig.put(*names(n + 1, n + 5))
            share.used = 1.0
            await until(lambda: rig.metrics.overload == "wait")
            await asyncio.sleep(0.5)
        await until(lambda: rig.recovery._snapshots.oldest_needed != needed)
        await until(lambda: SegmentFolder(tmp_path / "journal").numbers()[0] >= needed.segment)
        share.used = 0.1
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == names(1, 200)


def test_a_stop_under_load_is_quick_and_loses_nothing(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    numbers = itertools.count()

    async def drive(rig: Rig) -> None:
        while True:
            mine = [f"LU-{next(numbers)}" for _ in range(20)]
            lines = [read(name, START_US) for name in mine]
            await rig.pipeline.put(Delivery("scanner", lines, partial(acknowledged.extend, mine)))

    async def story() -> None:
        for _ in range(2):
            rig = Rig(tmp_path, records_max=2_000, rows_max=1_000_000)
            await rig.pipeline.start()
            before = len(acknowledged)
            drivers = [asyncio.create_task(drive(rig)) for _ in range(5)]
            await until(lambda: len(acknowledged) > before + 3_000)  # noqa: B023 - called in this turn
            began_s = time.monotonic()
            for driver in drivers:
                driver.cancel()
            await rig.pipeline.stop(6.0)
            assert time.monotonic() - began_s < STOP_S_MAX
        last = Rig(tmp_path)
        await last.pipeline.start()
        await last.pipeline.stop(20.0)

    run(story)
    found = queued(tmp_path)
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)


def test_acknowledgements_wait_for_no_thread_that_waits_for_something_else(tmp_path: Path) -> None:
    """Databases that another process holds for seconds may have all of those that are shared."""
    released = threading.Event()
    acknowledged: list[str] = []

    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put("LU-1")
        loop = asyncio.get_running_loop()
        waiting = [loop.run_in_executor(None, released.wait, 60) for _ in range(100)]
        try:
            for name in ("LU-2", "LU-3"):
                await rig.pipeline.put(Delivery("scanner", [read(name, START_US)], partial(acknowledged.append, name)))
                await until(lambda: acknowledged[-1:] == [name])  # noqa: B023 - called before the next turn
            assert not any(work.done() for work in waiting)
        finally:
            released.set()
        await asyncio.gather(*waiting)
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == ["LU-1", "LU-2", "LU-3"]


def test_no_space_for_the_outbox_is_waited_out(tmp_path: Path) -> None:
    """Accepted is accepted: what was acknowledged meanwhile arrives once there is space."""

    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.put("LU-1")
        append, full = rig.pipeline._outbox.append, True

        def no_space(events: Sequence[Emitted]) -> None:
            if full:
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise error
            append(events)

        rig.pipeline._outbox.append = no_space  # type: ignore[method-assign]
        await rig.put("LU-2")
        await until(lambda: rig.metrics.state == "full")
        assert "the outbox takes nothing now" in rig.metrics.detail
        await rig.put("LU-3")
        full = False
        await until(lambda: rig.metrics.state == "running")
        await rig.pipeline.stop()

    run(story)
    assert queued(tmp_path) == ["LU-1", "LU-2", "LU-3"]
