"""What the journal costs: CPU of a record, from the drivers' hands to the disk, and syncs a second.

    python -m bench.journal [FOLDER]        on the device of FOLDER; the default is a temporary one

CPU time of the whole process counts, the kernel's share of it included: putting a group together, its checksum, the
write, the sync. The peers do the same for the same groups: one line a write, and rows in an SQLite table.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.contracts import Delivery
from engine.intake import IntakeQueue, Limits
from engine.journal import Journal
from engine.metrics import IntakeMetrics
from ext.frames import crc32c

RECORDS_A_DELIVERY = 64
RECORDS_A_GROUP = 4_096
GROUPS = 120
LINE = (
    b'{"kind":"scan.read","lu":"TOTE-%08d","seq":%d,"src":"dc1/sorter/SRT-03","t":1795420800%06d,"t_rx":1795420800%06d}'
)
ROOM_BYTES = 1 << 34

Step = Callable[[Sequence[Delivery]], None]


class Cost(NamedTuple):
    """cpu_us: of one record, the median over the groups; cpu_us_best: of the quickest group, which tells most on a
    machine that does other things as well. p50_ms, p99_ms: of a whole append."""

    cpu_us: float
    cpu_us_best: float
    p50_ms: float
    p99_ms: float

    def figures(self, case: str) -> dict[str, object]:
        return {"case": case, **{name: round(value, 4) for name, value in self._asdict().items()}}


def groups() -> list[list[Delivery]]:
    """The same records every time, as drivers hand them over."""
    lines = [LINE % (n, n, n % 10**6, n % 10**6) for n in range(RECORDS_A_GROUP)]
    deliveries = [
        Delivery("scanner", lines[at : at + RECORDS_A_DELIVERY]) for at in range(0, len(lines), RECORDS_A_DELIVERY)
    ]
    return [deliveries] * GROUPS


def through_the_journal(folder: Path) -> Step:
    """As the pipeline does it: intake, one group, one append."""
    journal = Journal(folder / "journal", bytes_max=ROOM_BYTES)
    list(journal.recover())
    intake = IntakeQueue(Limits(1 << 20, 1 << 30), IntakeMetrics())

    async def put(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await intake.put(delivery, 0)

    loop = asyncio.new_event_loop()

    def step(deliveries: Sequence[Delivery]) -> None:
        loop.run_until_complete(put(deliveries))
        while (group := intake.take()) is not None:
            journal.append(group.payload)
            intake.release(group)

    return step


def line_by_line(folder: Path) -> Step:
    file = (folder / "lines.ndjson").open("ab", buffering=1 << 20)

    def step(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            for line in delivery.lines:
                file.write(line + b"\n")
        file.flush()
        os.fdatasync(file.fileno())

    return step


def into_sqlite(folder: Path) -> Step:
    file = sqlite3.connect(folder / "lines.sqlite", isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    file.execute("CREATE TABLE lines (line BLOB NOT NULL)")

    def step(deliveries: Sequence[Delivery]) -> None:
        file.execute("BEGIN")
        file.executemany("INSERT INTO lines VALUES (?)", ((line,) for each in deliveries for line in each.lines))
        file.execute("COMMIT")

    return step


CONTESTANTS: dict[str, Callable[[Path], Step]] = {
    "sortline": through_the_journal,
    "file.lines": line_by_line,
    "sqlite.wal": into_sqlite,
}


def cost(step: Step, work: Sequence[Sequence[Delivery]]) -> Cost:
    cpu, walls = [], []
    step(work[0])
    for deliveries in work:
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        step(deliveries)
        cpu.append(time.process_time() - cpu_s)
        walls.append(time.perf_counter() - wall_s)
    records = sum(len(delivery.lines) for delivery in work[0])
    walls.sort()
    cpu.sort()
    return Cost(
        1e6 * cpu[len(cpu) // 2] / records,
        1e6 * cpu[0] / records,
        1e3 * walls[len(walls) // 2],
        1e3 * walls[min(len(walls) * 99 // 100, len(walls) - 1)],
    )


def checksum_bytes_per_s(*, portable: bool) -> float:
    data = bytes(range(256)) * 4_096
    began_s = time.perf_counter()
    for _ in range(64):
        crc32c(data, portable)
    return 64 * len(data) / (time.perf_counter() - began_s)


def run(folder: Path) -> list[dict[str, object]]:
    """One set of figures a contestant."""
    work = groups()
    figures = []
    for name, contestant in CONTESTANTS.items():
        with tempfile.TemporaryDirectory(dir=folder) as place:
            figures.append(cost(contestant(Path(place)), work).figures(f"journal.{name}"))
    for portable in (False, True):
        rate = checksum_bytes_per_s(portable=portable)
        figures.append({"case": f"crc32c.{'tables' if portable else 'instruction'}", "gb_per_s": round(rate / 1e9, 2)})
    return figures


if __name__ == "__main__":
    for line in run(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir())):
        print(json.dumps(line))
