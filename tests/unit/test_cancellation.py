"""Who is told to stop stops, although a library below has lost the cancellation on its way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.contracts import OutRow
from tests.unit.test_delivery import Delivery, ScriptedSink


@pytest.mark.parametrize("answers", [True, False])
def test_a_sink_whose_library_loses_a_cancellation_does_not_keep_the_engine(tmp_path: Path, answers: bool) -> None:
    """redis-py awaits every write in asyncio.wait_for: see engine.cancellation."""

    class Losing(ScriptedSink):
        async def send(self, rows: Sequence[OutRow]) -> None:
            self.sizes.append(len(rows))
            if len(self.sizes) > 1:
                await asyncio.sleep(60)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            if not answers:
                raise ConnectionResetError

    delivery = Delivery(tmp_path, Losing())
    delivery.tell(1, 30)

    async def story() -> None:
        task = asyncio.create_task(delivery.forwarder.run())
        while not delivery.metrics.sends:
            await asyncio.sleep(0.001)
        task.cancel()
        assert await asyncio.wait({task}, timeout=50) == ({task}, set())
        assert task.cancelled()

    asyncio.run(story())
    assert delivery.metrics.sends == 1
    assert delivery.account.pending == (14 if answers else 30)
    assert delivery.waits == []
    delivery.close()
