"""A disk without room, a real one: nothing is sent twice for it, nothing stops, and it goes on when there is room."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from engine import delivery, recovery, start_room
from engine.cli import main
from engine.config.load import load_site
from engine.contracts import OutRow
from engine.errors import Full, QueueFull
from engine.journal import Position
from engine.outbox import SqliteOutbox
from engine.rule_book import RuleBook
from engine.run import StoppedEarly, begun
from engine.sinks.queue import Queue
from engine.snapshots import Snapshot, Snapshots
from engine.sqlite_file import MAP_BYTES, open_file
from tests.integration import test_app as app
from tests.integration.test_app import lines_protocol, picks, site  # noqa: F401 - a fixture for all tests
from tests.integration.test_pipeline import RULES, ListSink, Rig, names, run, until
from tests.unit.test_delivery import Delivery, ScriptedSink
from tests.unit.test_delivery import names as told
from tests.unit.test_outbox import emitted, opened

KIB = 1024
MIB = KIB * KIB
KILLED = 9


class GatedSink(ListSink):
    """Takes nothing until it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def send(self, rows: Sequence[OutRow]) -> None:
        await self.gate.wait()
        await super().send(rows)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "sortline-test", str(tmp_path)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted by this user: {made.stderr.strip()}")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path) -> Callable[[], None]:
    """To the last byte; what is returned gives it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (64 * KIB, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler.unlink


OPEN_AND_WRITE = """
import os, sys
from pathlib import Path
from engine.sqlite_file import open_file, passes
import sqlite3
path = Path(sys.argv[1])
try:
    file = open_file(path, ["CREATE TABLE t (a)"], 1, "")
    for _ in range(200):
        file.execute("INSERT INTO t VALUES (?)", (os.urandom(500),))
except sqlite3.OperationalError as error:
    assert passes(error), error
    print("full", flush=True)  # `_exit` does not write out what is buffered
os._exit(0)  # as a kill leaves it
"""


@pytest.fixture
def small_blocks(tmp_path: Path) -> Iterator[Path]:
    """A file system whose blocks are smaller than a page of memory, as mkfs makes it on a small device."""
    device, disk = tmp_path / "device", tmp_path / "disk"
    disk.mkdir()
    device.touch()
    os.truncate(device, 8 * KIB * KIB)
    for command in (
        ["mkfs.ext4", "-q", "-F", "-b", "1024", str(device)],
        ["mount", "-o", "loop", str(device), str(disk)],
    ):
        try:
            made = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            pytest.skip(str(error))
        if made.returncode:
            pytest.skip(f"a small disk cannot be mounted by this user: {made.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_no_hole_in_a_map_ends_the_process(small_blocks: Path) -> None:
    """SQLite maps a file with holes where blocks are small: the first touch of one on a full disk is a SIGBUS."""
    command = [sys.executable, "-c", OPEN_AND_WRITE, str(small_blocks / "x.sqlite")]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert (killed.returncode, killed.stdout) == (0, ""), killed.stderr
    give_back = fill(small_blocks)
    full = subprocess.run(command, capture_output=True, text=True)
    assert (full.returncode, full.stdout) == (0, "full\n"), full.stderr
    give_back()
    for _ in range(2):  # the second time with an empty log: nothing is touched until something is written
        file = open_file(small_blocks / "x.sqlite", ["CREATE TABLE t (a)"], 1, "")
        assert 512 * (small_blocks / "x.sqlite-shm").stat().st_blocks >= MAP_BYTES
        file.close()


def test_a_delivery_that_cannot_be_written_down_is_written_down_later(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PROBE_S", 0.1)

    async def story() -> None:
        sink = GatedSink()
        rig = Rig(small_disk, {"erp": sink}, segment_bytes=64 * KIB)
        await rig.pipeline.start()
        await rig.put(*names(1, 20))
        await until(lambda: rig.metrics.emitted == 20)
        give_back = fill(small_disk)
        sink.gate.set()
        await until(lambda: rig.metrics.sinks["erp"].state == "held")
        assert "disk is full" in rig.metrics.sinks["erp"].detail
        await asyncio.sleep(0.5)
        assert len(sink.rows) == 20
        give_back()
        await rig.put("LU-21")
        await until(lambda: rig.metrics.sinks["erp"].delivered == 21)
        assert [row.id for row in sink.rows] == names(1, 21)
        assert rig.metrics.sinks["erp"].state == "up"
        await rig.pipeline.stop()

    run(story)


def killed_with_a_backlog(folder: Path) -> None:
    """A process of its own, which ends as by kill -9."""

    async def story() -> None:
        rig = Rig(folder, {"erp": GatedSink()}, segment_bytes=64 * KIB)
        await rig.pipeline.start()
        await rig.put(*names(1, 20))
        await until(lambda: rig.metrics.emitted == 20)
        os._exit(KILLED)

    run(story)


def leave_a_backlog(folder: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=killed_with_a_backlog, args=(folder,))
    process.start()
    process.join(120)
    assert process.exitcode == KILLED


def test_a_start_on_a_full_disk_delivers_what_it_has(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "PROBE_S", 0.1)
    leave_a_backlog(small_disk)
    give_back = fill(small_disk)

    async def story() -> None:
        sink = GatedSink()
        sink.gate.set()
        rig = Rig(small_disk, {"erp": sink}, segment_bytes=64 * KIB)
        await rig.pipeline.start()
        await until(lambda: len(sink.rows) == 20)
        give_back()
        await rig.put("LU-21")
        await until(lambda: rig.metrics.sinks["erp"].delivered == 21)
        assert [row.id for row in sink.rows] == names(1, 21)
        await rig.pipeline.stop()

    run(story)


def test_rules_that_cannot_be_written_down_wait_for_room(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decided by them before that; what waits for the sinks goes meanwhile."""
    monkeypatch.setattr(delivery, "PROBE_S", 0.1)
    leave_a_backlog(small_disk)
    (small_disk / "rules.json").write_bytes(b"?")
    give_back = fill(small_disk)

    async def story() -> None:
        sink = GatedSink()
        sink.gate.set()
        rig = Rig(small_disk, {"erp": sink}, segment_bytes=64 * KIB)
        starting = asyncio.create_task(rig.pipeline.start())
        await until(lambda: len(sink.rows) == 20)
        await asyncio.sleep(2 * recovery.FULL_S)
        assert not starting.done()
        give_back()
        await starting
        await rig.put("LU-21")
        await until(lambda: rig.metrics.sinks["erp"].delivered == 21)
        await rig.pipeline.stop()
        held = RuleBook(small_disk / "rules.json").held_at(Position(99, 0))
        assert held is not None and held.same(RULES)

    run(story)


def stopped_cleanly(disk: Path) -> Path:
    """A site file, its lines in the file of a source; all that they said is delivered."""
    path = site(disk, one=f'file = "{picks(disk, "one", "T-1", "T-2")}"')
    path.write_text(path.read_text().replace("[engine]", "[engine]\njournal_bytes_max = 1048576"))
    app.run(path, app.delivered(2))
    return path


def test_a_start_on_a_full_disk_after_a_clean_stop(small_disk: Path) -> None:
    """The stop took the -shm files away, which SQLite needs to open anything."""
    path = stopped_cleanly(small_disk)
    give_back = fill(small_disk)
    engine, _ = app.run(path, lambda engine: engine.metrics.state == "full")
    assert engine.metrics.sink("queue").failures == 0
    give_back()
    app.run(path, lambda engine: engine.metrics.journal.appends > 0)
    assert len(app.queued(small_disk)) == 2


def test_a_damaged_outbox_on_a_full_disk_waits_for_room(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is put aside once there is room for the new one, not before; the start waits for that by itself."""
    path = stopped_cleanly(small_disk)
    with sqlite3.connect(small_disk / "data" / "outbox.sqlite") as file:
        file.execute("UPDATE last SET sequence = 7")
    file.close()
    start_room.give_back(small_disk / "data")
    give_back = fill(small_disk)

    async def story() -> None:
        stop = asyncio.Event()
        starting = asyncio.create_task(begun(load_site(path), stop))
        await until(lambda: "the start waits for room" in caplog.text)
        await asyncio.sleep(0.1)
        assert not starting.done()
        assert not list((small_disk / "data").glob("*.bad"))
        give_back()
        engine = await starting
        stop.set()
        await engine.run(stop)

    run(story)
    assert (small_disk / "data" / "outbox.sqlite.bad").exists()


def test_a_start_on_a_disk_that_can_only_be_read_waits_for_it(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended with exit code 1, after which nothing starts it again: a person had to, once the disk was mended."""
    path = stopped_cleanly(small_disk)

    def mounted(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_disk)], check=True)

    async def story() -> None:
        stop = asyncio.Event()
        starting = asyncio.create_task(begun(load_site(path), stop))
        await until(lambda: "the start waits for a disk that can be written to: " in caplog.text)
        assert not starting.done()
        mounted("rw")
        engine = await starting
        stop.set()
        await engine.run(stop)

    mounted("ro")
    try:
        run(story)
    finally:
        mounted("rw")
    assert len(app.queued(small_disk)) == 2


def test_a_repair_on_a_full_disk_puts_nothing_aside_that_is_whole(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They cannot be opened, which says nothing against them."""
    stopped_cleanly(small_disk)
    data = small_disk / "data"
    start_room.give_back(data)
    there = sorted(data.rglob("*"))
    give_back = fill(small_disk)
    assert main(["fsck", "--repair", str(data)]) == 1
    told = capsys.readouterr().out
    assert f"not repaired: {data / 'outbox.sqlite'}: cannot be read" in told
    assert "nothing had to be repaired" in told
    assert main(["queue", "list", str(data / "queue.sqlite")]) == 1
    give_back()
    assert main(["fsck", "--repair", str(data)]) == 0
    assert {path for path in data.rglob("*") if path.suffix not in (".sqlite-shm", ".sqlite-wal")} <= set(there)


def test_a_start_that_waits_for_room_is_stopped_like_any_other(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was said to be refused (exit code 1): a unit that was stopped stood as failed."""
    path = stopped_cleanly(small_disk)
    start_room.give_back(small_disk / "data")
    fill(small_disk)

    async def story() -> None:
        stop = asyncio.Event()
        starting = asyncio.create_task(begun(load_site(path), stop))
        await until(lambda: "the start waits for room" in caplog.text)
        stop.set()
        with pytest.raises(StoppedEarly):
            await starting

    run(story)


def fill_with_events(outbox: SqliteOutbox) -> int:
    """Until it takes no more; how many it has then."""
    for first in count(outbox.last_sequence() + 1, 50):
        try:
            outbox.append([emitted(n, "x" * 300 + str(n)) for n in range(first, first + 50)])
        except Full as error:
            assert "no more room is left on its device than it takes to let them go" in str(error)
            return first - 1
    raise AssertionError


def test_what_waits_for_a_sink_leaves_room_to_let_it_go(small_disk: Path) -> None:
    """Else no cursor could move ever again: a sink that was away for long would be held until a person made room. What
    is empty in the file afterwards goes back to the device, for snapshots and the journal."""
    outbox = opened(small_disk, "erp", rows_max=10**6)
    told = fill_with_events(outbox)
    assert told > 1_000
    lane = outbox.lanes("erp")[0].number
    while rows := outbox.read(lane, 512):
        outbox.advance(lane, rows[-1].position, delivered=len(rows))
    before = os.statvfs(small_disk).f_bavail
    assert outbox.shrink()
    assert not outbox.shrink()
    assert os.statvfs(small_disk).f_bavail > before + MIB // 4096
    assert fill_with_events(outbox) > told + 1_000
    outbox.close()
    outbox = opened(small_disk, "erp", rows_max=10**6)
    assert outbox.last_sequence() > told + 1_000
    outbox.close()


def test_a_queue_that_nobody_reads_leaves_room_for_the_cursors_of_other_sinks(small_disk: Path) -> None:
    """It took the device's last byte: a sink that was well was held then, as nothing could leave the outbox."""
    outbox = opened(small_disk, "erp", rows_max=10**6)
    outbox.append([emitted(n, "x" * 300) for n in range(1, 501)])
    queue = Queue(small_disk / "queue.sqlite")
    rows = [OutRow(n, f"e{n}", "t", "q", "k", b"x" * 300) for n in range(1, 20_001)]
    put = 0
    with pytest.raises(QueueFull, match="no more room is left on its device"):
        for put in range(0, len(rows), 20):
            queue.put(rows[put : put + 20])
    assert put > 1_000
    lane = outbox.lanes("erp")[0].number
    while waiting := outbox.read(lane, 50):
        outbox.advance(lane, waiting[-1].position, delivered=len(waiting))
    queue.close()
    outbox.close()


def test_a_snapshot_leaves_room_for_the_cursors(small_disk: Path) -> None:
    snapshots = Snapshots(small_disk)
    snapshots.write(Snapshot(Position(1, 48), 0, RULES, b"first"))
    give_back = fill(small_disk)
    give_back()
    with (small_disk / "filler").open("wb", buffering=0) as file:
        file.truncate(0)
        os.posix_fallocate(file.fileno(), 0, os.statvfs(small_disk).f_bavail * 4 * KIB - 96 * KIB)
    with pytest.raises(OSError, match="find no room"):
        snapshots.write(Snapshot(Position(1, 56), 0, RULES, os.urandom(64 * KIB)))
    assert snapshots.has_no_room
    assert [path.name for path in small_disk.glob("*.new")] == []
    (small_disk / "filler").unlink()
    assert not snapshots.has_no_room
    snapshots.write(Snapshot(Position(1, 56), 0, RULES, os.urandom(64 * KIB)))


def test_an_outbox_that_another_process_holds_only_holds_the_lane(tmp_path: Path) -> None:
    served = Delivery(tmp_path, ScriptedSink())
    served.outbox._file.execute("PRAGMA busy_timeout = 1")
    served.tell(1, 3)
    with sqlite3.connect(tmp_path / "outbox.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        served.until(lambda: served.metrics.state == "held")
        assert "outbox: database is locked" in served.metrics.detail
        other.execute("ROLLBACK")
    served.until_empty()
    assert served.ids == told(1, 3)
    served.close()


def test_an_outbox_that_another_process_holds_is_not_written_anew(tmp_path: Path) -> None:
    outbox = opened(tmp_path, "erp", rows_max=10**6)
    outbox._file.execute("PRAGMA busy_timeout = 1")
    outbox.append([emitted(n, "x" * 300 + str(n)) for n in range(1, 5_001)])
    outbox.advance(outbox.lanes("erp")[0].number, 5_000, delivered=5_000)
    with sqlite3.connect(tmp_path / "outbox.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not outbox.shrink()
        other.execute("ROLLBACK")
    assert outbox.shrink()
    outbox.close()


def test_a_start_with_nothing_new_writes_nothing_into_the_outbox(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.append([emitted(1), emitted(2)])
    outbox.close()
    outbox = opened(tmp_path)
    assert (tmp_path / "outbox.sqlite-wal").stat().st_size == 0
    outbox.close()
