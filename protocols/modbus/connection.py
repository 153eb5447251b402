"""One TCP connection to a Modbus server: pymodbus's client, with every answer checked by `answer` and no retries.

One request at a time. After a missing or wrong answer the connection is closed, so that a late answer dies with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Protocol, cast

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from engine.errors import SortlineError
from protocols.modbus.answer import Request, answer_fault, parse_request
from protocols.modbus.settings import Table

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}  # MODBUS Application Protocol 1.1b3, section 7


class Refusal(SortlineError):
    """A Modbus exception: the device understood, and says no. The connection stays."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code} ({EXCEPTIONS.get(code, 'unknown')})")
        self.code = code

    @property
    def is_missing(self) -> bool:
        """The device does not have what was asked for, or not so much of it at once."""
        return self.code in (1, 2, 3)

    @property
    def is_unreachable(self) -> bool:
        """A gateway speaks for a unit that does not answer."""
        return self.code in (10, 11)


class NoAnswer(SortlineError):
    """No answer, or none that can be trusted; the connection is closed.

    `by_peer`: it was the other side that closed it. `wrong`: the bytes that came instead of the answer, if any.
    """

    def __init__(self, reason: str, *, by_peer: bool = False, wrong: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_peer = by_peer
        self.wrong = wrong


class Requester(Protocol):
    """What polling needs of a connection."""

    async def read(self, unit: int, table: Table, start: int, count: int, timeout_s: float) -> list[int]: ...

    async def write(self, unit: int, address: int, value: int, function: int, timeout_s: float) -> None: ...


class Connection:
    """See the module. `writable`: the (unit, address) of holding registers that may be written; everything else is
    refused here, whatever the caller believes."""

    def __init__(self, host: str, port: int, timeout_s: float, writable: frozenset[tuple[int, int]]) -> None:
        # it logs whole frames at ERROR; what is worth saying is said by the driver
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)
        self._host, self._port = host, port
        self._timeout_s = timeout_s
        self._writable = writable
        self._client: AsyncModbusTcpClient | None = None
        self._asked: Request | None = None
        self._broken: asyncio.Future[NoAnswer] | None = None

    @property
    def is_open(self) -> bool:
        return self._client is not None and self._broken is not None and not self._broken.done()

    async def open(self) -> None:
        """Connect, within the time limit. Raises NoAnswer."""
        self.close()
        self._broken = asyncio.get_running_loop().create_future()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._inspect,
            trace_connect=self._connected,
        )
        # in a task of its own: it waits with asyncio.wait_for, which in Python 3.11 can lose a cancellation
        connecting = asyncio.ensure_future(client.connect())
        try:
            await asyncio.wait({connecting})
        except asyncio.CancelledError:
            connecting.cancel()
            await asyncio.wait({connecting})
            client.close()
            raise
        if not connecting.result():
            client.close()
            raise NoAnswer("cannot connect")
        self._client = client

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def read(self, unit: int, table: Table, start: int, count: int, timeout_s: float) -> list[int]:
        """`count` registers, or bits as 0 and 1, from address `start`. Raises Refusal, NoAnswer."""
        client = self._opened()
        match table:
            case "holding":
                answer = client.read_holding_registers(start, count=count, device_id=unit)
            case "input":
                answer = client.read_input_registers(start, count=count, device_id=unit)
            case "coil":
                answer = client.read_coils(start, count=count, device_id=unit)
            case "discrete":
                answer = client.read_discrete_inputs(start, count=count, device_id=unit)
        pdu = await self._exchange(answer, timeout_s)
        if table in ("coil", "discrete"):
            return [int(bit) for bit in pdu.bits[:count]]
        return list(pdu.registers)

    async def write(self, unit: int, address: int, value: int, function: int, timeout_s: float) -> None:
        """One holding register, by function 6 or 16. Raises Refusal, NoAnswer; ValueError if it is not `writable`."""
        if (unit, address) not in self._writable:
            raise ValueError(f"unit {unit}: register {address} is no acknowledgement register")
        client = self._opened()
        if function == 6:
            answer = client.write_register(address, value, device_id=unit)
        else:
            answer = client.write_registers(address, [value], device_id=unit)
        await self._exchange(answer, timeout_s)

    def _opened(self) -> AsyncModbusTcpClient:
        if self._client is None or not self.is_open:
            why = self._broken.result() if self._broken is not None and self._broken.done() else None
            raise self._fail(why or NoAnswer("the connection is closed"))
        return self._client

    async def _exchange(self, request: Awaitable[ModbusPDU], timeout_s: float) -> ModbusPDU:
        """Send, and wait for the answer, for a fault in it, or for the end of time or connection."""
        broken = cast("asyncio.Future[NoAnswer]", self._broken)
        answer: asyncio.Future[ModbusPDU] = asyncio.ensure_future(request)
        try:
            both: set[asyncio.Future[ModbusPDU] | asyncio.Future[NoAnswer]] = {answer, broken}
            await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                raise self._fail(broken.result())
            if not answer.done():
                raise self._fail(NoAnswer("no answer in time"))
            pdu = answer.result()
        except (ModbusException, OSError) as error:
            raise self._fail(NoAnswer(type(error).__name__)) from None
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._asked = None
            answer.cancel()
        if pdu.isError():
            raise Refusal(pdu.exception_code)
        return pdu

    def _inspect(self, sending: bool, data: bytes) -> bytes:
        """pymodbus shows each frame that it sends, and all that it received since. What is wrong never reaches it."""
        if sending:
            self._asked = parse_request(data)
            return data
        fault = "an answer that nobody asked for" if self._asked is None else answer_fault(self._asked, data)
        if fault is None:
            return data
        self._break(NoAnswer(fault, wrong=bytes(data)))
        return b""

    def _connected(self, is_up: bool) -> None:
        if not is_up:
            self._break(NoAnswer("closed by the server", by_peer=True))

    def _break(self, why: NoAnswer) -> None:
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(why)

    def _fail(self, why: NoAnswer) -> NoAnswer:
        self.close()
        return why
