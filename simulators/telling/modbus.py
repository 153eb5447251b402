"""Sorter, crane and scale behind one Modbus TCP server. Holding registers, addresses from 0, big-endian words; a text
is ASCII, two characters a register, the first in the high byte, filled with NUL.

Unit 1, sorter SRT-01: a **mailbox**, one record at a time.

    99        restarts   changes at each start of the sorter
    100       seq        number of the record, 1..65535, then 0
    101       kind       1 inducted, 2 scan read, 3 scan not read, 4 identified by hand, 5 recirculated, 6 diverted
    102       track      the sorter's number for the item
    103       dest       6: lane where it went, 1..8; else 0
    104       dest_req   6: lane where it should have gone
    105..114  lu         load unit, 20 characters; empty while the sorter does not know it
    115       seq2       copy of seq, written last
    120       ack        written by the reader: the seq that it has safely

The sorter writes 100..114, then 115, and waits until `ack` shows `seq` before it goes on to the next record.

Unit 2, crane CRN-01: a **ring** of the last 32 records.

    200       head       how many records were written so far, modulo 65536
    201       size       32
    202       restarts   changes at each start of the crane
    210..     records    record n in slot n modulo 32, 22 registers each:
        +0      kind     1 stored, 2 retrieved
        +1..6   loc      12 characters
        +7..16  lu       20 characters
        +17..20 at       milliseconds since 1970 UTC, 64 bits
        +21     -        not used

The crane writes the record, then `head`, and never waits: what is not read within 32 records is overwritten.

Unit 3, scale SCL-01: **plain registers**.

    0         status     bit 0: stable, a weighing is shown; bit 1: overload
    1..2      weight     grams, 32 bits
    3..12     lu         20 characters

Bit 0 rises when weight and lu have been set, stays for 300 ms, and is low for at least 300 ms before the next weighing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from functools import partial

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.statements import Record
from simulators.telling.voice import Queued

SORTER, CRANE, SCALE = 1, 2, 3
RESTARTS, MAILBOX, SEQ2, ACK = 99, 100, 115, 120
HEAD, SLOTS, SLOT_REGISTERS, RING_SIZE = 200, 210, 22, 32
LU_CHARACTERS, LOC_CHARACTERS = 20, 12

KINDS = {
    "item.inducted": 1,
    "scan.read": 2,
    "scan.noread": 3,
    "ident.assigned": 4,
    "item.recirculated": 5,
    "divert.confirmed": 6,
    "store.confirmed": 1,
    "retrieve.confirmed": 2,
}
_REGISTERS = 1_000
_PULSE_S = 0.3


def text_registers(text: str, characters: int) -> list[int]:
    data = text.encode("ascii")[:characters].ljust(characters, b"\0")
    return list(struct.unpack(f">{characters // 2}H", data))


def lane_number(dest: str | None) -> int:
    return int(dest.removeprefix("LANE-")) if dest else 0


class ModbusFloor:
    """The server and its three machines. `restarts`: shown by sorter and crane."""

    def __init__(self, host: str, port: int, restarts: int) -> None:
        self._address = (host, port)
        self._server: ModbusTcpServer | None = None
        self._acknowledged = asyncio.Event()
        self.reads = 0
        self.sorter = _Sorter(self, restarts % 65_536)
        self.crane = _Crane(self, restarts % 65_536)
        self.scale = _Scale(self)

    async def start(self) -> None:
        """Raises OSError where the port is not free."""
        devices = [
            SimDevice(
                unit, [SimData(0, count=_REGISTERS, datatype=DataType.REGISTERS)], action=partial(self._accessed, unit)
            )
            for unit in (SORTER, CRANE, SCALE)
        ]
        server = ModbusTcpServer(devices, address=self._address)
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise OSError(f"cannot be a Modbus server at port {self._address[1]}: {error}") from error
        self._server = server
        await self.write(SORTER, RESTARTS, [self.sorter.restarts])
        await self.write(CRANE, HEAD, [0, RING_SIZE, self.crane.restarts])

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]
            self._server = None

    async def write(self, unit: int, address: int, values: Sequence[int]) -> None:
        assert self._server is not None, "start first"
        await self._server.async_setValues(unit, 16, address, list(values))

    async def read(self, unit: int, address: int, count: int) -> list[int]:
        assert self._server is not None, "start first"
        return [int(value) for value in await self._server.async_getValues(unit, 3, address, count)]

    async def acknowledged(self, number: int) -> None:
        """Waits until the reader of the sorter's mailbox has this number."""
        while (await self.read(SORTER, ACK, 1))[0] != number:
            self._acknowledged.clear()
            await self._acknowledged.wait()

    async def _accessed(
        self,
        unit: int,
        function: int,
        _start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called by the server before it answers; somebody else's reads are how we know that we are heard."""
        if values is None:
            self.reads += 1
        elif unit == SORTER and address <= ACK < address + count:
            # The value arrives in the register after this call; whoever waits looks once the server is done.
            asyncio.get_running_loop().call_soon(self._acknowledged.set)
        return None


class _Sorter(Queued):
    def __init__(self, floor: ModbusFloor, restarts: int) -> None:
        super().__init__()
        self._floor = floor
        self._seq = 0
        self.restarts = restarts

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            record = await self.next()
            self._seq = (self._seq + 1) % 65_536
            await self._floor.write(SORTER, MAILBOX, [self._seq, *mailbox_fields(record)])
            await asyncio.sleep(0)  # a reader may come just now and see it half written
            await self._floor.write(SORTER, SEQ2, [self._seq])
            await self._floor.acknowledged(self._seq)
            self.said()


def mailbox_fields(record: Record) -> list[int]:
    """Registers 101..114."""
    return [
        KINDS[record["kind"]],
        int(record["track"]),
        lane_number(record.get("dest")),
        lane_number(record.get("dest_req")),
        *text_registers(record.get("lu", ""), LU_CHARACTERS),
    ]


class _Crane(Queued):
    def __init__(self, floor: ModbusFloor, restarts: int) -> None:
        super().__init__()
        self._floor = floor
        self._head = 0
        self.restarts = restarts

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            record = await self.next()
            slot = SLOTS + self._head % RING_SIZE * SLOT_REGISTERS
            await self._floor.write(CRANE, slot, ring_record(record))
            self._head += 1
            await self._floor.write(CRANE, HEAD, [self._head % 65_536])
            self.said()


def ring_record(record: Record) -> list[int]:
    """The 22 registers of a slot."""
    return [
        KINDS[record["kind"]],
        *text_registers(record["loc"], LOC_CHARACTERS),
        *text_registers(record["lu"], LU_CHARACTERS),
        *struct.unpack(">4H", struct.pack(">Q", record["t"] // 1000)),
        0,
    ]


class _Scale(Queued):
    def __init__(self, floor: ModbusFloor) -> None:
        super().__init__()
        self._floor = floor

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            record = await self.next()
            weight = struct.unpack(">2H", struct.pack(">I", record["weight_g"]))
            await self._floor.write(SCALE, 1, [*weight, *text_registers(record["lu"], LU_CHARACTERS)])
            await self._floor.write(SCALE, 0, [1])
            await asyncio.sleep(_PULSE_S)
            await self._floor.write(SCALE, 0, [0])
            await asyncio.sleep(_PULSE_S)
            self.said()
