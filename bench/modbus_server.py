"""The Modbus server that the Modbus cases read: a process of its own, so that only the client's CPU is counted.

It answers every read of holding registers with the same pattern, all requests that came together in one write, as
capable devices do. `python -m bench.modbus_server N` listens on N free ports of loopback, prints them in one line, and
prints how many requests it answered for each line that it reads.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import cast

import uvloop

_PATTERN = bytes(range(250))
_REQUEST = struct.Struct(">HHHBBHH")


class Device(asyncio.Protocol):
    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % _REQUEST.size
        answers = []
        for transaction, _, _, unit, function, _, quantity in _REQUEST.iter_unpack(data[:whole]):
            head = struct.pack(">HHHBBB", transaction, 0, 3 + 2 * quantity, unit, function, 2 * quantity)
            answers.append(head + _PATTERN[: 2 * quantity])
        self._rest = data[whole:]
        Device.answered += len(answers)
        self._transport.write(b"".join(answers))


async def serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Device, "127.0.0.1", 0) for _ in range(count)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    ended = loop.create_future()

    def asked() -> None:
        if sys.stdin.readline():
            print(Device.answered, flush=True)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin.fileno(), asked)
    await ended


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
