"""What tests of the Modbus driver stand on: an intake that remembers, and a server of plain sockets that can be faulty.

The server is written from the specification alone and shares no code with pymodbus or with the driver.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import msgspec

from engine.contracts import Delivery
from protocols.modbus.driver import Driver
from protocols.modbus.settings import Settings
from tests.ledger import running

READY_S_MAX = 60.0


class RememberingIntake:
    """An engine that accepts everything. `acks`: True calls each ack at once, False keeps them in `owed`."""

    def __init__(self, acks: bool = True, positions: dict[str, tuple[int, int]] | None = None) -> None:
        self.acks = acks
        self.owed: list[Callable[[], None]] = []
        self.positions = dict(positions or {})
        self.lines: list[dict[str, Any]] = []
        self.faults: list[tuple[str, str, bytes]] = []
        self.states: list[tuple[str, str]] = []
        self.before: list[bytes] = []

    async def put(self, delivery: Delivery) -> None:
        for line in delivery.lines:
            record = msgspec.json.decode(line)
            self.lines.append(record)
            if "seq" in record:
                self.positions[record["src"]] = (record.get("epoch", 0), record["seq"])
        if delivery.ack is not None:
            if self.acks:
                delivery.ack()
            else:
                self.owed.append(delivery.ack)

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        self.faults.append((source, cause, sample))

    def state(self, source: str, state: str, detail: str = "") -> None:
        self.states.append((state, detail))

    def position(self, src: str) -> tuple[int, int] | None:
        return self.positions.get(src)

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return [line for line in self.before if msgspec.json.decode(line)["src"] == src][-most:]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The records that are no link states."""
        return [line for line in self.lines if not line["kind"].startswith("link.")]

    @property
    def links(self) -> list[tuple[str, str]]:
        return [(line["src"], line["kind"]) for line in self.lines if line["kind"].startswith("link.")]

    @property
    def later_links(self) -> list[tuple[str, str]]:
        """Behind the `link.down` with which every source of a machine that is polled begins."""
        first = {src: at for at, (src, _) in reversed(list(enumerate(self.links)))}
        assert all(self.links[at][1] == "link.down" for at in first.values()), "nobody looked before us"
        return [link for at, link in enumerate(self.links) if at not in first.values()]

    @property
    def causes(self) -> list[str]:
        return [cause for _, cause, _ in self.faults]


class Request:
    """One request as the server sees it. `connection`: 1 for the first that was accepted, and so on."""

    def __init__(self, connection: int, frame: bytes) -> None:
        self.connection = connection
        self.transaction, _, _, self.unit, self.function, self.address, self.quantity = struct.unpack(
            ">HHHBBHH", frame[:12]
        )


Answer = Callable[[Request, bytes], "bytes | Awaitable[bytes | None] | None"]


class Plc:
    """A Modbus TCP server. Registers not set are 0; those in `missing` give exception 2; units in `dead` never answer.

    `answer`: may change or withhold (None) each correct answer. `requests`: all that came. `writes`: (unit, address,
    value).
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._tls = tls
        self.registers: dict[tuple[int, str, int], int] = {}
        self.missing: set[tuple[str, int]] = set()
        self.dead: set[int] = set()
        self.requests: list[Request] = []
        self.writes: list[tuple[int, int, int]] = []
        self.answer: Answer = lambda request, frame: frame
        self.after: Callable[[Request], None] = lambda request: None
        self.connections_max = 1_000
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._count = itertools.count(1)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Plc:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._serving:
            await asyncio.wait(self._serving)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Close every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def set(self, address: int, *values: int, unit: int = 1, table: str = "holding") -> None:
        for offset, value in enumerate(values):
            self.registers[unit, table, address + offset] = value

    def get(self, address: int, unit: int = 1, table: str = "holding") -> int:
        return self.registers.get((unit, table, address), 0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = next(self._count)
        self._open.add(writer)
        try:
            while True:
                header = await reader.readexactly(6)
                frame = header + await reader.readexactly(int.from_bytes(header[4:6], "big"))
                if len(self._open) > self.connections_max and connection != 1:
                    continue
                await self._handle(Request(connection, frame), frame, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._open.discard(writer)
            writer.close()

    async def _handle(self, request: Request, frame: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        if request.unit in self.dead:
            return
        body = self.body(request, frame)
        answer = self.answer(request, mbap(request.transaction, request.unit, body))
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer is not None:
            writer.write(answer)
        self.after(request)

    def body(self, request: Request, frame: bytes) -> bytes:
        function = request.function
        if function == 8:
            return frame[7:12]
        if function in (6, 16):
            value = int.from_bytes(frame[10:12] if function == 6 else frame[13:15], "big")
            self.writes.append((request.unit, request.address, value))
            self.set(request.address, value, unit=request.unit)
            return frame[7:12]
        table = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}[function]
        wanted = range(request.address, request.address + request.quantity)
        if any((table, address) in self.missing for address in wanted):
            return bytes([function | 0x80, 2])
        values = [self.get(address, request.unit, table) for address in wanted]
        if function <= 2:
            packed = sum(bool(value) << place for place, value in enumerate(values))
            data = packed.to_bytes((len(values) + 7) // 8, "little")
        else:
            data = struct.pack(f">{len(values)}H", *values)
        return bytes([function, len(data)]) + data


def mbap(transaction: int, unit: int, body: bytes, protocol: int = 0, length: int | None = None) -> bytes:
    """A frame; `length` may lie."""
    return struct.pack(">HHHB", transaction, protocol, len(body) + 1 if length is None else length, unit) + body


def settings(port: int | None, units: dict[str, Any], **options: Any) -> Settings:
    """As from a site file, with short times; refuses what `check` would. `port` None: a serial line."""
    where = {"host": "127.0.0.1", "port": port} if port is not None else {}
    short = {"timeout_ms": 2_000, "recovery_ms": 100, "reconnect_min_ms": 10, "reconnect_max_ms": 50}
    made = msgspec.convert({"units": units, **where, **short, **options}, Settings)
    assert list(made.faults()) == []
    return made


async def until(true: Callable[[], Any], what: str = "") -> None:
    """Wait for it, and fail if it does not come."""
    try:
        async with asyncio.timeout(READY_S_MAX):
            while not true():
                await asyncio.sleep(0.003)
    except TimeoutError:
        raise AssertionError(f"never: {what or true}") from None


def polling(
    intake: RememberingIntake, made: Settings, now_us: Callable[[], int] | None = None
) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    """The driver at work for the time of the `async with`."""
    ticks: Iterator[int] = itertools.count(1_700_000_000_000_000, 1_000)
    return running(Driver("plc", made, intake, now_us or (lambda: next(ticks))))


@contextmanager
def no_tasks_left() -> Iterator[None]:
    """Everything that was started inside has ended."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if not task.done()]
    assert left == [], left
