"""Modbus TCP as a client: what a read of 125 registers costs in CPU, from asking to knowing whether anything changed.

    modbus.single     one request on its way          peers: pymodbus; libmodbus (C, where it is installed)
    modbus.pipelined  16 on their way at once         peer: pymodbus, which has one lock for all
    modbus.units      500 units, each on a connection of its own, polled every 100 ms by the driver
                                                      peer: 500 pymodbus clients on one loop

`us` is CPU time of this process for one read, for the wall clock is the server's too; `p50_ms` and `p99_ms` are of one
read, by the wall clock. Everybody runs on uvloop. Client and server share a core: over loopback it is the sender who
wakes the other side up, and to wake up another core that is idle costs it, on a virtual machine, twice what the read
does.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple, TypeVar

import msgspec
import uvloop
from pymodbus.client import AsyncModbusTcpClient

from bench.measure import Failed, costs, in_turns, of_steps
from bench.settings import OURS, Figures, Settings
from engine.cancellation import raise_if_cancelled
from engine.contracts import Delivery
from ext.modbus_image import RegisterImage
from protocols.modbus.connection import Connection
from protocols.modbus.driver import Driver
from protocols.modbus.endpoint import Endpoint
from protocols.modbus.settings import Settings as SourceSettings

T = TypeVar("T")

READS = 5_000
REGISTERS = 125
IN_FLIGHT = 16
UNITS = 500
POLL_MS = 100
UNITS_MS = 2_000
UNDER_WAY = 3  # reads of each unit before anything is measured: connecting is another matter
PEER = "pymodbus"


class Spent(NamedTuple):
    """CPU of a read, over all of them; wall seconds of each."""

    cpu_us: float
    waits: list[float]


def single(settings: Settings) -> Figures:
    """One request on its way."""
    reads = settings.size(READS, IN_FLIGHT)
    with serving(1) as server, sharing_a_core(server):
        port = server.ports[0]
        contestants: dict[str, Callable[[], Spent]] = {
            OURS: lambda: _run(_read_ours(port, reads, 1)),
            PEER: lambda: _run(_read_pymodbus(port, reads)),
        }
        library = ctypes.util.find_library("modbus")
        if library is not None:
            contestants["libmodbus"] = lambda: _read_libmodbus(library, port, reads)
        absent = {} if library is not None else {"libmodbus": "the C library is not installed"}
        return {**_of_reads(in_turns(contestants, settings.runs)), "absent": absent}


def pipelined(settings: Settings) -> Figures:
    """Several on their way at once, to a device that takes them."""
    reads = settings.size(READS, IN_FLIGHT)
    with serving(1) as server, sharing_a_core(server):
        port = server.ports[0]
        contestants: dict[str, Callable[[], Spent]] = {
            OURS: lambda: _run(_read_ours(port, reads, IN_FLIGHT)),
            PEER: lambda: _run(_read_pymodbus(port, reads)),
        }
        return _of_reads(in_turns(contestants, settings.runs))


def units(settings: Settings) -> Figures:
    """A floor of units, polled at their time: the cost of a read only, for nobody waits for a single one."""
    number, watched_s = settings.size(UNITS, 5), settings.size(UNITS_MS, 500) / 1_000
    with serving(number) as server, sharing_a_core(server):
        contestants: dict[str, Callable[[], float]] = {
            OURS: lambda: _run(_poll_ours(server, watched_s)),
            PEER: lambda: _run(_poll_pymodbus(server, watched_s)),
        }
        return {**costs(in_turns(contestants, settings.runs)), "units": number}


def _of_reads(spent: Mapping[str, Sequence[Spent]]) -> Figures:
    us = {name: [each.cpu_us for each in turns] for name, turns in spent.items()}
    return {**costs(us), **of_steps({name: [each.waits for each in turns] for name, turns in spent.items()})}


class _Server:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.pid = process.pid
        self.ports = [int(port) for port in self._out.readline().split()]

    def answered(self) -> int:
        print(file=self._in, flush=True)
        return int(self._out.readline())


@contextmanager
def serving(ports: int) -> Iterator[_Server]:
    arguments = [sys.executable, "-m", "bench.modbus_server", str(ports)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        yield _Server(process)
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def sharing_a_core(server: _Server) -> Iterator[None]:
    """This process and the server; where the operating system lets us say so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    try:
        for process in (0, server.pid):
            os.sched_setaffinity(process, {max(cores)})
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def _read_ours(port: int, reads: int, in_flight: int) -> Spent:
    connection = Connection(Endpoint("tcp", (("127.0.0.1", port),)), 1.0, frozenset(), in_flight)
    await connection.open()
    image = RegisterImage(1, b"\1" * REGISTERS)
    waits = []
    cpu = time.process_time()
    for _ in range(reads // in_flight):
        began = time.perf_counter()
        if in_flight == 1:  # as the peers are asked, for a list of one costs what no client can help
            image.store(0, 0, await connection.read(1, 1.0, "holding", 0, REGISTERS))
        else:
            asked = [connection.read(1, 1.0, "holding", 0, REGISTERS) for _ in range(in_flight)]
            for answer in asked:
                image.store(0, 0, await answer)
        waits.append((time.perf_counter() - began) / in_flight)
    cpu = time.process_time() - cpu
    connection.close()
    return Spent(1e6 * cpu / (reads // in_flight * in_flight), waits)


async def _read_pymodbus(port: int, reads: int) -> Spent:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    last: Sequence[int] = ()
    waits = []
    cpu = time.process_time()
    for _ in range(reads):
        began = time.perf_counter()
        registers = (await client.read_holding_registers(0, count=REGISTERS, device_id=1)).registers
        if registers != last:
            last = registers
        waits.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    client.close()
    return Spent(1e6 * cpu / reads, waits)


def _read_libmodbus(library: str, port: int, reads: int) -> Spent:
    """The C library, called from Python: about a microsecond of it is the call."""
    modbus = ctypes.CDLL(library)
    modbus.modbus_new_tcp.restype = ctypes.c_void_p
    context = ctypes.c_void_p(modbus.modbus_new_tcp(b"127.0.0.1", port))
    modbus.modbus_set_slave(context, 1)
    if modbus.modbus_connect(context) != 0:
        raise Failed("libmodbus cannot connect")
    registers = (ctypes.c_uint16 * REGISTERS)()
    waits = []
    cpu = time.process_time()
    for _ in range(reads):
        began = time.perf_counter()
        if modbus.modbus_read_registers(context, 0, REGISTERS, registers) != REGISTERS:
            raise Failed("libmodbus cannot read")
        waits.append(time.perf_counter() - began)
    cpu = time.process_time() - cpu
    modbus.modbus_close(context)
    modbus.modbus_free(context)
    return Spent(1e6 * cpu / reads, waits)


async def _watched(server: _Server, watched_s: float, work: Callable[[], Awaitable[None]]) -> float:
    """CPU of a read of what polls for ever, in microseconds: measured over a time in which all are under way."""
    wanted = server.answered() + UNDER_WAY * len(server.ports)
    task = asyncio.ensure_future(work())
    while server.answered() < wanted and not task.done():  # noqa: ASYNC110 - another process counts
        await asyncio.sleep(watched_s / 10)
    before, cpu = server.answered(), time.process_time()
    await asyncio.sleep(watched_s)
    cpu = time.process_time() - cpu
    reads = server.answered() - before
    task.cancel()
    await asyncio.wait({task})
    if reads == 0:
        raise Failed("nothing was polled")
    return 1e6 * cpu / reads


class _Nowhere:
    """An engine that takes everything and keeps nothing."""

    async def put(self, delivery: Delivery) -> None:
        return

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        raise Failed(cause)

    def state(self, source: str, state: str, detail: str = "") -> None:
        return

    def position(self, src: str) -> tuple[int, int] | None:
        return None

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return ()


def _floor(ports: list[int]) -> SourceSettings:
    names = {f"r{address}": address for address in range(REGISTERS)}
    trigger = {"on": "change", "register": "r0", "record": {"kind": {"const": "telemetry"}, "code": "r1"}}
    return msgspec.convert(
        {
            "polls": {"all": {"poll_ms": POLL_MS, "jitter_ms": POLL_MS // 10, "overdue": "ignore"}},
            "profiles": {"P": {"holding": names, "groups": {"g": {"poll": "all", "triggers": [trigger]}}}},
            "units": {
                f"U{number}": {"unit": 1, "src": f"dc1/u/{number}", "profile": "P", "host": "127.0.0.1", "port": port}
                for number, port in enumerate(ports)
            },
        },
        SourceSettings,
    )


async def _poll_ours(server: _Server, watched_s: float) -> float:
    ticks = count()
    driver = Driver("floor", _floor(server.ports), _Nowhere(), lambda: next(ticks))
    return await _watched(server, watched_s, driver.run)


async def _poll_pymodbus(server: _Server, watched_s: float) -> float:
    async def poll(port: int) -> None:
        client = AsyncModbusTcpClient("127.0.0.1", port=port)
        await client.connect()
        last: Sequence[int] = ()
        try:
            while True:
                registers = (await client.read_holding_registers(0, count=REGISTERS, device_id=1)).registers
                raise_if_cancelled()  # its client may have lost it
                if registers != last:
                    last = registers
                await asyncio.sleep(POLL_MS / 1000)
        finally:
            client.close()

    async def all_of_them() -> None:
        await asyncio.gather(*(poll(port) for port in server.ports))

    return await _watched(server, watched_s, all_of_them)
