"""The Modbus driver and what fails around it: units, servers, the engine, and being stopped."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from tests.modbus import Plc, RememberingIntake, Request, mbap, no_tasks_left, polling, settings, until
from tests.modbus_floor import CRANE, SCALE, SORTER, crane_plc, post, run, stow, text, weigh
from tests.peers import free_port


def test_a_dead_unit_is_asked_apart_while_the_others_are_polled() -> None:
    """Deterministic: while the request to the dead unit stays open on its own connection, the others are served."""

    async def story() -> None:
        async with Plc() as plc:
            plc.dead = {2}
            intake = RememberingIntake()
            made = settings(plc.port, {"SCL": SCALE, "SRT": SORTER}, timeout_ms=1_000, failures_max=2, recovery_ms=50)
            async with polling(intake, made):
                await until(lambda: ("dc1/sorter/SRT-01", "link.down") in intake.later_links)
                down_at = len(plc.requests)

                def probed() -> bool:
                    later = plc.requests[down_at:]
                    probe = next((at for at, request in enumerate(later) if request.unit == 2), None)
                    return probe is not None and len(later) > probe + 6

                await until(probed)
                later = plc.requests[down_at:]
                at, probe = next((at, request) for at, request in enumerate(later) if request.unit == 2)
                # the dead unit's next turn comes only when this probe has run out
                meanwhile = later[at + 1 : at + 7]
                assert {request.unit for request in meanwhile} == {1}
                assert probe.connection not in {request.connection for request in meanwhile}
                weigh(plc, "A", 10)
                await until(lambda: intake.facts)
                plc.dead = set()
                await until(lambda: intake.later_links.count(("dc1/sorter/SRT-01", "link.up")) == 1)
                post(plc, 1)
                await until(lambda: plc.writes)
        assert intake.later_links[-1] == ("dc1/sorter/SRT-01", "link.up")
        assert ("dc1/pack/SCL-01", "link.down") not in intake.later_links
        assert ("up", "no answer from SRT") in intake.states

    run(story())


def test_answers_that_are_missing_now_and_then_are_told_and_those_of_a_unit_that_is_down_are_not() -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.dead = {2}
            plc.answer = lambda request, frame: None if len(plc.requests) % 7 == 0 and request.unit == 1 else frame
            intake = RememberingIntake()
            made = settings(plc.port, {"SCL": SCALE, "SRT": SORTER}, timeout_ms=50, failures_max=3, recovery_ms=50)
            async with polling(intake, made):
                await until(lambda: ("dc1/sorter/SRT-01", "link.down") in intake.later_links)
                await until(lambda: len(intake.causes) > 2)
                plc.dead = set()
                await until(lambda: ("dc1/sorter/SRT-01", "link.up") in intake.later_links)
        assert set(intake.causes) == {"units.SCL: no answer in time"}

    run(story())


def test_a_server_that_serves_one_connection_only_is_asked_over_it() -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.dead = {2}
            plc.connections_max = 1
            intake = RememberingIntake()
            made = settings(plc.port, {"SCL": SCALE, "SRT": SORTER}, timeout_ms=50, failures_max=1, recovery_ms=50)
            async with polling(intake, made):
                await until(lambda: ("dc1/sorter/SRT-01", "link.down") in intake.later_links)
                plc.dead = set()
                await until(lambda: ("dc1/sorter/SRT-01", "link.up") in intake.later_links)

    run(story())


def test_a_gateway_that_cannot_reach_a_unit_takes_it_down_and_keeps_the_connection() -> None:
    async def story() -> None:
        async with Plc() as plc:

            def unreachable(request: Request, frame: bytes) -> bytes:
                if request.unit != 2:
                    return frame
                return frame[:4] + b"\0\x03" + bytes([2, request.function | 0x80, 11])

            plc.answer = unreachable
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SCL": SCALE, "SRT": SORTER})):
                await until(lambda: ("dc1/sorter/SRT-01", "link.down") in intake.later_links)
                seen = len(plc.requests)
                await until(lambda: len(plc.requests) > seen + 5)
        assert {request.connection for request in plc.requests if request.unit == 1} == {1}

    run(story())


def test_a_server_that_dies_and_comes_back_goes_on_and_its_state_is_no_event() -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SCL": SCALE, "SRT": SORTER})):
                post(plc, 1)
                await until(lambda: plc.writes)
                await plc.stop()
                await until(lambda: len(intake.later_links) == 4)
                weigh(plc, "MISSED", 5)
                post(plc, 2)
                await plc.start()
                await until(lambda: plc.get(110, unit=2) == 2)
                await until(lambda: len(intake.later_links) == 6)
                plc.set(10, 0)
                seen = len(plc.requests)
                await until(lambda: len(plc.requests) > seen + 6)
                weigh(plc, "SEEN", 5)
                await until(lambda: len(intake.facts) == 3)
        assert [line.get("lu", line.get("seq")) for line in intake.facts] == [1, 2, "SEEN"]
        assert [state for state, detail in intake.states if not detail or state == "down"] == [
            "connecting",
            "up",
            "down",
            "up",
        ]
        for src in ("dc1/pack/SCL-01", "dc1/sorter/SRT-01"):
            assert [kind for of, kind in intake.later_links if of == src] == ["link.up", "link.down", "link.up"]

    run(story())


@pytest.mark.parametrize("way", ["it closes the connection", "it is away for one attempt to connect"])
def test_what_happens_while_a_server_is_away_too_shortly_to_be_down_is_a_gap(way: str) -> None:
    async def story() -> None:
        async with Plc() as plc:
            closes = False

            def answer(request: Request, frame: bytes) -> bytes | None:
                if closes:
                    weigh(plc, "MISSED", 5)
                    plc.cut()
                return frame

            plc.answer = answer
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SCL": SCALE}, failures_max=1_000)):
                await until(lambda: intake.later_links)
                await until(lambda: len(plc.requests) > 4)
                if way == "it closes the connection":
                    closes = True
                    await until(lambda: plc.get(10))
                    closes = False
                else:
                    await plc.stop()
                    weigh(plc, "MISSED", 5)
                    await until(lambda: intake.states[-1][0] == "down")
                    await plc.start()
                await until(lambda: intake.facts)
                plc.set(10, 0)
                seen = len(plc.requests)
                await until(lambda: len(plc.requests) > seen + 6)
                weigh(plc, "SEEN", 5)
                await until(lambda: len(intake.facts) == 2)
        gap, seen_weigh = intake.facts
        assert (gap["kind"], seen_weigh["lu"]) == ("source.gap", "SEEN")
        assert 0 < gap["t_from"] < gap["t_to"] == gap["t_rx"]
        assert [kind for _, kind in intake.later_links] == ["link.up"]
        if way == "it closes the connection":
            assert set(intake.causes) == {"units.SCL: closed by the server"}, "who sees the gap wants to know why"

    run(story())


@pytest.mark.parametrize("is_durable_while_away", [True, False])
def test_a_machine_that_started_again_gets_no_acknowledgement_of_its_life_before(is_durable_while_away: bool) -> None:
    """Beside an empty mailbox it would say that number 0 is a record that nobody has."""
    labelled: dict[str, Any] = copy.deepcopy(SORTER)
    labelled["mailboxes"]["events"]["record"]["kind"] = {"const": "telemetry"}

    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake(acks=False)
            async with polling(intake, settings(plc.port, {"SRT": labelled})):
                post(plc, 4)
                await until(lambda: intake.owed)
                await plc.stop()
                await until(lambda: intake.states[-1][0] == "down")
                if is_durable_while_away:
                    intake.owed.pop()()
                post(plc, 0, what=0, track=0)
                await plc.start()
                await until(lambda: intake.states[-1] == ("up", ""))
                if not is_durable_while_away:
                    intake.owed.pop()()
                seen = len(plc.requests)
                await until(lambda: len(plc.requests) > seen + 10)
                assert plc.writes == []
                post(plc, 1)
                await until(lambda: intake.owed)
                intake.owed.pop()()
                await until(lambda: plc.writes)
        assert plc.writes == [(2, 110, 1)]
        facts = [line for line in intake.facts if line["kind"] != "source.gap"]
        assert [(line.get("epoch", 0), line["seq"]) for line in facts] == [(0, 4), (1, 1)]

    run(story())


@pytest.mark.parametrize("has_ack", [True, False])
def test_what_a_mailbox_may_have_held_when_its_machine_started_again_is_a_gap(has_ack: bool) -> None:
    sorter: dict[str, Any] = copy.deepcopy(SORTER)
    if not has_ack:
        del sorter["mailboxes"]["events"]["ack"]

    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            post(plc, 8)
            async with polling(intake, settings(plc.port, {"SRT": sorter})):
                await until(lambda: len(plc.requests) > 4)
                post(plc, 9)
                await until(lambda: any(line.get("seq") == 9 for line in intake.facts))
                plc.set(110, 0, unit=2)
                post(plc, 0, what=0)  # empty, if it has an acknowledgement
                await until(lambda: intake.facts[-1]["kind"] == "source.gap")
                post(plc, 1)
                await until(lambda: intake.facts[-1].get("seq") == 1)
        (gap,) = [line for line in intake.facts if line["kind"] == "source.gap"]
        assert "from_seq" not in gap
        assert gap["t_from"] == next(line["t_rx"] for line in intake.facts if line.get("seq") == 9)
        assert intake.facts[-1]["epoch"] == 1

    run(story())


def test_what_a_ring_may_have_held_when_its_machine_started_again_is_a_gap() -> None:
    async def story() -> None:
        async with crane_plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"CRN": CRANE})):
                stow(plc, 5)
                await until(lambda: len(intake.facts) == 5)
                plc.set(0, 0, unit=3)
                stow(plc, 2)
                await until(lambda: len(intake.facts) == 8)
        gap = intake.facts[5]
        assert gap == {
            "kind": "source.gap",
            "src": "dc1/asrs/CRN-01",
            "t_from": intake.facts[4]["t_rx"],
            "t_to": gap["t_rx"],
            "t_rx": gap["t_rx"],
        }
        assert [(line["epoch"], line["seq"]) for line in intake.facts[6:]] == [(1, 0), (1, 1)]

    run(story())


def test_an_acknowledgement_that_was_lost_with_its_connection_is_written_again() -> None:
    async def story() -> None:
        async with Plc() as plc:
            lost: list[int] = []

            def answer(request: Request, frame: bytes) -> bytes | None:
                if request.function == 6 and not lost:
                    lost.append(request.quantity)
                    plc.set(110, 0, unit=2)
                    plc.cut()
                    return None
                return frame

            plc.answer = answer
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                post(plc, 1)
                await until(lambda: plc.get(110, unit=2) == 1)
        assert lost == [1]
        assert [line["seq"] for line in intake.facts] == [1]

    run(story())


def test_a_server_that_is_not_there_at_the_start_is_waited_for() -> None:
    async def story() -> None:
        plc = Plc()
        plc.port = free_port()
        intake = RememberingIntake()
        async with polling(intake, settings(plc.port, {"SCL": SCALE})):
            await until(lambda: ("dc1/pack/SCL-01", "link.down") in intake.later_links)
            await plc.start()
            await until(lambda: ("dc1/pack/SCL-01", "link.up") in intake.later_links)
        await plc.stop()
        assert intake.later_links == [("dc1/pack/SCL-01", "link.down"), ("dc1/pack/SCL-01", "link.up")]

    run(story())


def test_while_the_engine_is_full_nothing_is_read() -> None:
    async def story() -> None:
        class FullIntake(RememberingIntake):
            gate = asyncio.Event()
            waiting = False

            async def put(self, delivery: Any) -> None:
                if any(b"item." in line for line in delivery.lines):
                    self.waiting = True
                    await self.gate.wait()
                await super().put(delivery)

        async with Plc() as plc:
            intake = FullIntake()
            async with polling(intake, settings(plc.port, {"SCL": SCALE, "SRT": SORTER})):
                await until(lambda: intake.later_links)
                post(plc, 1)
                await until(lambda: intake.waiting)
                seen = len(plc.requests)
                await asyncio.sleep(0.05)
                assert len(plc.requests) == seen
                intake.gate.set()
                await until(lambda: plc.writes)
        assert [line["seq"] for line in intake.facts] == [1]

    run(story())


def test_stopping_leaves_no_task_and_no_connection_behind() -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.dead = {2}
            intake = RememberingIntake()
            with no_tasks_left():
                async with polling(intake, settings(plc.port, {"SCL": SCALE, "SRT": SORTER}, failures_max=1)):
                    await until(lambda: len(intake.later_links) == 2)
                await until(lambda: not plc.connections)

    run(story())


def test_stopping_at_any_moment_of_connecting_and_reading_stops() -> None:
    async def story() -> None:
        async with Plc() as plc:
            for turns in range(60):
                with no_tasks_left():
                    async with polling(RememberingIntake(), settings(plc.port, {"SCL": SCALE})):
                        for _ in range(turns):
                            await asyncio.sleep(0)
                    await until(lambda: not plc.connections)

    run(story())


BUSY = {"timeout_ms": 400, "failures_max": 2, "recovery_ms": 50}


def busy(request: Request, code: int = 6) -> bytes:
    return mbap(request.transaction, request.unit, bytes([request.function | 0x80, code]))


@pytest.mark.parametrize("code", [5, 6])
def test_a_poll_that_a_device_has_no_time_for_is_made_soon_again_and_loses_nothing(code: int) -> None:
    scale: dict[str, Any] = copy.deepcopy(SCALE)
    scale["groups"]["weighing"]["poll_ms"] = 600_000

    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            refused = 0

            def answer(request: Request, frame: bytes) -> bytes:
                nonlocal refused
                if refused < 3:
                    refused += 1
                    return busy(request, code)
                return frame

            plc.answer = answer
            async with polling(intake, settings(plc.port, {"SCL": scale}, timeout_ms=60_000)):
                await until(lambda: intake.later_links, "ten minutes before the next regular poll")
        assert intake.later_links == [("dc1/pack/SCL-01", "link.up")]
        assert intake.causes == []
        assert len({request.connection for request in plc.requests}) == 1

    run(story())


def test_what_follows_a_trigger_is_asked_again_where_the_device_is_busy() -> None:
    scale: dict[str, Any] = copy.deepcopy(SCALE)
    scale["holding"]["lu"]["address"] = 60  # a request of its own
    scale["gap_registers_max"] = 0

    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SCL": scale})):
                await until(lambda: intake.later_links)
                await until(lambda: len(plc.requests) > 4)
                left = 4

                def answer(request: Request, frame: bytes) -> bytes:
                    nonlocal left
                    if request.address == 60 and plc.get(10) and left:
                        left -= 1
                        return busy(request)
                    return frame

                plc.answer = answer
                plc.set(60, *text("CTN-1", 4))
                plc.set(11, 0, 5_000)
                plc.set(10, 1)
                await until(lambda: intake.facts)
        assert [(line["kind"], line["lu"]) for line in intake.facts] == [("weigh", "CTN-1")]
        assert intake.causes == []

    run(story())


def test_a_unit_that_is_busy_for_long_is_down_and_keeps_nobody_waiting() -> None:
    async def story() -> None:
        async with Plc() as plc:
            is_busy = False
            plc.answer = lambda request, frame: busy(request) if is_busy and request.unit == 2 else frame
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SCL": SCALE, "SRT": SORTER}, **BUSY)):
                await until(lambda: len(intake.later_links) == 2)
                is_busy = True
                began = len(plc.requests)
                await until(lambda: ("dc1/sorter/SRT-01", "link.down") in intake.later_links)
                to_others = [request for request in plc.requests[began:] if request.unit == 1]
                to_it = [request for request in plc.requests[began:] if request.unit == 2]
                assert len(to_others) > len(to_it)
                assert len(to_it) < 60  # pauses of 50 ms and more, and not the 5 ms of its polls
                assert any("exception 6 (server device busy)" in cause for cause in intake.causes)
                post(plc, 1)
                is_busy = False
                await until(lambda: plc.writes)
        assert intake.later_links.count(("dc1/sorter/SRT-01", "link.up")) == 2
        assert ("dc1/pack/SCL-01", "link.down") not in intake.later_links
        assert [line["seq"] for line in intake.facts] == [1]

    run(story())


def test_an_acknowledgement_that_a_busy_machine_does_not_take_is_written_again() -> None:
    async def story() -> None:
        async with Plc() as plc:
            left = 2

            def answer(request: Request, frame: bytes) -> bytes:
                nonlocal left
                if request.function == 6 and left:
                    left -= 1
                    plc.set(110, 0, unit=2)
                    return busy(request)
                return frame

            plc.answer = answer
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER}, recovery_ms=600_000)):
                post(plc, 1)
                await until(lambda: plc.get(110, unit=2) == 1, "ten minutes before it is looked at by itself")
        assert [line["seq"] for line in intake.facts] == [1]
        assert intake.causes == []

    run(story())


def test_while_we_were_away_nobody_looked() -> None:
    """What happened then may be nothing that is numbered: the core has to know of the time (R6)."""

    async def story() -> None:
        intake = RememberingIntake()
        async with Plc() as plc:
            async with polling(intake, settings(plc.port, {"SCL": SCALE})):
                await until(lambda: len(intake.links) == 2)
            async with polling(intake, settings(plc.port, {"SCL": SCALE})):
                await until(lambda: len(intake.links) == 4)
        assert intake.links == [("dc1/pack/SCL-01", "link.down"), ("dc1/pack/SCL-01", "link.up")] * 2

    run(story())
