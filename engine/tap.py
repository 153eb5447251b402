"""`sortline tap SITE.toml SOURCE`: what comes from one source beside the records that it becomes, live.

    < what came over the wire, with where it came from
    > the record that was made of it
    ! what does not fit, and why
    = the connection

Where an engine runs on the site's data folder it is asked (`engine.taps`), and shows what it gets itself. Where none
does, and at MQTT brokers, which have a session for each client, a second connection looks, and acknowledges nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import uvloop

from engine.arguments import number_of_seconds
from engine.config.load import load_site
from engine.config.site import Source
from engine.contracts import Driver
from engine.errors import Refused
from engine.logs import log_lines
from engine.onlooking import Onlooker, look, onlooking_driver
from engine.taps import look_in
from protocols.registry import onlooking_of

CHARACTERS_MAX = 2_000
_told = msgspec.json.Decoder(tuple[Literal["record", "fault", "state", "payload"], str, str])
MARKS = {"record": ">", "fault": "!", "state": "=", "payload": "<"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("site", metavar="SITE.toml", type=Path, help="the site file")
    parser.add_argument("source", metavar="SOURCE", help="the source's name in it")
    parser.add_argument("--seconds", type=number_of_seconds, metavar="N", help="stop by itself after so long")


def run(args: argparse.Namespace) -> int:
    """0: stopped when it was told to. A source that cannot be looked at is raised as Refused."""
    site = load_site(args.site)
    source = next((one for one in site.sources if one.name == args.source and one.protocol), None)
    if source is None:
        known = ", ".join(one.name for one in site.sources if one.protocol)
        raise Refused(f"{args.site}: no source {args.source} with a protocol; there are {known or 'none'}")
    with log_lines("error"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_tap(source, Path(site.engine.data_dir), args.seconds))
    return 0


class _Screen:
    """Stdout, as the running task writes it. When whoever reads there has gone (`| head`), the task is told to end, as
    Ctrl-C does: a driver would take the error for one of its own connection."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self.is_gone = False

    def show(self, what: str, content: bytes, place: str = "") -> None:
        """One line, control characters escaped."""
        text = content.decode("utf-8", "backslashreplace")
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:CHARACTERS_MAX])
        try:
            print(f"{MARKS[what]} {place + ' ' if place else ''}{text}")
            sys.stdout.flush()
        except BrokenPipeError:
            if self._task is not None and not self.is_gone:
                self.is_gone = True
                self._task.cancel()

    def payload(self, place: str, content: bytes) -> None:
        self.show("payload", content, ascii(place)[1:-1])


async def _tap(source: Source, data_dir: Path, seconds: float | None) -> None:
    screen = _Screen()
    try:
        await _show(source, data_dir, seconds, screen)
    except asyncio.CancelledError:
        if screen.is_gone:
            raise BrokenPipeError from None
        raise


async def _show(source: Source, data_dir: Path, seconds: float | None, screen: _Screen) -> None:
    assert source.protocol is not None
    onlooking = onlooking_of(source.protocol)
    if onlooking is None or onlooking.payloads is None:
        inside = await look_in(data_dir)
        if inside is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _through_engine(source.name, *inside, screen)
            return
    onlooker = Onlooker(lambda what, _, content: screen.show(what, content))
    driver = onlooking_driver(source, onlooker)
    if driver is None:
        raise Refused(
            f"{source.name}: {source.protocol} cannot be looked at without taking something from the engine, and none "
            f"runs on {data_dir}: start it, and what it gets is shown"
        )
    await _beside(source, driver, onlooker, seconds, screen)


async def _through_engine(
    source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, screen: _Screen
) -> None:
    """What the running engine gets, until it stops; where it does not show this source, that it says."""
    writer.write(source.encode() + b"\n")
    try:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                what, place, text = _told.decode(line)
                screen.show(what, text.encode(), ascii(place)[1:-1])
        screen.show("state", b"the engine shows no more")
    finally:
        writer.close()


async def _beside(source: Source, driver: Driver, onlooker: Onlooker, seconds: float | None, screen: _Screen) -> None:
    watching = asyncio.create_task(_payloads(source, driver, screen))
    try:
        await look({source.name: driver}, onlooker, seconds)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _payloads(source: Source, driver: Any, screen: _Screen) -> None:
    """Payloads from the driver itself where it tells them, else over a connection of their own."""
    if hasattr(driver, "tap"):
        driver.tap.tell = screen.payload
        return
    onlooking = onlooking_of(source.protocol or "")
    if onlooking is None or onlooking.payloads is None:
        return
    try:
        async for place, content in onlooking.payloads(onlooking.settings(source.settings)):
            screen.payload(place, content)
    except Exception as error:  # of whatever library: the records go on
        screen.show("state", f"payloads are no longer shown: {error}".encode())
