"""Modbus servers that answer late, wrongly, too much, or not in Modbus at all: no wrong record, no end of polling."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests.modbus import Plc, RememberingIntake, Request, mbap, polling, settings, until

COUNTER = {
    "unit": 1,
    "src": "dc1/a/counter",
    "holding": {"n": {"address": 0, "type": "uint32"}, "same": {"address": 2, "type": "uint32"}},
    "groups": {
        "g": {
            "poll_ms": 2,
            "triggers": [
                {
                    "on": "change",
                    "register": "n",
                    "record": {"kind": {"const": "telemetry"}, "code": "n", "lot": "same"},
                }
            ],
        }
    },
}
OTHER = {
    "unit": 1,
    "src": "dc1/a/other",
    "input": {"x": 100},
    "groups": {
        "g": {"poll_ms": 2, "triggers": [{"on": "poll", "record": {"kind": {"const": "telemetry"}, "code": "x"}}]}
    },
}


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def told(intake: RememberingIntake, n: int) -> Callable[[], bool]:
    """Whether the counter's value has become a record."""
    return lambda: any((line["src"], line["code"]) == ("dc1/a/counter", str(n)) for line in intake.facts)


def body(frame: bytes) -> bytes:
    return frame[7:]


def wrong_transaction(request: Request, frame: bytes) -> bytes:
    return mbap(request.transaction + 1, request.unit, body(frame))


def transaction_zero(request: Request, frame: bytes) -> bytes:
    return mbap(0, request.unit, body(frame))


def wrong_protocol(request: Request, frame: bytes) -> bytes:
    return mbap(request.transaction, request.unit, body(frame), protocol=5)


def wrong_unit(request: Request, frame: bytes) -> bytes:
    return mbap(request.transaction, request.unit + 1, body(frame))


def wrong_function(request: Request, frame: bytes) -> bytes:
    return mbap(request.transaction, request.unit, bytes([7 - request.function]) + body(frame)[1:])


def too_few(request: Request, frame: bytes) -> bytes:
    short = bytes([request.function, body(frame)[1] - 2]) + body(frame)[2:-2]
    return mbap(request.transaction, request.unit, short)


def too_many(request: Request, frame: bytes) -> bytes:
    long = bytes([request.function, body(frame)[1] + 2]) + body(frame)[2:] + b"\x11\x22"
    return mbap(request.transaction, request.unit, long)


def a_byte_too_much(request: Request, frame: bytes) -> bytes:
    return frame + b"\0"


def twice(request: Request, frame: bytes) -> bytes:
    return frame + frame


def huge_length(request: Request, frame: bytes) -> bytes:
    return mbap(request.transaction, request.unit, body(frame), length=65_535)


def http(request: Request, frame: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


def noise(request: Request, frame: bytes) -> bytes:
    return random.Random(request.transaction).randbytes(40)


def flood(request: Request, frame: bytes) -> bytes:
    return os.urandom(100_000)


@pytest.mark.parametrize(
    "fault",
    [
        wrong_transaction,
        transaction_zero,
        wrong_protocol,
        wrong_unit,
        wrong_function,
        too_few,
        too_many,
        a_byte_too_much,
        twice,
        huge_length,
        http,
        noise,
        flood,
    ],
    ids=lambda fault: fault.__name__,
)
@pytest.mark.parametrize("in_flight_max", [1, 4])
def test_a_wrong_answer_makes_no_record_and_reading_goes_on_after_it(
    in_flight_max: int, fault: Callable[[Request, bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with Plc() as plc:
            counted = 0
            draw = random.Random(3)

            def sometimes(request: Request, frame: bytes) -> bytes:
                nonlocal counted
                counted += 1
                # not every third: with four on their way that could be the same unit's for ever
                return fault(request, frame) if draw.random() < 1 / 3 else frame

            plc.answer = sometimes
            intake = RememberingIntake()
            # with several on their way the other units' requests are in between
            units = {"C": COUNTER} | {f"O{number}": OTHER for number in range(in_flight_max - 1)}
            plc.set(100, 777, table="input")
            options = {"timeout_ms": 60, "reconnect_min_ms": 1, "reconnect_max_ms": 2, "failures_max": 1_000}
            made = settings(plc.port, units, in_flight_max=in_flight_max, **options)
            async with polling(intake, made):
                await until(lambda: len(intake.later_links) >= 1 + (in_flight_max > 1))
                for n in range(1, 5):
                    plc.set(0, 0, n, 0, n)
                    await until(told(intake, n))
                await until(lambda: counted >= 9)
        counters = [line for line in intake.facts if line["src"] == COUNTER["src"]]
        assert [line["code"] for line in counters] == [line["lot"] for line in counters]
        assert {line["code"] for line in counters} <= {"1", "2", "3", "4"}
        assert {line["code"] for line in intake.facts if line not in counters} <= {"777"}
        # each one reopened the connection
        assert plc.requests[-1].connection >= 3
        assert all(cause.startswith("units.") for cause in intake.causes)

    with caplog.at_level(logging.INFO):
        run(story())
    assert all("0x" not in record.getMessage() for record in caplog.records)


def test_an_answer_that_comes_too_late_is_never_taken_for_the_next() -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.set(100, 777, table="input")

            asked = 0

            async def late(request: Request, frame: bytes) -> bytes:
                nonlocal asked
                asked += request.function == 3
                if request.function == 3 and asked % 4 == 0:
                    await asyncio.sleep(0.06)
                return frame

            plc.answer = late
            intake = RememberingIntake()
            made = settings(
                plc.port, {"C": COUNTER, "O": OTHER}, timeout_ms=30, failures_max=1_000, reconnect_max_ms=10
            )
            async with polling(intake, made):
                await until(lambda: len(intake.later_links) == 2)
                for n in range(1, 6):
                    plc.set(0, 0, n, 0, n)
                    await until(told(intake, n))
                await until(lambda: plc.requests[-1].connection > 3)
        assert {line["code"] for line in intake.facts if line["src"] == "dc1/a/other"} == {"777"}
        counters = [line for line in intake.facts if line["src"] == "dc1/a/counter"]
        assert all(line["code"] == line["lot"] for line in counters)

    run(story())


def test_an_answer_in_single_bytes_is_put_together() -> None:
    async def story() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while frame := await reader.read(12):
                    answer = mbap(int.from_bytes(frame[:2], "big"), 1, b"\x03\x08" + bytes([0, 0, 0, 9, 0, 0, 0, 9]))
                    for byte in answer:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(0)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        unit: dict[str, Any] = {**COUNTER, "groups": {"g": {**GROUP, "triggers": [{**TRIGGER, "on": "poll"}]}}}
        del unit["groups"]["g"]["triggers"][0]["register"]
        intake = RememberingIntake()
        async with polling(intake, settings(server.sockets[0].getsockname()[1], {"C": unit})):
            await until(lambda: len(intake.facts) >= 3)
        server.close()
        assert {line["code"] for line in intake.facts} == {"9"}
        assert intake.faults == []

    run(story())


GROUP: dict[str, Any] = COUNTER["groups"]["g"]  # type: ignore[index]
TRIGGER: dict[str, Any] = GROUP["triggers"][0]


async def accept_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def accept_and_say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def talk_before_being_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 welcome\r\n" * 50)
    await reader.read()
    writer.close()


@pytest.mark.parametrize("serve", [accept_and_close, accept_and_say_nothing, talk_before_being_asked])
def test_a_server_that_is_none_is_down_and_is_tried_for_ever_without_haste(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async def story() -> None:
        accepted = 0

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal accepted
            accepted += 1
            await serve(reader, writer)

        server = await asyncio.start_server(count, "127.0.0.1", 0)
        intake = RememberingIntake()
        made = settings(server.sockets[0].getsockname()[1], {"C": COUNTER}, timeout_ms=30, recovery_ms=30)
        async with polling(intake, made):
            await until(lambda: intake.later_links)
            before = accepted
            await until(lambda: accepted > before + 3)
            # a pause of at least reconnect_min_ms lies between two attempts
            assert accepted < 200
            await until(lambda: intake.states[-1][0] == "down")
        server.close()
        assert intake.later_links == [("dc1/a/counter", "link.down")]
        assert intake.facts == []
        assert "up" not in dict(intake.states), "nothing has ever answered"

    run(story())


def test_a_device_that_refuses_everything_is_up_and_named_once_a_cause() -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.answer = lambda request, frame: mbap(request.transaction, 1, bytes([request.function | 0x80, 4]))
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"C": COUNTER, "O": OTHER})):
                await until(lambda: len(plc.requests) > 20)
        assert set(intake.causes) == {
            "units.C.groups.g: n, same (holding 0): exception 4 (server device failure)",
            "units.O.groups.g: x (input 100): exception 4 (server device failure)",
        }
        assert {kind for _, kind in intake.later_links} == {"link.up"}

    run(story())


def test_a_refused_acknowledgement_is_named_and_tried_again_without_haste() -> None:
    async def story() -> None:
        unit = {
            "unit": 1,
            "src": "dc1/a/mail",
            "mailboxes": {
                "m": {
                    "poll_ms": 2, "seq": 0, "seq2": 2, "ack": 9, "registers": {"code": 1},
                    "record": {"kind": {"const": "telemetry"}, "code": "code"},
                }
            },
        }  # fmt: skip
        async with Plc() as plc:
            refusing = True

            def refuse(request: Request, frame: bytes) -> bytes:
                is_refused = refusing and request.function == 6
                return mbap(request.transaction, 1, b"\x86\x02") if is_refused else frame

            plc.answer = refuse
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"M": unit}, recovery_ms=20)):
                plc.set(0, 1, 5, 1)
                await until(lambda: intake.faults)
                # the stubborn server took the value all the same: what counts is what the register shows
                plc.set(9, 0)
                refusing = False
                await until(lambda: plc.get(9) == 1)
        assert set(intake.causes) == {"units.M.mailboxes.m: exception 2 (illegal data address)"}
        assert len(intake.facts) == 1

    run(story())
