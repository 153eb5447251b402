"""`sortline discover modbus`: devices with holes, with limits, that are silent where they should refuse."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocols.discovery import Discovery
from protocols.modbus.discover import Line, scan
from protocols.modbus.endpoint import Endpoint
from tests.integration.test_discover import discovering, site_of
from tests.modbus import Plc, Request, mbap


def test_registers_of_a_unit_with_holes_are_found_and_those_that_change_are_drafted(tmp_path: Path) -> None:
    async def story() -> Discovery:
        async with Plc() as plc:
            plc.missing = {("holding", address) for address in range(100) if address not in {*range(10), 20, 21, 22}}
            plc.dead = {9}

            async def work() -> None:
                for number in itertools.count():
                    plc.set(21, number % 1_000)
                    await asyncio.sleep(0.03)

            working = asyncio.create_task(work())
            found: Discovery = await discovering(
                *("modbus", f"127.0.0.1:{plc.port}", "--units", "1,9", "--registers", "0-99", "--seconds", "1"),
                *("--tables", "holding"),
            )
            working.cancel()
            return found

    found = asyncio.run(story())
    source = site_of(found, tmp_path)
    (unit,) = source.settings.units.values()
    assert set(unit.holding) == {"h21"}
    rows = [row.split() for row in found.report if " holding " in row]
    assert [row[2] for row in rows if row[0] == "1"] == ["0-9", "20-22"]
    assert all(row[0] == "1" for row in rows)


def test_a_unit_that_takes_few_registers_at_once_and_hangs_up_on_a_function_is_read_all_the_same(
    tmp_path: Path,
) -> None:
    async def story() -> Discovery:
        async with Plc() as plc:

            def answer(request: Request, frame: bytes) -> bytes | None:
                if request.function == 4:
                    plc.cut()
                    return None
                plc.set(41, len(plc.requests))
                return mbap(request.transaction, request.unit, b"\x83\x03") if request.quantity > 32 else frame

            plc.answer = answer
            found: Discovery = await discovering(
                *("modbus", f"127.0.0.1:{plc.port}", "--registers", "0-99", "--seconds", "0.2"),
                *("--tables", "input,holding"),
            )
            return found

    found = asyncio.run(story())
    (unit,) = site_of(found, tmp_path).settings.units.values()
    assert set(unit.holding) == {"h41"}
    assert [row.split()[1:3] for row in found.report if row.startswith("1 ")] == [["holding", "0-99"]]


@pytest.mark.parametrize("how", ["exception 4", "silence", "hangs up"])
def test_what_a_unit_takes_at_once_stands_in_the_draft(tmp_path: Path, how: str) -> None:
    """Of a device that says nothing, or no more than that it failed, the driver cannot know what was too much."""

    async def story() -> Discovery:
        async with Plc() as plc:

            def answer(request: Request, frame: bytes) -> bytes | None:
                if request.quantity <= 8:
                    plc.set(3, len(plc.requests))
                    return frame
                if how == "hangs up":
                    plc.cut()
                return mbap(request.transaction, request.unit, b"\x83\x04") if how == "exception 4" else None

            plc.answer = answer
            found: Discovery = await discovering(
                *("modbus", f"127.0.0.1:{plc.port}", "--registers", "0-15", "--tables", "holding", "--seconds", "0.2")
            )
            return found

    found = asyncio.run(story())
    (unit,) = site_of(found, tmp_path).settings.units.values()
    assert unit.read_registers_max == 8
    assert [row.split()[1:3] for row in found.report if row.startswith("1 ")] == [["holding", "0-15"]]


def test_an_answer_that_was_lost_hides_no_table_and_it_is_said_who_gives_none() -> None:
    async def story() -> Discovery:
        async with Plc() as plc:
            plc.dead = {2, 3}
            plc.set(5, 7)
            lost = iter([True])

            def answer(request: Request, frame: bytes) -> bytes | None:
                if request.unit == 4:
                    return mbap(request.transaction, request.unit, bytes([request.function | 0x80, 11]))
                plc.set(3, len(plc.requests))
                return None if request.function == 4 and next(lost, False) else frame

            plc.answer = answer
            found: Discovery = await discovering(
                *("modbus", f"127.0.0.1:{plc.port}", "--units", "1-4", "--registers", "0-31", "--seconds", "0.2")
            )
            return found

    found = asyncio.run(story())
    assert [row.split()[:3] for row in found.report if row.startswith("1 ")] == [
        ["1", "holding", "0-31"],
        ["1", "input", "0-31"],
    ]
    assert [line for line in found.report if line.startswith("unit")][:2] == [
        "units 2-3: nothing can be read: 3 x no answer in time",
        "unit 4: nothing can be read: 2 x exception 11 (gateway target device failed to respond)",
    ]
    assert "read_registers_max" not in found.draft


def test_a_device_that_answers_to_every_id_is_seen_to_be_one() -> None:
    async def story() -> Discovery:
        async with Plc() as plc:

            def moved(request: Request) -> None:
                for unit in (1, 2, 3):
                    plc.registers[unit, "holding", 3] = 7 if len(plc.requests) < 6 or unit == 3 else 8

            plc.after = moved
            found: Discovery = await discovering(
                *("modbus", f"127.0.0.1:{plc.port}", "--units", "1-3", "--registers", "0-31", "--seconds", "0.3"),
                *("--tables", "holding"),
            )
            return found

    found = asyncio.run(story())
    assert "units 1-2 show the same: if one device answers to every id, keep one of them" in found.report


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        ("wrong length", lambda asked: mbap(asked.transaction, asked.unit, bytes([asked.function | 0x80]))),
        ("wrong unit", lambda asked: mbap(asked.transaction, 99, b"\x03\x02\x00\x07")),
        ("wrong function", lambda asked: mbap(asked.transaction, asked.unit, b"\x04\x02\x00\x07")),
        ("wrong protocol id", lambda asked: mbap(asked.transaction, asked.unit, b"\x03\x02\x00\x07", protocol=7)),
        ("wrong byte count", lambda asked: mbap(asked.transaction, asked.unit, b"\x03\x04\x00\x07")),
        ("foreign answer", lambda asked: mbap(asked.transaction ^ 1, asked.unit, b"\x03\x02\x00\x07")),
    ],
)
def test_an_answer_to_something_else_is_not_believed(why: str, answer: Callable[[Request], bytes]) -> None:
    async def story() -> Discovery:
        async with Plc() as plc:
            plc.answer = lambda request, frame: answer(request) if request.function == 3 else frame
            found: Discovery = await discovering(
                *("modbus", f"127.0.0.1:{plc.port}", "--registers", "0-0", "--seconds", "0.1")
            )
            return found

    found = asyncio.run(story())
    assert found.report[0].split(": ")[1].startswith("1 of 1 units answer")
    assert "1 x not believed: " in found.report[1]
    assert why in found.report[1]
    assert not any(" holding " in row for row in found.report)


def test_a_scan_asks_only_to_read(tmp_path: Path) -> None:
    async def story() -> set[int]:
        async with Plc() as plc:
            plc.set(0, 1, 2, 3)
            opened = Line(Endpoint("tcp", (("127.0.0.1", plc.port),)))
            for name in ("holding", "input", "coil", "discrete"):
                await scan(opened, 1, name, 0, 40)
            opened.close()
            return {request.function for request in plc.requests}

    assert asyncio.run(story()) <= {1, 2, 3, 4}


def test_registers_of_a_device_that_is_busy_now_and_then_are_found() -> None:
    async def story() -> list[Any]:
        async with Plc() as plc:
            asked = itertools.count()

            def answer(request: Request, frame: bytes) -> bytes:
                if next(asked) % 3:
                    return mbap(request.transaction, request.unit, bytes([request.function | 0x80, 6]))
                return frame

            plc.answer = answer
            line = Line(Endpoint("tcp", (("127.0.0.1", plc.port),)))
            runs = await scan(line, 1, "holding", 0, 199)
            line.close()
            return [(run.first, len(run.seen)) for run in runs]

    assert asyncio.run(story()) == [(0, 200)]
