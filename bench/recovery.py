"""How long a start takes, against the length of the journal's tail: what came after the last snapshot.

    python -m bench.recovery [RECORDS ...]        default: 10 000, 100 000 and 1 000 000

The journal is written as the engine writes it, the start is the engine's own (`Recovery.run`), with the real core and
outbox. `records`: of the tail; `start_s`: until drivers may connect; `reading_s`: the share of it that reading and
checking the frames takes, without deciding anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.workload import ORDERS, story
from engine.clock import now_us
from engine.contracts import Emitted
from engine.journal import Journal
from engine.metrics import Metrics
from engine.model import BUSINESS
from engine.outbox import SqliteOutbox
from engine.records import make_decoder
from engine.recovery import Keep, Recovery
from engine.rule_book import RuleSet
from engine.slices import Slicer
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

RECORDS = (10_000, 100_000, 1_000_000)
RECORDS_AN_ORDER = 45
ROOM_BYTES = 1 << 36


def slicer(rules: RuleSet) -> Slicer:
    texts = Texts()
    return Slicer(Core(rules.site, texts, rules.rules, rules.sources), make_decoder(texts), Batch(texts))


def tail(records: int) -> Iterator[bytes]:
    """A story's records, as they come, in groups."""
    left = records
    for chunk in story("orders", (records // RECORDS_AN_ORDER + 1) / ORDERS).chunks():
        lines = chunk.splitlines(keepends=True)[:left]
        left -= len(lines)
        if lines:
            yield b"".join(lines)


def figures(records: int, folder: Path) -> dict[str, object]:
    """Of one tail."""
    journal = Journal(folder / "journal", bytes_max=ROOM_BYTES)
    list(journal.recover())
    written = 0
    for payload in tail(records):
        journal.append(payload)
        written += payload.count(b"\n")
    journal.close()
    reading = Journal(folder / "journal", bytes_max=ROOM_BYTES)
    began_s = time.perf_counter()
    size = sum(map(len, reading.recover()))
    reading_s = time.perf_counter() - began_s
    reading.close()
    began_s = time.perf_counter()
    asyncio.run(_start(folder))
    start_s = time.perf_counter() - began_s
    return {
        "case": "recovery.tail",
        "records": written,
        "mb": round(size / 1e6, 1),
        "reading_s": round(reading_s, 3),
        "start_s": round(start_s, 3),
        "records_per_s": round(written / start_s),
    }


async def _start(folder: Path) -> None:
    journal = Journal(folder / "journal", bytes_max=ROOM_BYTES)
    outbox = SqliteOutbox(
        folder / "outbox.sqlite",
        routes={type_: {"queue": "erp"} for type_ in BUSINESS},
        sinks=["queue"],
        rows_max=10**9,
    )

    async def publish(events: list[Emitted]) -> None:
        if events:
            await asyncio.to_thread(outbox.append, events)

    keep = Keep(ROOM_BYTES, ROOM_BYTES)
    recovery = Recovery(RuleSet("dc1", {}), slicer, journal, outbox, folder, Metrics(), now_us, keep)
    await recovery.run(publish)
    outbox.close()
    journal.close()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for count in [int(text) for text in sys.argv[1:]] or RECORDS:
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps(figures(count, Path(place))), flush=True)
