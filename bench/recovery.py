"""`recovery.tail`: how long a start takes, against the length of the journal's tail: what came after the last snapshot.

The journal is written as the engine writes it, the start is the engine's own (`Recovery.run`), with the real core and
outbox: read, check, decide, and tell the outbox what was never told. Each start has a data folder of its own.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import statistics
import tempfile
from functools import partial
from pathlib import Path

from bench.floor import Floor, cartons_for
from bench.measure import Entry, Measured, Steps, Turn, percentile, race
from bench.ours import SITE
from bench.settings import Figures, Settings
from bench.workload import Story, floor_story
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
ROOM_BYTES = 1 << 36


def tail(settings: Settings) -> Figures:
    """Every length in a process of its own; the headline is the longest's. `start_s`: until drivers may connect;
    `reading_s`: what reading and checking the frames takes, without deciding anything."""
    lengths = sorted({settings.size(records, 500) for records in RECORDS})
    told = {length: floor_story(Floor(cartons_for(length))) for length in lengths}
    entries = {str(length): Entry(starting, (story,)) for length, story in told.items()}
    timings, absent = race(entries, settings.runs)
    points = [_point(timing) for timing in timings.values()]
    longest = list(timings.values())[-1]
    return {
        "start_s": points[-1]["start_s"],
        "records": points[-1]["records"],
        "records_per_s": round(points[-1]["records"] / points[-1]["start_s"]),
        "p50_ms": round(1_000 * percentile(longest.steps[1::2], 0.5), 1),
        "p99_ms": round(1_000 * percentile(longest.steps[1::2], 0.99), 1),
        "rss_mb": round(longest.rss_mb, 1),
        "points": points,
        "absent": absent,
    }


def _point(timing: Measured) -> Figures:
    return {
        "records": timing.facts["records"],
        "start_s": round(statistics.median(timing.steps[1::2]), 3),
        "reading_s": round(statistics.median(timing.steps[0::2]), 3),
        "mb": timing.facts["mb"],
        "events": timing.facts["events"],
    }


def starting(story: Story) -> Turn:
    logging.disable(logging.CRITICAL)
    home = tempfile.TemporaryDirectory(prefix="sortline-recovery-")  # for as long as this process lives
    written = Path(home.name, "written")
    journal = Journal(written / "journal", bytes_max=ROOM_BYTES)
    list(journal.recover())
    for payload in story.chunks():
        journal.append(payload)
    journal.close()

    def turn(number: int) -> Steps:
        folder = Path(home.name, "start")
        shutil.copytree(written, folder)
        told: list[int] = []
        yield partial(_read, written / "journal")
        yield lambda: told.append(asyncio.run(_start(folder)))
        shutil.rmtree(folder)
        return {"records": story.records, "mb": round(story.path.stat().st_size / 1e6, 1), "events": sum(told)}

    return turn


def _read(folder: Path) -> int:
    journal = Journal(folder, bytes_max=ROOM_BYTES)
    size = sum(map(len, journal.recover()))
    journal.close()
    return size


async def _start(folder: Path) -> int:
    """How many events were told."""
    journal = Journal(folder / "journal", bytes_max=ROOM_BYTES)
    outbox = SqliteOutbox(
        folder / "outbox.sqlite",
        routes={type_: {"queue": "erp"} for type_ in BUSINESS},
        sinks=["queue"],
        rows_max=10**9,
    )
    told = 0

    async def publish(events: list[Emitted]) -> None:
        nonlocal told
        if events:
            await asyncio.to_thread(outbox.append, events)
            told += len(events)

    keep = Keep(ROOM_BYTES, ROOM_BYTES)
    recovery = Recovery(RuleSet(SITE, {}), _slicer, journal, outbox, folder, Metrics(), now_us, keep)
    await recovery.run(publish)
    outbox.close()
    journal.close()
    return told


def _slicer(rules: RuleSet) -> Slicer:
    texts = Texts()
    return Slicer(Core(rules.site, texts, rules.rules, rules.sources), make_decoder(texts), Batch(texts))
