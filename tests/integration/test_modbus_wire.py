"""One stream to a Modbus server, without a driver around it: the clock, and a server that is a plain socket."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from protocols.modbus.connection import Connection
from protocols.modbus.endpoint import Endpoint
from protocols.modbus.wire import NoAnswer
from tests.modbus_floor import run

Server = Callable[[socket.socket], None]


@contextmanager
def served(by: Server) -> Iterator[int]:
    """A server in a thread of its own, for it has to go on while our loop stands still; for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as caller:
                by(caller)
                while caller.recv(1_000):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def connected(port: int, then: Callable[[Connection], Awaitable[None]], in_flight: int = 1) -> None:
    async def story() -> None:
        connection = Connection(Endpoint("tcp", (("127.0.0.1", port),)), 5.0, frozenset(), in_flight)
        await connection.open()
        try:
            await then(connection)
        finally:
            connection.close()

    run(story())


def requests(caller: socket.socket, count: int) -> list[tuple[int, ...]]:
    """(transaction, protocol, length, unit, function, address, quantity) of so many reads."""
    came = b""
    while len(came) < 12 * count:
        came += caller.recv(12 * count - len(came))
    return list(struct.iter_unpack(">HHHBBHH", came))


def answer(transaction: int, value: int) -> bytes:
    return struct.pack(">HHHBBBH", transaction, 0, 5, 1, 3, 2, value)


@pytest.mark.parametrize("in_flight", [1, 4])
def test_an_answer_that_came_while_we_stood_still_came_in_time(in_flight: int) -> None:
    has_answered = threading.Event()

    def at_once(caller: socket.socket) -> None:
        for transaction, *_, address, _ in requests(caller, in_flight):
            caller.sendall(answer(transaction, address))
        has_answered.set()

    async def stand_still(connection: Connection) -> None:
        asked = [connection.read(1, 0.2, "holding", 40 + number, 1) for number in range(in_flight)]
        await asyncio.sleep(0)  # several are sent together, at the end of the turn
        assert has_answered.wait(30)
        time.sleep(0.3)
        assert [await each for each in asked] == [bytes([0, 40 + number]) for number in range(in_flight)]
        assert connection.is_open

    with served(at_once) as port:
        connected(port, stand_still, in_flight)


def test_what_has_not_come_when_we_go_on_is_missed() -> None:
    async def stand_still(connection: Connection) -> None:
        asked = connection.read(1, 0.2, "holding", 0, 1)
        await asyncio.sleep(0)
        time.sleep(0.3)
        with pytest.raises(NoAnswer, match="no answer in time"):
            await asked
        assert not connection.is_open

    with served(lambda caller: None) as port:
        connected(port, stand_still)
