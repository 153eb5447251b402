"""One connection with a device, from beginning to end: telegrams in, acknowledgements and life telegrams out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import DecodeError
from protocols.tapping import Tap
from protocols.telegram.decode import Decoder, Reading, fill
from protocols.telegram.framing import make_framing
from protocols.telegram.settings import Life, Settings

READ_BYTES = 65_536
UNREAD_BYTES_MAX = 65_536
"""What a device may leave unread of our answers before we give the connection up."""


class Ended(Exception):
    """Why the connection ended."""


class Session:
    """`decoder` outlives it: the device's numbers go on with the next connection."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        decoder: Decoder,
        intake: Intake,
        clock: Clock,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        tap: Tap,
    ) -> None:
        self._name = name
        self._settings = settings
        self._decoder = decoder
        self._intake = intake
        self._clock = clock
        self._reader, self._writer = streams
        self._tap = tap
        self._framing = make_framing(settings.framing, settings.telegram_bytes_max)
        self._life = settings.life or Life()

    async def run(self) -> None:
        """Until the connection ends: raises Ended, saying why. Closes it."""
        sender = asyncio.create_task(self._send_life()) if self._life.send is not None else None
        try:
            while True:
                await self._take(await self._read())
        except OSError as error:
            raise Ended(str(error) or type(error).__name__) from None
        finally:
            if sender is not None:
                sender.cancel()
            self._writer.transport.abort()

    async def _read(self) -> bytes:
        """What came next. While the engine is full nobody reads, and the device has to wait."""
        silence_ms = self._settings.silence_ms
        try:
            async with asyncio.timeout(silence_ms / 1000 if silence_ms is not None else None):
                data = await self._reader.read(READ_BYTES)
        except TimeoutError:
            raise Ended(f"nothing was heard for {silence_ms} ms") from None
        if not data:
            raise Ended("closed by the device")
        return data

    async def _take(self, data: bytes) -> None:
        found = self._framing.feed(data)
        for cause, sample in found.causes:
            self._intake.fault(self._name, cause, sample)
        lines: list[bytes] = []
        owed: list[Mapping[str, bytes]] = []
        for content in found.telegrams:
            if self._tap.tell is not None:
                self._tap.tell("", content)
            if (reading := self._understood(content)) is None:
                continue
            if self._decoder.is_life(reading):
                if self._life.reply is not None:
                    self._send(fill(self._life.reply, reading.raw))
                continue
            owed.append(reading.raw)
            if (line := self._line(reading)) is not None:
                lines.append(line)
        if lines or (owed and self._settings.acknowledge is not None):
            ack = partial(self._acknowledge, owed) if self._settings.acknowledge is not None else None
            await self._intake.put(Delivery(self._name, lines, ack))
        if found.broken is not None:
            raise Ended(found.broken)

    def _understood(self, content: bytes) -> Reading | None:
        try:
            return self._decoder.read(content)
        except DecodeError as error:
            # without its header it cannot even be acknowledged
            self._intake.fault(self._name, error.cause, content)
            return None

    def _line(self, reading: Reading) -> bytes | None:
        if self._decoder.is_restart(reading):
            return self._decoder.restart(reading, self._clock())
        try:
            return self._decoder.line(reading, self._clock())
        except DecodeError as error:
            self._intake.fault(self._name, error.cause, reading.content)
            return None

    def _acknowledge(self, owed: Sequence[Mapping[str, bytes]]) -> None:
        """They are durable. If the connection is gone the device sends them again, and is answered then."""
        for raw in owed:
            self._send(fill(self._settings.acknowledge or "", raw))

    async def _send_life(self) -> None:
        while True:
            self._send(fill(self._life.send or "", {}))
            await asyncio.sleep(self._life.every_ms / 1000)

    def _send(self, content: bytes) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._reader.set_exception(ConnectionError("the device does not read what it is answered"))
            return
        if self._tap.tell is not None:
            self._tap.tell("answered", content)
        self._writer.write(self._framing.frame(content))
