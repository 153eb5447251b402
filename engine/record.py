"""`sortline record`: the canonical stream to a file, as it arrives, through the same drivers as `run`.

    put ──► intake ──► file (synced) ──► ack ──► decoder ──► core

The core decides nothing here: it knows how far each source has counted, and when time alone would decide, so that the
recording has the same clock ticks as the journal of `run` (R4).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from engine.app import Drivers
from engine.arguments import number_of_seconds
from engine.clock import Clock, now_us
from engine.config.load import load_site
from engine.config.site import Site
from engine.contracts import Delivery
from engine.errors import Refused
from engine.intake import Group, IntakeQueue, Limits, source_of_line
from engine.logs import LEVELS, log_lines
from engine.metrics import Metrics
from engine.recordings import Output, Writer
from engine.records import make_decoder
from engine.replay import Progress, account_line
from engine.slices import Slicer
from engine.told_to_stop import listen
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

WAIT_S = 0.5
TICK_US_MIN = 50_000

log = logging.getLogger("sortline.record")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE.toml", type=Path, help="the site file")
    parser.add_argument(
        "--out", required=True, metavar="F", help="a new file: .ndjson, .zst, .parquet, or - for stdout"
    )
    parser.add_argument("--seconds", type=number_of_seconds, metavar="N", help="stop by itself after so long")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="which log lines are written (info)")


def run(args: argparse.Namespace) -> int:
    """0: stopped when it was told to. A config or a file that cannot be used is raised as Refused."""
    site = load_site(args.site)
    if not any(source.protocol for source in site.sources):
        raise Refused(f"{args.site}: no source has a protocol, so there is nothing to record")
    with (
        log_lines(args.log_level),
        Writer(args.out, keep=True) as out,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        account = runner.run(record(site, out, args.seconds, now_us))
    print(account_line(account), file=sys.stderr)
    return 0


async def record(site: Site, out: Output, seconds: float | None, clock: Clock) -> dict[str, int]:
    """Until SIGTERM, SIGINT, SIGHUP, or so many seconds; everything that was acknowledged is in `out` then."""
    stop = asyncio.Event()
    listen(lambda name: stop.set())
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, stop.set)
    recorder = Recorder(site, out, clock)
    drivers = Drivers(site, recorder, clock)
    writing = asyncio.create_task(recorder.run(), name="recorder")
    stopping = asyncio.create_task(stop.wait())
    drivers.start()
    try:
        await asyncio.wait([writing, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await drivers.stop()
        recorder.stop()
        await writing
    return recorder.core.account()


class Recorder:
    """`contracts.Intake` in front of a file."""

    def __init__(self, site: Site, out: Output, clock: Clock) -> None:
        settings = site.engine
        texts = Texts(settings.texts_bytes_max)
        self.core = Core(site.site, texts, site.rules.given(), site.source_rules())
        self._site = site.site
        self._out = out
        self._clock = clock
        self._slicer = Slicer(self.core, make_decoder(texts), Batch(texts))
        self._metrics = Metrics(samples_max=settings.samples_max, sample_bytes_max=settings.sample_bytes_max)
        self._intake = IntakeQueue(Limits(settings.intake_records_max, settings.intake_bytes_max), self._metrics.intake)
        self._progress = Progress(sys.stderr)
        self._records = 0
        self._events = 0
        self._ticked_us = 0
        self._stopping = False

    # contracts.Intake

    async def put(self, delivery: Delivery) -> None:
        await self._intake.put(delivery, self._clock())

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        if self._metrics.source(source).fault(cause, sample, self._clock()):
            log.warning("source %s: %s (a sample is kept; the next ones are only counted)", source, cause)

    def state(self, source: str, state: str, detail: str = "") -> None:
        log.info("source %s: %s%s", source, state, f": {detail}" if detail else "")

    def position(self, src: str) -> tuple[int, int] | None:
        return self.core.position(src)

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return ()

    # The file.

    async def run(self) -> None:
        """Until `stop`; then what was handed over before is still written."""
        while True:
            if group := self._intake.take():
                await self._write(group)
            elif self._stopping:
                return
            elif not await self._tick():
                await self._intake.wait(WAIT_S)
            self._progress.show(self._records, self._events, -1.0)

    def stop(self) -> None:
        self._stopping = True
        self._intake.interrupt()

    async def _write(self, group: Group) -> None:
        await asyncio.to_thread(self._append, group.payload)
        for waiting in group.waiting:
            if waiting.delivery.ack is not None:
                waiting.delivery.ack()
        self._intake.release(group)

        def refused(line: int, reason: str) -> None:
            source, text = source_of_line(group, line)
            self.fault(source, reason, text)

        self._events += len(await self._slicer.feed(group.payload, refused))
        self._records += group.payload.count(b"\n")

    def _append(self, payload: bytes) -> None:
        """On disk when it returns. An error of the disk ends the recording: what is not written is not acknowledged."""
        self._out.write(payload)
        self._out.sync()

    async def _tick(self) -> bool:
        """Time alone would decide now: the recording says so."""
        due, now = self.core.due_us(), self._clock()
        if not 0 <= due <= now or now - self._ticked_us < TICK_US_MIN:
            return False
        self._ticked_us = now
        tick = msgspec.json.encode({"kind": "clock.tick", "src": f"{self._site}/engine/clock", "t_rx": now}) + b"\n"
        await asyncio.to_thread(self._append, tick)
        self._events += len(await self._slicer.feed(tick, lambda _, reason: log.error("clock.tick: %s", reason)))
        return True
