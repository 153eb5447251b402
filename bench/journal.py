"""`journal.append`: what the journal costs, CPU of a record from the drivers' hands to the disk.

CPU time of the whole process counts, the kernel's share of it included: putting a group together, its checksum, the
write, the sync. `sortline` is handed what MQTT's driver makes of a read, `sortline.lines` single lines, as from the
other drivers. The peers do the same for the same groups: one line a write, and rows in an SQLite table. Percentiles are
of one group, and say more about the disk: TMPDIR chooses which.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure import Contestant, Entry, Steps, Turn, costs, of_steps, race
from bench.settings import OURS, Figures, Settings
from engine.contracts import Block, Delivery
from engine.intake import IntakeQueue, Limits
from engine.journal import Journal
from engine.malloc_borders import set_malloc_borders
from engine.metrics import IntakeMetrics
from ext.frames import crc32c

RECORDS_A_DELIVERY = 64
RECORDS_A_GROUP = 4_096
GROUPS = 120
LINE = (
    b'{"kind":"scan.read","lu":"TOTE-%08d","seq":%d,"src":"dc1/sorter/SRT-03","t":1795420800%06d,"t_rx":1795420800%06d}'
)
ROOM_BYTES = 1 << 34
LINES = "sortline.lines"

Append = Callable[[Sequence[Delivery]], object]
"""What takes a group, and has it on the disk when it returns."""


def append(settings: Settings) -> Figures:
    """`crc32c_gb_per_s`: of the checksum alone, by the processor's instruction and by tables."""
    groups = settings.size(GROUPS, 2)
    entries = {name: Entry(contestant, (groups,)) for name, contestant in CONTESTANTS.items()}
    timings, absent = race(entries, settings.runs)
    records = groups * RECORDS_A_GROUP
    ours = timings[OURS]
    return {
        **costs({name: [1e6 * cpu_s / records for cpu_s in timing.cpu] for name, timing in timings.items()}),
        **of_steps({name: [timing.steps] for name, timing in timings.items()}),
        "records": records,
        "rss_mb": round(ours.rss_mb, 1),
        "crc32c_gb_per_s": {
            "instruction": checksum_gb_per_s(portable=False),
            "tables": checksum_gb_per_s(portable=True),
        },
        "absent": absent,
    }


def deliveries() -> list[Delivery]:
    """Those of one group, line by line as most drivers hand them over; the same every time."""
    lines = [LINE % (n, n, n % 10**6, n % 10**6) for n in range(RECORDS_A_GROUP)]
    return [Delivery("scanner", lines[at : at + RECORDS_A_DELIVERY]) for at in range(0, len(lines), RECORDS_A_DELIVERY)]


def _in_blocks() -> list[Delivery]:
    """The same lines as MQTT's driver hands them over, each delivery in one piece."""
    return [
        Delivery(each.source, Block(b"".join(line + b"\n" for line in each.lines), len(each.lines)))
        for each in deliveries()
    ]


def _appending(opened: Callable[[Path], Any], told: Callable[[], list[Delivery]], groups: int) -> Turn:
    group = told()

    def turn(number: int) -> Steps:
        with tempfile.TemporaryDirectory(prefix="sortline-journal-") as folder, opened(Path(folder)) as put:
            for _ in range(groups):
                yield partial(put, group)
        return None

    return turn


@contextmanager
def through_the_journal(folder: Path) -> Iterator[Append]:
    """As the pipeline does it: intake, one group, one append."""
    set_malloc_borders()
    journal = Journal(folder / "journal", bytes_max=ROOM_BYTES)
    list(journal.recover())
    intake = IntakeQueue(Limits(1 << 20, 1 << 30), IntakeMetrics())

    async def put(group: Sequence[Delivery]) -> None:
        for delivery in group:
            await intake.put(delivery, 0)

    with asyncio.Runner() as runner:

        def append(group: Sequence[Delivery]) -> None:
            runner.run(put(group))
            while (taken := intake.take()) is not None:
                journal.append(taken.payload)
                intake.release(taken)

        yield append
    journal.close()


@contextmanager
def line_by_line(folder: Path) -> Iterator[Append]:
    with (folder / "lines.ndjson").open("ab", buffering=1 << 20) as file:

        def append(group: Sequence[Delivery]) -> None:
            for delivery in group:
                for line in delivery.lines:
                    file.write(line + b"\n")
            file.flush()
            os.fdatasync(file.fileno())

        yield append


@contextmanager
def into_sqlite(folder: Path) -> Iterator[Append]:
    file = sqlite3.connect(folder / "lines.sqlite", isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    file.execute("CREATE TABLE lines (line BLOB NOT NULL)")

    def append(group: Sequence[Delivery]) -> None:
        file.execute("BEGIN")
        file.executemany("INSERT INTO lines VALUES (?)", ((line,) for each in group for line in each.lines))
        file.execute("COMMIT")

    yield append
    file.close()


CONTESTANTS: dict[str, Contestant] = {
    OURS: partial(_appending, through_the_journal, _in_blocks),
    LINES: partial(_appending, through_the_journal, deliveries),
    "file.lines": partial(_appending, line_by_line, deliveries),
    "sqlite.wal": partial(_appending, into_sqlite, deliveries),
}


def checksum_gb_per_s(*, portable: bool) -> float:
    data = bytes(range(256)) * 4_096
    began_s = time.perf_counter()
    for _ in range(64):
        crc32c(data, portable)
    return round(64 * len(data) / (time.perf_counter() - began_s) / 1e9, 2)
