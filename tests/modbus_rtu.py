"""A PLC that speaks RTU, over a socket or a pseudo-terminal: from the specification, with a checksum of its own."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from collections.abc import Callable

from tests.modbus import Plc, Request


def checksum(data: bytes) -> bytes:
    """MODBUS over Serial Line 1.02, section 6.2.1, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc, low = crc >> 1, crc & 1
            if low:
                crc ^= 0xA001
    return crc.to_bytes(2, "little")


class RtuPlc:
    """The registers of a `Plc`, spoken in RTU. `spoil`: may change the bytes of an answer."""

    def __init__(self) -> None:
        self.plc = Plc()
        self.spoil: Callable[[bytes], bytes] = lambda frame: frame
        self._pending = b""

    def taken(self, data: bytes) -> bytes:
        """What it answers to bytes that came."""
        self._pending += data
        answers = b""
        while len(self._pending) >= 8:
            size = 11 if self._pending[1] == 16 else 8
            if len(self._pending) < size:
                break
            frame, self._pending = self._pending[:size], self._pending[size:]
            assert frame[-2:] == checksum(frame[:-2]), "a request with a wrong checksum"
            # the same request in a TCP frame is what the Plc reads
            as_tcp = b"\0\0\0\0" + (size - 2).to_bytes(2, "big") + frame[:-2]
            request = Request(1, as_tcp)
            self.plc.requests.append(request)
            if request.unit in self.plc.dead:
                continue
            answer = frame[:1] + self.plc.body(request, as_tcp)
            answers += self.spoil(answer + checksum(answer))
            self.plc.after(request)
        return answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As the callback of `asyncio.start_server`."""
        self._pending = b""
        try:
            while data := await reader.read(256):
                writer.write(self.taken(data))
        except ConnectionError:
            pass
        finally:
            writer.close()


class SerialPair:
    """Two pseudo-terminals, one for us (`device`), one for a foreign program (`other`), and the cable between them.

    With `plc` it answers by itself, and there is no `other`.
    """

    def __init__(self, plc: RtuPlc | None = None) -> None:
        self._plc = plc
        self._masters: list[int] = []
        self._slaves: list[int] = []
        self.device = self.other = ""

    def __enter__(self) -> SerialPair:
        for _ in range(1 if self._plc is not None else 2):
            master, slave = pty.openpty()
            tty.setraw(master)
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._masters.append(master)
            self._slaves.append(slave)  # held open, so that the line outlives whoever opens it
        self.device, self.other = os.ttyname(self._slaves[0]), os.ttyname(self._slaves[-1])
        loop = asyncio.get_running_loop()
        for master in self._masters:
            loop.add_reader(master, self._pass_on, master)
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def unplug(self) -> None:
        loop = asyncio.get_running_loop()
        for master in self._masters:
            loop.remove_reader(master)
        for fd in (*self._masters, *self._slaves):
            os.close(fd)
        self._masters, self._slaves = [], []

    def send(self, data: bytes) -> None:
        """Noise on the line."""
        os.write(self._masters[0], data)

    def _pass_on(self, master: int) -> None:
        try:
            data = os.read(master, 512)
        except OSError:
            return  # nobody has the other end open
        if self._plc is not None:
            os.write(master, self._plc.taken(data))
        else:
            os.write(next(other for other in self._masters if other != master), data)
