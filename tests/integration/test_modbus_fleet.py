"""Many units: on one loop, behind one gateway, alike in their profile; and several requests on their way at once."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from typing import Any

import pytest

from protocols.modbus.connection import Connection
from protocols.modbus.endpoint import Endpoint
from protocols.modbus.wire import NoAnswer
from tests.modbus import Plc, RememberingIntake, Request, mbap, polling, settings, until
from tests.modbus_floor import run

LANE = {
    "holding": {"count": {"address": 0, "type": "uint32"}, "lane": 5, "hole": 8},
    "discrete": {"full": 3},
    "groups": {
        "state": {
            "poll": "state",
            "registers": ["lane"],
            "triggers": [
                {
                    "on": "change",
                    "register": "full",
                    "record": {
                        "kind": {"const": "lane.full"},
                        "dest": "lane",
                        "state": {"path": "full", "table": {"true": "set", "false": "clear"}},
                    },
                }
            ],
        }
    },
}


def lanes(first: int, count: int, **options: Any) -> dict[str, Any]:
    return {
        f"L{number}": {"unit": number - first + 1, "src": f"dc1/lane/{number}", "profile": "lane", **options}
        for number in range(first, first + count)
    }


def fleet(port: int, units: dict[str, Any], poll_ms: int = 50, **options: Any) -> Any:
    polls = {"state": {"poll_ms": poll_ms, "jitter_ms": 5, "overdue": "ignore"}}
    return settings(port, units, profiles={"lane": LANE}, polls=polls, **options)


def test_500_units_behind_many_connections_are_polled_on_one_loop() -> None:
    async def story() -> None:
        gateways = [Plc() for _ in range(20)]
        for gateway in gateways:
            await gateway.start()
        units: dict[str, Any] = {}
        for number, gateway in enumerate(gateways):
            units |= lanes(25 * number, 25, host="127.0.0.1", port=gateway.port)
            for unit in range(1, 26):
                gateway.set(5, 25 * number + unit - 1, unit=unit)
        intake = RememberingIntake()
        made = fleet(1, units, poll_ms=500, timeout_ms=5_000)
        async with polling(intake, made):
            await until(lambda: len(intake.later_links) == 500)
            for number in (0, 77, 499):
                gateways[number // 25].set(3, 1, unit=number % 25 + 1, table="discrete")
            await until(lambda: len(intake.facts) == 3)
        for gateway in gateways:
            await gateway.stop()
        assert {(line["src"], line["dest"]) for line in intake.facts} == {
            (f"dc1/lane/{number}", str(number)) for number in (0, 77, 499)
        }
        assert {kind for _, kind in intake.later_links} == {"link.up"}
        assert sum(len({request.connection for request in gateway.requests}) for gateway in gateways) == 20

    run(story())


def test_a_hole_that_one_unit_does_not_have_is_read_along_by_none_of_its_profile_again() -> None:
    async def story() -> None:
        async with Plc() as plc:
            # between `count` and `lane` lies a register that this make does not have
            plc.missing = {("holding", 3)}
            lane = {**LANE, "groups": {"g": {"poll_ms": 10, "triggers": LANE["groups"]["state"]["triggers"]}}}  # type: ignore[index]
            intake = RememberingIntake()
            made = settings(plc.port, lanes(0, 12), profiles={"lane": lane})
            async with polling(intake, made):
                await until(lambda: len(intake.later_links) == 12)
                await until(lambda: len(plc.requests) > 200)
                before = len(plc.requests)
                # not even after the link was lost: the device is the same
                plc.cut()
                await until(lambda: len(plc.requests) > before + 200)
        over_the_hole = [
            request
            for request in plc.requests
            if request.function == 3 and request.address <= 3 < request.address + request.quantity
        ]
        assert len(over_the_hole) == 1
        assert all(cause.endswith(": closed by the server") for cause in intake.causes)

    run(story())


def test_a_dead_unit_behind_a_gateway_costs_the_others_nothing_once_it_is_known() -> None:
    """The gateway waits for the dead unit on its own line while it serves another connection, as gateways do."""

    async def story() -> None:
        async with Plc() as plc:
            plc.dead = {7}
            intake = RememberingIntake()
            made = fleet(plc.port, lanes(1, 20), poll_ms=20, timeout_ms=1_000, failures_max=1, recovery_ms=100)
            async with polling(intake, made):
                await until(lambda: ("dc1/lane/7", "link.down") in intake.later_links)
                await until(lambda: len(intake.later_links) >= 20)
                before = len(plc.requests)
                await until(lambda: any(request.unit == 7 for request in plc.requests[before:]))
                probed, began_s = len(plc.requests), asyncio.get_running_loop().time()
                await until(lambda: len(plc.requests) > probed + 3 * 19)
                # on the main connection nobody would be asked before the second of the probe is over
                assert asyncio.get_running_loop().time() - began_s < 0.9
                assert all(request.connection != 1 for request in plc.requests[before:] if request.unit == 7)
        assert [link for link in intake.later_links if link[1] == "link.down"] == [("dc1/lane/7", "link.down")]

    run(story())


def test_a_unit_that_answers_slowly_leaves_the_line_to_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """And is asked as often as ever once it is quick again. Its answers come in time, so it is never down."""

    async def story() -> None:
        async with Plc() as plc:
            slow: set[int] = {7}

            async def answer(request: Request, frame: bytes) -> bytes:
                await asyncio.sleep(0.3 if request.unit in slow else 0)
                return frame

            plc.answer = answer
            intake = RememberingIntake()

            def counted() -> Counter[int]:
                return Counter(request.unit for request in plc.requests)

            async with polling(intake, fleet(plc.port, lanes(1, 20), poll_ms=40, timeout_ms=20_000)):
                await until(lambda: counted()[7] >= 2)
                before = counted()
                await until(lambda: counted()[7] >= before[7] + 3)
                asked = counted() - before
                # one for each of its own, where they have to wait for it
                assert min(asked[unit] for unit in range(1, 21) if unit != 7) > 3 * asked[7]
                slow.clear()
                await until(lambda: counted()[7] >= before[7] + 5)
                before = counted()
                await until(lambda: counted()[7] >= before[7] + 10)
                asked = counted() - before
                assert max(asked.values()) < 2 * asked[7]
        assert ("dc1/lane/7", "link.down") not in intake.later_links

    run(story())
    assert "unit L7 takes" in caplog.text
    assert caplog.text.count("it is asked less often") == 1


class Concurrent:
    """A server that answers each request by itself, `delay_s(request)` after it came; None: never."""

    def __init__(self) -> None:
        self.connections = 0
        self.most = 0
        self.delay_s: Any = lambda request: 0.0
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        loop = asyncio.get_running_loop()
        try:
            while True:
                frame = await reader.readexactly(12)
                request = Request(self.connections, frame)
                self._open += 1
                self.most = max(self.most, self._open)
                delay = self.delay_s(request)
                if delay is not None:
                    loop.call_later(delay, self._answer, request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self._open -= 1
        words = struct.pack(f">{request.quantity}H", *range(request.address, request.address + request.quantity))
        writer.write(mbap(request.transaction, request.unit, bytes([request.function, len(words)]) + words))


def connected(port: int, in_flight_max: int) -> Connection:
    return Connection(Endpoint("tcp", (("127.0.0.1", port),)), 60.0, frozenset(), in_flight_max)


def test_so_many_requests_are_on_their_way_as_the_device_takes_and_no_more() -> None:
    async def story() -> None:
        device = Concurrent()
        device.delay_s = lambda request: 0.002 * (5 - request.address % 5)  # out of order
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
        connection = connected(server.sockets[0].getsockname()[1], 4)
        await connection.open()
        asked = [connection.read(1, 60.0, "holding", start, 2) for start in range(60)]
        for start, answer in enumerate(asked):
            assert struct.unpack(">2H", await answer) == (start, start + 1)
        connection.close()
        server.close()
        assert device.most == 4

    run(story())


def test_a_late_answer_among_others_is_dropped_and_shifts_none() -> None:
    async def story() -> None:
        device = Concurrent()
        device.delay_s = lambda request: 0.12 if request.address == 7 else 0.001
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
        connection = connected(server.sockets[0].getsockname()[1], 4)
        await connection.open()
        late = connection.read(1, 0.05, "holding", 7, 1)
        ended = asyncio.get_running_loop().time() + 0.25
        while asyncio.get_running_loop().time() < ended:
            asked = [connection.read(1, 60.0, "holding", start, 1) for start in (1, 2, 3)]
            assert [int.from_bytes(await answer, "big") for answer in asked] == [1, 2, 3]
            await asyncio.sleep(0.002)
        try:
            await late
        except NoAnswer as failure:
            assert failure.reason == "no answer in time"
        else:
            raise AssertionError("an answer after its time")
        assert connection.is_open
        connection.close()
        server.close()
        assert device.connections == 1

    run(story())


def test_a_line_on_which_nothing_comes_any_more_is_opened_anew_and_only_one_unit_is_to_blame() -> None:
    async def story() -> None:
        device = Concurrent()
        device.delay_s = lambda request: None
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
        connection = connected(server.sockets[0].getsockname()[1], 4)
        await connection.open()
        asked = [connection.read(unit, 0.03, "holding", 0, 1) for unit in (1, 2, 3)]
        failures = await asyncio.gather(*asked, return_exceptions=True)
        assert not connection.is_open
        server.close()
        assert [getattr(failure, "blameless", None) for failure in failures] == [False, True, True]

    run(story())


def test_a_driver_with_several_requests_on_their_way_reads_and_writes_as_ever() -> None:
    async def story() -> None:
        async with Plc() as plc:
            for unit in range(1, 11):
                plc.set(5, unit, unit=unit)
            intake = RememberingIntake()
            made = fleet(plc.port, lanes(1, 10), poll_ms=10, in_flight_max=8)
            async with polling(intake, made):
                await until(lambda: len(intake.later_links) == 10)
                for unit in range(1, 11):
                    plc.set(3, 1, unit=unit, table="discrete")
                await until(lambda: len(intake.facts) == 10)
                plc.cut()
                before = len(plc.requests)
                await until(lambda: len(plc.requests) > before + 50)
        full = [line for line in intake.facts if line["kind"] == "lane.full"]
        assert sorted((line["src"], line["dest"], line["state"]) for line in full) == sorted(
            (f"dc1/lane/{unit}", str(unit), "set") for unit in range(1, 11)
        )

    run(story())


def test_an_overdue_poll_is_a_gap_where_the_site_says_so() -> None:
    async def story() -> None:
        async with Plc() as plc:
            slow = False

            async def answer(request: Request, frame: bytes) -> bytes:
                if slow:
                    await asyncio.sleep(0.06)
                return frame

            plc.answer = answer
            intake = RememberingIntake()
            polls = {"state": {"poll_ms": 20, "deadline_ms": 40, "overdue": "gap"}}
            made = settings(plc.port, lanes(1, 1), profiles={"lane": LANE}, polls=polls)
            async with polling(intake, made):
                await until(lambda: len(plc.requests) > 10)
                slow = True
                await until(lambda: intake.facts)
                slow = False
        gap = intake.facts[0]
        assert gap["kind"] == "source.gap"
        assert gap["src"] == "dc1/lane/1"
        assert gap["t_from"] < gap["t_to"] == gap["t_rx"]
        assert "overdue" in intake.causes[0]

    run(story())


def test_a_poll_without_an_answer_is_overdue_however_soon_the_next_one_has_its_own() -> None:
    async def story() -> None:
        async with Plc() as plc:
            withheld: list[Request] = []
            begun = False

            def answer(request: Request, frame: bytes) -> bytes | None:
                if not begun or withheld:
                    return frame
                withheld.append(request)
                return None

            plc.answer = answer
            intake = RememberingIntake()
            polls = {"state": {"poll_ms": 400, "deadline_ms": 400, "overdue": "gap"}}
            made = settings(
                plc.port, lanes(1, 1), profiles={"lane": LANE}, polls=polls, timeout_ms=20, failures_max=1_000
            )
            async with polling(intake, made):
                await until(lambda: len(plc.requests) > 4)
                begun = True
                await until(lambda: intake.facts)
        assert withheld
        assert {line["kind"] for line in intake.facts} == {"source.gap"}

    run(story())


def test_an_edge_that_is_seen_while_the_rest_fails_is_not_lost() -> None:
    """The trigger's request is answered, the next one of the same poll is not: the edge has to wait, not to go."""

    async def story() -> None:
        async with Plc() as plc:
            fails = False

            def answer(request: Request, frame: bytes) -> bytes | None:
                return None if fails and request.function == 3 else frame

            plc.answer = answer
            plc.set(5, 9, unit=1)
            intake = RememberingIntake()
            async with polling(intake, fleet(plc.port, lanes(1, 1), poll_ms=5, timeout_ms=40, failures_max=1_000)):
                await until(lambda: intake.later_links)
                fails = True
                plc.set(3, 1, unit=1, table="discrete")
                before = len(plc.requests)
                await until(lambda: sum(request.function == 3 for request in plc.requests[before:]) >= 2)
                assert intake.facts == []
                fails = False
                await until(lambda: intake.facts)
        assert [(line["dest"], line["state"]) for line in intake.facts] == [("9", "set")]

    run(story())


def test_a_debounced_edge_on_the_wire() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with Plc() as plc:
            trigger = {**LANE["groups"]["state"]["triggers"][0], "debounce_ms": 1_000}  # type: ignore[index]
            lane = {**LANE, "groups": {"g": {"poll_ms": 5, "triggers": [trigger]}}}
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, lanes(1, 1), profiles={"lane": lane})):
                await until(lambda: len(plc.requests) > 4)
                plc.set(3, 1, table="discrete")
                before = len(plc.requests)
                await until(lambda: len(plc.requests) > before + 4)
                plc.set(3, 0, table="discrete")
                before, flickered_s = len(plc.requests), loop.time()
                await until(lambda: loop.time() > flickered_s + 1.1 and len(plc.requests) > before + 30)
                assert intake.facts == []
                plc.set(3, 1, table="discrete")
                await until(lambda: intake.facts)
        assert [line["state"] for line in intake.facts] == ["set"]

    run(story())
