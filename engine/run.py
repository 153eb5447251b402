"""`sortline run`: the engine, live, until it is told to stop.

SIGTERM, SIGINT or SIGHUP (a terminal that is closed) drains and stops within 10 s; the next start goes on where this
one stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from rich.console import Console

from engine.app import Engine
from engine.arguments import number_of_seconds
from engine.config.load import load_site
from engine.config.relations import doubts
from engine.config.site import Site
from engine.errors import Full, Missing, ReadOnly
from engine.fsck import repair
from engine.live import View, show
from engine.logs import LEVELS, log_lines
from engine.malloc_borders import set_malloc_borders
from engine.replay import account_line
from engine.told_to_stop import listen

STOP_S_MAX = 9.8
BUILT_S_MAX = 5.0  # after it was told to stop
FULL_S = 0.5
REPAIRS_MAX = 3  # what else is lost may only show once something is repaired
FAULT = 3  # exit code: stopped by a fault

Outcome = TypeVar("Outcome")

log = logging.getLogger("sortline.run")


class StoppedEarly(Exception):
    """Told to stop while the data folder was still being looked through, or the start waited for room."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE.toml", type=Path, help="the site file")
    parser.add_argument("--seconds", type=number_of_seconds, metavar="N", help="stop by itself after so long")
    parser.add_argument("--plain", action="store_true", help="log lines, also in a terminal")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="which log lines are written (info)")


def run(args: argparse.Namespace) -> int:
    """0: stopped when it was told to. A config or data folder that cannot be used is raised as Refused."""
    site = load_site(args.site)
    set_malloc_borders()
    console = Console(stderr=True, force_terminal=False if args.plain else None)
    try:
        with log_lines(args.log_level):
            for doubt in doubts(site):
                log.warning("%s: %s", args.site, doubt)
            account = without_what_is_missing(Path(site.engine.data_dir), lambda: _run(site, args.seconds, console))
    except StoppedEarly:
        os._exit(0)  # not through the interpreter's end: a thread is at work in a database, which a kill does not harm
    print(account_line(account), file=sys.stderr)
    return 0


def without_what_is_missing(data_dir: Path, begin: Callable[[], Coroutine[None, None, Outcome]]) -> Outcome:
    """A run to its end. Nobody has to be there for a box to start: where something that a start needs is lost, what an
    operator could do about it is done, and said."""
    for _ in range(REPAIRS_MAX):
        try:
            return _to_its_end(begin())
        except Missing as error:
            log.error("%s", error)
            for line in repair(data_dir, accept_loss=error.accept_loss):
                log.error("repaired: %s", line)
    return _to_its_end(begin())


def _to_its_end(work: Coroutine[None, None, Outcome]) -> Outcome:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _run(site: Site, seconds: float | None, console: Console) -> Mapping[str, int]:
    stop = asyncio.Event()
    listen(partial(_told_to_stop, stop))
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, _told_to_stop, stop, f"{seconds:g} s are over")
    engine = await begun(site, stop)
    covers = {source.name: source.covers for source in site.sources}
    view = asyncio.create_task(show(View(site.site, engine.metrics, covers, engine.clock), console))
    try:
        return await engine.run(stop)
    finally:
        view.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await view


async def begun(site: Site, stop: asyncio.Event) -> Engine:
    """Once there is room for it, and it can be written. Raises StoppedEarly."""
    said = ""
    while True:
        try:
            return await _built(site, stop)
        except Full as error:
            if stop.is_set():
                log.info("stopped while the start waited: nothing is lost, the next one goes on")
                raise StoppedEarly from error
            if str(error) != said:
                said = str(error)
                what = "for a disk that can be written to" if isinstance(error, ReadOnly) else "for room"
                log.warning("the start waits %s: %s", what, said)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FULL_S):
                await stop.wait()


async def _built(site: Site, stop: asyncio.Event) -> Engine:
    """In a thread: a large outbox is looked through for many seconds, and meanwhile a signal has to be heard."""
    loop = asyncio.get_running_loop()
    building: asyncio.Future[Engine] = loop.create_future()

    def build() -> None:
        try:
            tell = partial(building.set_result, Engine(site))
        except BaseException as error:
            tell = partial(building.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=build, name="start", daemon=True).start()
    stopped = asyncio.ensure_future(stop.wait())
    either: list[asyncio.Future[Any]] = [building, stopped]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if not building.done():
        await asyncio.wait({building}, timeout=BUILT_S_MAX)
    stopped.cancel()
    if not building.done():
        log.info("stopped while the data folder was looked through: nothing is lost, the next start does it again")
        raise StoppedEarly
    return building.result()


def _told_to_stop(stop: asyncio.Event, why: str) -> None:
    if stop.is_set():
        return
    log.info("%s: stopping", why)
    stop.set()
    # a thread, for what hangs may be the event loop itself
    last_resort = threading.Timer(STOP_S_MAX, _end)
    last_resort.daemon = True
    last_resort.start()


def _end() -> None:
    """What was accepted is on disk; the next start goes on from there."""
    log.error("something did not let go within %g s: ended", STOP_S_MAX)
    time.sleep(0.1)  # for the thread that writes the line; a terminal that stands still gets no more
    os._exit(FAULT)
