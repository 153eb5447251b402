"""A queue that nobody reads is full some day: that is its own affair, not that of the sink's others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.contracts import OutRow
from engine.errors import QueueFull
from tests.unit.test_delivery import OPS, QUEUES, Delivery, ScriptedSink, names


def test_a_queue_that_is_full_does_not_slow_the_others(tmp_path: Path) -> None:
    def nobody_reads(rows: Sequence[OutRow]) -> Exception | None:
        return QueueFull("nobody reads it") if rows[0].queue == "ops" else None

    delivery = Delivery(tmp_path, ScriptedSink(nobody_reads), QUEUES)
    delivery.tell(1, 20, OPS)
    delivery.until(lambda: delivery.now_s > 60)
    now_s = delivery.now_s
    delivery.tell(21, 52)
    delivery.until(lambda: delivery.metrics.delivered == 32)
    assert delivery.now_s == now_s
    assert delivery.sink.sizes[-2:] == [16, 16]
    delivery.sink.refuses = lambda rows: None
    delivery.until_empty()
    assert delivery.ids[32:] == names(1, 20)
    delivery.close()
