"""What a stop leaves behind at a sink, and in the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from engine.contracts import OutRow
from engine.delivery import LAST_EVENTS
from engine.errors import Refused
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


class ClosedSink(ScriptedSink):
    """Lets nobody in before somebody has put something right."""

    async def open(self) -> None:
        await super().open()
        raise Refused("who are you?")


def is_awaited(delivery: Delivery) -> bool:
    """Whether a stop gives it time."""
    return asyncio.run(delivery.forwarder.undelivered())


def test_a_stop_waits_for_what_a_sink_may_still_take(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink())
    delivery.tell(1, 3)
    assert is_awaited(delivery)
    delivery.until_empty()
    assert not is_awaited(delivery)
    delivery.close()


def test_a_stop_does_not_wait_for_a_sink_that_somebody_has_to_put_right(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ClosedSink())
    delivery.tell(1, 3)
    delivery.until(lambda: delivery.sink.opened > 0 and delivery.metrics.state == "held")
    assert not is_awaited(delivery)
    assert delivery.outbox.depth("erp") == 3
    delivery.close()


def test_nor_for_a_queue_of_such(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(lambda rows: Refused("not this queue")))
    delivery.tell(1, 3)
    delivery.until(lambda: delivery.metrics.state == "held")
    assert not is_awaited(delivery)
    assert delivery.outbox.depth("erp") == 3
    delivery.close()
