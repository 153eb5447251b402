"""Machines without a register for the count of their restarts, that start again while nobody looks."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from tests.modbus import Plc, RememberingIntake, polling, settings, until
from tests.modbus_floor import CRANE, crane_plc, run, stow, text


@pytest.mark.parametrize("written", [5, 7])
@pytest.mark.parametrize("has_ack", [True, False])
@pytest.mark.parametrize("restarts", [True, False])
def test_a_ring_that_came_as_far_again_in_a_new_life_is_known_by_its_records(
    written: int, has_ack: bool, restarts: bool
) -> None:
    """The power went for the crane, and for the engine or its connection, too."""
    crane: dict[str, Any] = copy.deepcopy(CRANE)
    if has_ack:
        crane["rings"]["moves"]["ack"] = 5

    async def begin_again(plc: Plc) -> None:
        plc.set(0, 0, unit=3)
        plc.set(5, 0, unit=3)
        for number in range(written):
            plc.set(10 + number * 4, *text(f"N{number}", 2), number, unit=3)
        plc.set(0, written, unit=3)
        plc.writes.clear()

    async def story() -> None:
        async with crane_plc() as plc:
            stow(plc, 5)
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"CRN": crane})):
                await until(lambda: len(intake.facts) == 5 and plc.get(5, unit=3) == 5 * has_ack)
                if not restarts:
                    await plc.stop()
                    await begin_again(plc)
                    await plc.start()
                    await until(lambda: len(intake.facts) == 6 + written)
            if restarts:
                intake.before = [msgspec.json.encode(line) for line in intake.lines]
                await begin_again(plc)
                async with polling(intake, settings(plc.port, {"CRN": crane})):
                    await until(lambda: len(intake.facts) == 6 + written)
            gap, *anew = intake.facts[5:]
            assert (gap["kind"], "from_seq" in gap) == ("source.gap", False)
            assert [(line["epoch"], line["seq"], line["lu"]) for line in anew] == [
                (1, number, f"N{number}") for number in range(written)
            ]
            assert plc.writes in ([(3, 5, written)][:has_ack], [])

    run(story())


def test_a_ring_that_begins_where_its_head_has_wrapped_is_empty_and_no_record() -> None:
    """The machine starts again at 0, which is where its head stood: what we had taken is not there."""
    crane: dict[str, Any] = copy.deepcopy(CRANE)
    crane["rings"]["moves"]["wrap"] = 16
    crane["rings"]["moves"]["record"]["lu"] = {"path": "lu", "required": True}

    async def story() -> None:
        async with crane_plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"CRN": crane})):
                stow(plc, 15)
                await until(lambda: intake.positions.get("dc1/asrs/CRN-01") == (0, 14))
                await plc.stop()
                plc.set(0, 0, unit=3)  # with the record 15 that nobody has read
                plc.set(10, *[0] * 32, unit=3)
                await plc.start()
                await until(lambda: len(intake.later_links) == 2 or len(plc.requests) > 200)
                plc.set(10, *text("N0", 2), 0, unit=3)
                plc.set(0, 1, unit=3)
                await until(lambda: intake.positions.get("dc1/asrs/CRN-01") == (1, 0))
        assert set(intake.causes) <= {"units.CRN: closed by the server"}
        assert intake.facts[-2]["kind"] == "source.gap"

    run(story())


@pytest.mark.parametrize("has_ack", [True, False])
def test_a_ring_that_is_the_same_after_both_were_away_is_told_nothing_new(has_ack: bool) -> None:
    crane: dict[str, Any] = copy.deepcopy(CRANE)
    if has_ack:
        crane["rings"]["moves"]["ack"] = 5

    async def story() -> None:
        async with crane_plc() as plc:
            stow(plc, 13)
            if has_ack:
                plc.set(5, 7, unit=3)
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"CRN": crane})):
                await until(lambda: intake.positions.get("dc1/asrs/CRN-01") == (0, 12))
            intake.before = [msgspec.json.encode(line) for line in intake.lines]
            plc.set(5, 0, unit=3)
            stow(plc, 15)
            async with polling(intake, settings(plc.port, {"CRN": crane})):
                await until(lambda: intake.positions["dc1/asrs/CRN-01"] == (0, 14))
        assert all(line.get("epoch", 0) == 0 for line in intake.facts)
        assert not any(line["kind"] == "source.gap" and "from_seq" not in line for line in intake.facts)

    run(story())
