"""Owns the connection to one device, as its client or as the server that it connects to.

device --telegram--> framing -> Decoder.line -> Delivery -> Intake.put
   ^---- acknowledgement ---- Session._acknowledge <- Delivery.ack (after the journal's fsync)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import NoReturn

from engine.cancellation import raise_if_cancelled
from engine.clock import Clock
from engine.contracts import Intake
from protocols.backoff import Backoff
from protocols.linking import LinkNews, unreached
from protocols.tapping import Tap
from protocols.telegram.decode import Decoder
from protocols.telegram.numbers import Numbers
from protocols.telegram.session import Ended, Session
from protocols.telegram.settings import REMEMBERED_MAX, Settings

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Driver:
    """See `engine.contracts.Driver`. `jitter`: random numbers of [0, 1) for the pauses between attempts."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        intake: Intake,
        clock: Clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._decoder: Decoder | None = None
        self._backoff = Backoff(settings.reconnect_min_ms, settings.reconnect_max_ms, jitter)
        self._link = LinkNews(name, [{"src": settings.src}], intake, clock)
        self._callers: asyncio.Queue[Streams] = asyncio.Queue()
        self._open: set[asyncio.StreamWriter] = set()  # as a server
        self.port = settings.port
        self.tap = Tap()

    async def run(self) -> NoReturn:
        """Until cancelled."""
        number = self._settings.number
        # not before: the engine knows what it accepted once it has read its journal
        position = self._intake.position(self._settings.src)
        waits, tells = self._settings.acknowledge is not None, bool(self._settings.restart)
        before = await self._intake.recent(self._settings.src, REMEMBERED_MAX) if number and waits else ()
        numbers = Numbers(number, position, waits=waits, tells=tells, before=before) if number else None
        self._decoder = Decoder(self._settings, numbers)
        await self._link.tell("link.down")
        turn = self._call if self._settings.role == "client" else self._listen
        while True:
            detail = await turn()
            raise_if_cancelled()
            self._intake.state(self._name, "down", detail)
            await self._link.tell("link.down")
            await asyncio.sleep(self._backoff.pause_s())

    async def _call(self) -> str:
        """One connection to the device; why it ended."""
        settings = self._settings
        self._intake.state(self._name, "connecting")
        try:
            async with asyncio.timeout(settings.connect_ms / 1000):
                streams = await asyncio.open_connection(settings.host, settings.port)
        except (OSError, UnicodeError, TimeoutError) as error:
            return unreached(error, settings.connect_ms)
        return await self._converse(streams)

    async def _converse(self, streams: Streams) -> str:
        assert self._decoder is not None, "run first"
        loop = asyncio.get_running_loop()
        since = loop.time()
        session = Session(self._name, self._settings, self._decoder, self._intake, self._clock, streams, self.tap)
        try:
            self._intake.state(self._name, "up", self._caller(streams[1]))
            await self._link.tell("link.up")
            await session.run()
        except Ended as ended:
            return str(ended)
        finally:
            self._hang_up(streams[1])
            self._backoff.ended_after(loop.time() - since)
        return ""

    def _caller(self, writer: asyncio.StreamWriter) -> str:
        """As a server: who it is, so that two who take each other's place are seen."""
        name = writer.get_extra_info("peername")
        return f"called by {name[0]}" if self._settings.role == "server" and name else ""

    async def _listen(self) -> str:
        """Until it cannot listen any more; why."""
        settings = self._settings
        try:
            server = await asyncio.start_server(self._called, settings.host, settings.port)
        except (OSError, UnicodeError) as error:
            return f"cannot listen: {error}"
        self.port = server.sockets[0].getsockname()[1]
        try:
            await self._serve()
        finally:
            server.close()
            for writer in list(self._open):
                self._hang_up(writer)

    def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody connected. Of several that wait only the last one counts."""
        name = writer.get_extra_info("peername")
        if name is None:  # and has gone again
            writer.transport.abort()
            return
        peer = name[0]
        if self._settings.peers and peer not in self._settings.peers:
            self._intake.fault(self._name, "a connection from an address that is not among peers", str(peer).encode())
            writer.transport.abort()
            return
        while not self._callers.empty():
            self._hang_up(self._callers.get_nowait()[1])
        self._open.add(writer)
        self._callers.put_nowait((reader, writer))

    def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        writer.transport.abort()

    async def _serve(self) -> NoReturn:
        """One device after the other; who comes later takes the place of who is there."""
        self._intake.state(self._name, "connecting", f"listening at port {self.port}")
        streams = await self._callers.get()
        while True:
            talk = asyncio.create_task(self._converse(streams))
            caller = asyncio.create_task(self._callers.get())
            try:
                await asyncio.wait({talk, caller}, return_when=asyncio.FIRST_COMPLETED)
                if not caller.done():
                    self._intake.state(self._name, "down", talk.result())
                    await self._link.tell("link.down")
                streams = await caller
            finally:
                talk.cancel()
                caller.cancel()
                await asyncio.wait({talk})
