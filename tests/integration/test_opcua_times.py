"""OPC UA servers whose times say nothing of when a node was written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua

from protocols.opcua.binding import Binding
from tests.opcua import CARTONS, line, running, settings

EVENTS = 12


def test_a_node_whose_time_is_that_of_each_look_is_not_taken_for_one_of_the_next_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """open62541, of a node that is written without a time: the trigger has one, and each event follows the one before
    soon after that was read."""

    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables={"cartons": CARTONS})) as kept:
            original = Binding.read
            events: list[asyncio.Task[None]] = []
            made = [0]

            def look(*_: Any) -> ua.DataValue:
                return ua.DataValue(ua.Variant(f"T-{made[0]}"), SourceTimestamp=datetime.now(UTC).replace(tzinfo=None))

            async def happen(number: int) -> None:
                await asyncio.sleep(0.1)
                made[0] = number
                await packing.write(Counter=number)

            async def reading(self: Any, owner: int, entry: Any) -> Any:
                found = await original(self, owner, entry)
                if made[0] == len(events) < EVENTS:
                    events.append(asyncio.create_task(happen(made[0] + 1)))
                return found

            packing.server.set_attribute_value_callback(packing.nodes["Lu"].nodeid, look)
            await kept.up()
            await packing.write(Kind=1)
            monkeypatch.setattr(Binding, "read", reading)
            events.append(asyncio.create_task(happen(1)))
            await kept.until(lambda: len(kept.of("carton.open") + kept.of("source.gap")) >= EVENTS)
            told = [(record["seq"], record["lu"]) for record in kept.of("carton.open")]
            assert told == [(number, f"T-{number}") for number in range(1, EVENTS + 1)]
            assert kept.faults == []

    asyncio.run(story())
