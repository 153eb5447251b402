"""A connection to a Modbus server that can be opened again and again, at the first of its addresses that answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from functools import partial
from typing import Protocol

from engine.errors import Refused
from protocols.linking import unreached
from protocols.modbus import serial_line
from protocols.modbus.endpoint import Endpoint, Serial
from protocols.modbus.registers import Table
from protocols.modbus.wire import ECHO, NoAnswer, Wire
from protocols.tapping import Tap

FUNCTIONS: dict[Table, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}


class Requester(Protocol):
    """What polling needs of a connection."""

    def read(self, unit: int, timeout_s: float, table: Table, start: int, quantity: int) -> Awaitable[bytes]: ...

    def write(self, unit: int, address: int, value: int, function: int, timeout_s: float) -> Awaitable[bytes]: ...


class Connection:
    """`timeout_s`: for opening. `writable`: the (unit, address) of holding registers that may be written; everything
    else is refused here, whatever the caller believes."""

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        writable: frozenset[tuple[int, int]],
        in_flight_max: int = 1,
        tap: Tap | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._timeout_s = timeout_s
        self._writable = writable
        self._in_flight_max = in_flight_max
        self._tap = tap or Tap()
        self._at = 0  # which address
        self._wire: Wire | None = None
        self._why = NoAnswer("the connection is closed")

    @property
    def is_open(self) -> bool:
        return self._wire is not None

    @property
    def address(self) -> str:
        """Where it is, or tries to be, connected to."""
        if not self.endpoint.addresses:
            return str(self.endpoint)
        host, port = self.endpoint.addresses[self._at]
        return f"{host}:{port}"

    def beside(self) -> Connection:
        """Another one to the same server, at the address that this one is connected to; for one request at a time."""
        other = Connection(self.endpoint, self._timeout_s, self._writable)
        other._at = self._at
        return other

    async def open(self) -> None:
        """Connect, to the address that was good last or to the next ones. Raises NoAnswer."""
        self.close()
        why = NoAnswer("cannot connect")
        for _ in range(max(1, len(self.endpoint.addresses))):
            try:
                wire = await self._opened()
                if wire.is_open:
                    self._wire = wire
                    return
                why = self._why
                self.give_up_address()
            except NoAnswer as failure:
                why = failure
                self.give_up_address()
        raise why

    def give_up_address(self) -> None:
        """It does not answer, or only pretends to: go on with the next."""
        self._at = (self._at + 1) % max(1, len(self.endpoint.addresses))

    def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close(NoAnswer("the connection is closed"))

    def read(self, unit: int, timeout_s: float, table: Table, start: int, quantity: int) -> asyncio.Future[bytes]:
        """`quantity` registers or bits from address `start`, as they stand in the answer. Raises Refusal, NoAnswer."""
        wire = self._wire
        if wire is None:
            raise self._closed()
        answer = wire.request(unit, FUNCTIONS[table], start, quantity, timeout_s)
        if self._tap.tell is not None:
            answer.add_done_callback(partial(self._show, f"unit {unit} {table} {start}+{quantity}"))
        return answer

    def write(self, unit: int, address: int, value: int, function: int, timeout_s: float) -> asyncio.Future[bytes]:
        """One holding register, by function 6 or 16. Raises Refusal, NoAnswer; ValueError if it is not `writable`."""
        if (unit, address) not in self._writable:
            raise ValueError(f"unit {unit}: register {address} is no acknowledgement register")
        if function not in (6, 16):
            raise ValueError(f"function {function} writes no register")
        wire = self._opened_wire()
        if self._tap.tell is not None:
            self._tap.tell(f"unit {unit} holding {address} written", f"{value:04x}".encode())
        return wire.request(unit, function, address, value, timeout_s)

    def echo(self, unit: int, number: int, timeout_s: float) -> asyncio.Future[bytes]:
        """Ask the unit to say `number` again. Raises Refusal, NoAnswer."""
        return self._opened_wire().request(unit, ECHO, 0, number, timeout_s)

    def _opened_wire(self) -> Wire:
        if self._wire is None:
            raise self._closed()
        return self._wire

    def _closed(self) -> NoAnswer:
        return NoAnswer(self._why.reason, by_peer=self._why.by_peer)

    def _show(self, place: str, answer: asyncio.Future[bytes]) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._tap.changed(place, answer.result().hex(" ", 2).encode())

    async def _opened(self) -> Wire:
        if self.endpoint.serial is not None:
            return self._opened_line(self.endpoint.serial)
        endpoint = self.endpoint
        try:
            tls = endpoint.tls.context() if endpoint.tls is not None else None
            host, port = endpoint.addresses[self._at]
            async with asyncio.timeout(self._timeout_s):
                if tls is None:
                    wire = Wire(endpoint.is_rtu, self._in_flight_max, self._fell)
                    connected = await _connected(host, port)
                    wire.run_over(connected.fileno(), connected.close)
                else:
                    _, wire = await asyncio.get_running_loop().create_connection(
                        lambda: Wire(endpoint.is_rtu, self._in_flight_max, self._fell), host, port, ssl=tls
                    )
            return wire
        except Refused as error:
            raise NoAnswer(str(error)) from None
        except (OSError, UnicodeError, TimeoutError) as error:
            raise NoAnswer(unreached(error, 1000 * self._timeout_s)) from None

    def _opened_line(self, serial: Serial) -> Wire:
        wire = Wire(True, 1, self._fell, serial.silence_s)
        try:
            fd = serial_line.opened(serial)
        except OSError as error:
            raise NoAnswer(f"cannot open the line: {error.strerror or error}") from None
        wire.run_over(fd, partial(serial_line.close, fd))
        return wire

    def _fell(self, why: NoAnswer) -> None:
        self._wire = None
        self._why = NoAnswer(why.reason, by_peer=why.by_peer)


async def _connected(host: str, port: int) -> socket.socket:
    """To the first of the host's addresses that answers."""
    loop = asyncio.get_running_loop()
    try:
        # what is an address already waits for no name server, and for nobody who waits for one
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    why = OSError("the host has no address")
    for family, kind, protocol, _, address in found:
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(made, address)
        except OSError as error:
            made.close()
            why = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise why
