"""What a stop leaves behind at a sink, and in the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from engine.contracts import OutRow
from engine.delivery import LAST_EVENTS
from tests.unit.test_delivery import Delivery, ScriptedSink


class SlowSink(ScriptedSink):
    """Takes what it gets, after a while."""

    async def send(self, rows: Sequence[OutRow]) -> None:
        self.sizes.append(len(rows))
        await asyncio.sleep(0.05)
        self.rows.extend(rows)


def test_a_call_that_is_under_way_at_a_stop_comes_to_its_end(tmp_path: Path) -> None:
    """What a web service took in a call that is cut short the next start would send it again."""
    sink = SlowSink()
    delivery = Delivery(tmp_path, sink, batch_events=512)
    delivery.tell(1, 100)
    delivery.forwarder.ends_soon()
    delivery.until(lambda: bool(sink.sizes))  # stopped then
    assert sink.sizes == [LAST_EVENTS], "nor is it a long one"
    assert delivery.outbox.depth("erp") == 100 - LAST_EVENTS
    delivery.close()
