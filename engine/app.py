"""The engine of one site: the only place that builds objects out of config, and starts and stops them in order.

drivers ──► pipeline (journal, decoder, core, outbox) ──► sinks
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine import __version__, gone_files, mended_databases, newer, shed_gaps, start_room
from engine.clock import Clock, SteadyClock, now_us
from engine.config.site import Site, Source
from engine.contracts import Driver, DriverFactory, FileSink, Intake, Sink
from engine.crashes import Crashes
from engine.dead_letters import DeadLetters
from engine.disk import DISK
from engine.errors import Full, ReadOnly, Refused
from engine.intake import Limits
from engine.journal import NO_SPACE, Journal
from engine.mended_databases import LETTERS, OUTBOX
from engine.metrics import Metrics
from engine.outbox import SqliteOutbox
from engine.overload import Overload, Policy, used_of
from engine.pipeline import Pipeline
from engine.records import make_decoder
from engine.recovery import Keep, Recovery
from engine.rule_book import RuleSet
from engine.shed_gaps import ShedGaps
from engine.sinks import registry
from engine.slices import Slicer
from engine.sqlite_file import passes
from engine.taps import Taps
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from protocols import registry as protocols

DRIVERS_STOP_S = 1.5
PIPELINE_STOP_S = 5.0
EARLY_STOP_S = 1.0
DRIVER_AGAIN_S = 10.0
OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})
FILES_OF_A_DATABASE = 6  # and what SQLite opens for a moment

log = logging.getLogger("sortline.app")


class Engine:
    """One site, from its config to its sinks. Built in any thread; `run` once, in an event loop.

    Raises Refused where the data folder cannot be used (held by another engine, of a newer version, damaged), or a
    driver refuses its settings; Full where there is no room for what a start has to write, or nothing can be written
    there now: the same may succeed later.
    """

    def __init__(self, site: Site, clock: Clock = now_us) -> None:
        settings = site.engine
        self.site = site
        self.metrics = Metrics(samples_max=settings.samples_max, sample_bytes_max=settings.sample_bytes_max)
        self.clock = SteadyClock(clock)
        self._wall = clock
        data_dir = Path(settings.data_dir)
        with ExitStack() as opened:
            with usable(data_dir):
                sinks = self._sinks(data_dir)
                newer.refuse(data_dir, [sink.path for sink in sinks.values() if isinstance(sink, FileSink)])
                journal = Journal(data_dir / "journal", bytes_max=settings.journal_bytes_max)
                opened.callback(journal.close)
                start_room.give_back(data_dir)
                opened.callback(start_room.hold, data_dir)  # a start that is refused leaves it to the next
                self._crashes = Crashes(data_dir)
                opened.callback(self._crashes.close)
                for said in (*mended_databases.finish(data_dir), *mended_databases.logs_in_order(data_dir)):
                    log.warning("%s", said)
                missing = ShedGaps(data_dir / shed_gaps.NAME)
                outbox = mended_databases.opened(data_dir / OUTBOX, self._outbox)
                opened.callback(outbox.close)
                gone_files.say_what_went(data_dir / LETTERS, journal, outbox, sinks)
                mended_databases.letters_in_order(data_dir / LETTERS)
                letters = mended_databases.opened(data_dir / LETTERS, self._letters)
                opened.callback(letters.close)
                self._recovery = recovery = Recovery(
                    RuleSet(site.site, site.rules.given(), site.source_rules()),
                    self._slicer,
                    journal,
                    outbox,
                    data_dir,
                    self.metrics,
                    self.clock,
                    Keep(settings.snapshot_every_bytes, settings.journal_keep_bytes, settings.journal_keep_us),
                    crashes=self._crashes,
                )
            self._pipeline = Pipeline(
                site.site,
                recovery,
                journal,
                outbox,
                sinks,
                self.metrics,
                self.clock,
                Limits(settings.intake_records_max, settings.intake_bytes_max),
                letters,
                {table.name: table.delivery for table in site.sinks},
                self._overload(journal, outbox, missing),
                settings.journal_commit_ms / 1000,
            )
            self._taps = Taps(self._pipeline, data_dir)
            self._drivers = Drivers(site, self._taps, self.clock, self._taps.attach)
            opened.pop_all()  # from here on the pipeline closes them

    def _overload(self, journal: Journal, outbox: SqliteOutbox, missing: ShedGaps) -> Overload:
        settings = self.site.engine
        fullness = {
            "the room of the journal": lambda: used_of(journal, settings.disk_reserve_bytes, outbox.shrinks_in_bytes),
            "the outbox": lambda: outbox.rows / settings.outbox_rows_max,
        }
        return Overload(Policy(settings.overload.steps()), fullness, missing)

    async def run(self, stop: asyncio.Event) -> Mapping[str, int]:
        """Until `stop` is set, or something of ours fails: then that is raised. Returns the account (R82)."""
        stopped = asyncio.create_task(stop.wait())
        taps = asyncio.create_task(self._taps.serve())
        # told so while it was built: half of its time is over then, and nothing new was taken that a sink could get
        stop_s = EARLY_STOP_S if stop.is_set() else PIPELINE_STOP_S
        try:
            await until(stopped, self._pipeline.start())
            self.clock.pass_to(self._recovery.slicer.core.wall_us())
            if not stop.is_set():
                self._drivers.start()
            try:
                await until(stopped, self._pipeline.wait())
            finally:
                await self._drivers.stop()
        finally:
            stopped.cancel()
            await _cancel([taps])
            await self._pipeline.stop(stop_s)
            self._crashes.close()
            start_room.hold(Path(self.site.engine.data_dir))
        return self._pipeline.account()

    def _outbox(self) -> SqliteOutbox:
        site = self.site
        return SqliteOutbox(
            Path(site.engine.data_dir) / OUTBOX,
            routes=site.routing(),
            sinks=[sink.name for sink in site.sinks],
            rows_max=site.engine.outbox_rows_max,
        )

    def _letters(self) -> DeadLetters:
        site = self.site
        return DeadLetters(
            Path(site.engine.data_dir) / LETTERS,
            self.clock,
            bytes_max=site.dead_letters.bytes_max,
            decoder=__version__,
            config=site.digest,
        )

    def _slicer(self, rules: RuleSet) -> Slicer:
        """A new core by these rules, and what feeds it. There is as much room as the site file says now, whatever
        these rules say: else a journal that filled up a smaller one could never be read to its end."""
        texts = Texts(self.site.engine.texts_bytes_max)
        core = Core(rules.site, texts, rules.rules, rules.sources, room=self.site.rules.state_bytes_max)
        return Slicer(core, make_decoder(texts), Batch(texts))

    def _sinks(self, data_dir: Path) -> dict[str, Sink]:
        return {
            table.name: registry.sink_of(table.kind)(table.name, table.settings, data_dir, self._wall)
            for table in self.site.sinks
        }


class Drivers:
    """The drivers of a site's sources, each in a task of its own. A driver that refuses its settings raises Refused.

    `built`: told of each driver, by its source's name."""

    def __init__(
        self, site: Site, intake: Intake, clock: Clock, built: Callable[[str, Driver], None] = lambda name, driver: None
    ) -> None:
        self._intake = intake
        self._clock = clock
        self._tell_built = built
        self._built = [(source, self._build(source)) for source in site.sources if source.protocol]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._drive(source, driver), name=f"driver {source.name}")
            for source, driver in self._built
        ]

    async def stop(self) -> None:
        await _cancel(self._tasks)

    def _build(self, source: Source) -> Driver:
        assert source.protocol is not None
        factory: DriverFactory = protocols.driver_of(source.protocol)
        driver = factory(source.name, source.settings, self._intake, self._clock)
        self._tell_built(source.name, driver)
        return driver

    async def _drive(self, source: Source, driver: Driver) -> None:
        """The source's driver, for ever. One that gives up is built anew: it must neither stop nor slow the others."""
        while True:
            try:
                await driver.run()
                why = "its driver ended"
            except Refused as error:
                why = str(error)
                log.error("source %s: %s", source.name, error)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                log.error("source %s: nobody expected this error", source.name, exc_info=error)
            self._intake.state(source.name, "down", f"{why}; again in {DRIVER_AGAIN_S:g} s")
            await asyncio.sleep(DRIVER_AGAIN_S)
            driver = self._build(source)


@contextmanager
def usable(data_dir: Path) -> Iterator[None]:
    """What the operating system refuses there is the operator's to put right: raised as Refused. Where it is only that
    there is no room now, or that nothing can be written now, as Full."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        if passes(error) if isinstance(error, sqlite3.Error) else error.errno in NO_SPACE:
            raise Full(f"engine.data_dir {data_dir}: {error}") from error
        if getattr(error, "errno", 0) == errno.EROFS or (data_dir.is_dir() and DISK.only_read(data_dir)):
            raise ReadOnly(f"engine.data_dir {data_dir}: {error}") from error
        if data_dir.is_dir() and start_room.is_short(data_dir):
            raise Full(f"engine.data_dir {data_dir}: its device has no room ({error})") from error
        if _is_out_of_files(error):
            raise Refused(
                f"engine.data_dir {data_dir}: {error}. This process may have no more files open, and there is nothing "
                "wrong with the folder. Raise LimitNOFILE of the service (ulimit -n of a shell), or see what else on "
                "this box has so many open: lsof"
            ) from error
        raise Refused(
            f"engine.data_dir {data_dir}: cannot be worked with: {error}. It has to be a folder that this user may "
            "write to, with room on its device and nothing of others in it. To see what stands there: sortline fsck "
            f"{data_dir}"
        ) from error


def _is_out_of_files(error: Exception) -> bool:
    """SQLite only says that it could not open something, and has closed again what it had of that database."""
    if isinstance(error, OSError):
        return error.errno in OUT_OF_FILES
    tried: list[int] = []
    try:
        tried += (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) for _ in range(FILES_OF_A_DATABASE))
    except OSError as other:
        return other.errno in OUT_OF_FILES
    finally:
        for file in tried:
            os.close(file)
    return False


async def until(stopped: asyncio.Task[bool], work: Coroutine[Any, Any, None]) -> None:
    """`work` to its end or its error, or until `stopped`: then it is cancelled."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([stopped, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        await _cancel([task])


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel them all, and wait a little: one that does not let go is left behind, the engine stops without it."""
    for task in tasks:
        task.cancel()
    if tasks:
        _, hanging = await asyncio.wait(tasks, timeout=DRIVERS_STOP_S)
        for task in hanging:
            log.warning("%s did not stop within %g s", task.get_name(), DRIVERS_STOP_S)
