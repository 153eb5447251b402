"""The OPC UA driver against an asyncua server in the same process."""

from __future__ import annotations

import asyncio

from tests.opcua import CARTONS, line, running, settings


def test_variables_read_together_on_a_trigger_are_one_record() -> None:
    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables={"cartons": CARTONS})) as kept:
            await kept.up()
            await packing.write(Kind=1, Lu="T-9", Counter=1)
            await kept.until(lambda: bool(kept.of("carton.open")))
            (record,) = kept.of("carton.open")
            assert (record["src"], record["lu"], record["seq"]) == ("dc1/pack/PK-01", "T-9", 1)
            assert abs(record["t"] - record["t_rx"]) < 5_000_000
            assert kept.faults == []

    asyncio.run(story())
