"""The Modbus driver against libmodbus: an independent server, in C, compiled for the test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.libmodbus import SERVER_C, compiled
from tests.modbus import RememberingIntake, polling, settings, until
from tests.peers import free_port

UNIT = {
    "unit": 1,
    "src": "dc1/pack/SCL-01",
    "holding": {
        "stable": {"address": 0, "type": "bool"},
        "weight": {"address": 1, "type": "int32", "word_order": "little"},
        "lu": {"address": 3, "type": "string", "length_bytes": 6},
        "absent": 500,
    },
    "input": {"temperature": 3},
    "coil": {"run": 5},
    "discrete": {"jam": 7},
    "groups": {
        "weighing": {
            "poll_ms": 5,
            "triggers": [
                {
                    "on": "rising",
                    "register": "stable",
                    "record": {"kind": {"const": "weigh"}, "lu": "lu", "weight_g": "weight"},
                }
            ],
        }
    },
    "mailboxes": {
        "events": {
            "poll_ms": 5,
            "src": "dc1/sorter/SRT-01",
            "seq": 100,
            "seq2": 102,
            "ack": 110,
            "registers": {"track": 101},
            "record": {"kind": {"const": "item.inducted"}, "track": "track"},
        }
    },
}


class LibmodbusPlc:
    """The process, and the commands to it."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(self.program, str(self.port), stdin=pipe, stdout=pipe)

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def set(self, address: int, *values: int) -> None:
        await self._say(f"{address} {' '.join(map(str, values))}\n")

    async def get(self, address: int) -> int:
        await self._say(f"? {address}\n")
        assert self._process is not None
        assert self._process.stdout is not None
        return int(await self._process.stdout.readline())

    async def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        await self._process.stdin.drain()
        # the server reads one command at a time
        await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def plc_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled("plc", SERVER_C, tmp_path_factory.mktemp("libmodbus"))


def tell(story: Any, program: Path) -> None:
    async def whole() -> None:
        plc = LibmodbusPlc(program)
        await plc.start()
        try:
            await story(plc)
        finally:
            await plc.kill()

    asyncio.run(whole())


async def acknowledged(plc: LibmodbusPlc, seq: int) -> None:
    async with asyncio.timeout(60):
        while await plc.get(110) != seq:
            await asyncio.sleep(0.01)


@pytest.mark.peer("libmodbus")
def test_registers_and_a_mailbox_of_libmodbus(plc_program: Path) -> None:
    async def story(plc: LibmodbusPlc) -> None:
        intake = RememberingIntake(acks=False)
        async with polling(intake, settings(plc.port, {"U": UNIT})):
            await until(lambda: intake.later_links)
            await plc.set(1, 1_250, 0, 0x542D, 0x3737, 0)
            await plc.set(0, 1)
            await until(lambda: intake.facts)
            await plc.set(100, 1, 42, 1)
            await until(lambda: intake.owed)
            assert await plc.get(110) == 0
            intake.owed.pop()()
            await acknowledged(plc, 1)
        weigh, inducted = intake.facts
        assert (weigh["kind"], weigh["lu"], weigh["weight_g"]) == ("weigh", "T-77", 1_250)
        assert (inducted["kind"], inducted["seq"], inducted["track"]) == ("item.inducted", 1, "42")
        assert set(intake.causes) == {
            "units.U.groups.weighing: absent (holding 500): exception 2 (illegal data address)"
        }

    tell(story, plc_program)


@pytest.mark.peer("libmodbus")
def test_libmodbus_killed_and_started_again(plc_program: Path) -> None:
    async def story(plc: LibmodbusPlc) -> None:
        intake = RememberingIntake()
        async with polling(intake, settings(plc.port, {"U": UNIT})):
            await until(lambda: intake.later_links)
            await plc.set(100, 1, 42, 1)
            await acknowledged(plc, 1)
            await plc.kill()
            await until(lambda: len(intake.later_links) == 4)
            await plc.start()
            await until(lambda: len(intake.later_links) == 6)
            await plc.set(100, 1, 44, 1)
            await acknowledged(plc, 1)
        # registers of a PLC without memory: numbers start again, in a new epoch, and what was in them is gone
        assert [(line["kind"], line.get("epoch"), line.get("seq"), line.get("track")) for line in intake.facts] == [
            ("item.inducted", 0, 1, "42"),
            ("source.gap", None, None, None),
            ("item.inducted", 1, 1, "44"),
        ]
        assert [kind for src, kind in intake.later_links if src == "dc1/sorter/SRT-01"] == [
            "link.up",
            "link.down",
            "link.up",
        ]

    tell(story, plc_program)
