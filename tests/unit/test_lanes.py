"""The lanes of one sink: which goes first, and that one that is held, fails or throttles costs the others nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import redis

from engine import delivery as delivery_module
from engine.contracts import Account, OutRow
from engine.delivery import PROBE_S
from engine.errors import Full, SinkFailed, Throttled
from engine.throttle import BACKOFF_S_MAX
from tests.unit.test_delivery import INVENTORY, OPS, QUEUES, SHIPPING, Delivery, ScriptedSink, names


def no_shipping(error: Exception) -> Callable[[Sequence[OutRow]], Exception | None]:
    return lambda rows: error if rows[0].queue == "erp.shipping" else None


def test_shipping_goes_before_inventory_before_the_rest(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(), QUEUES)
    delivery.tell(1, 40, OPS)
    delivery.tell(41, 80, INVENTORY)
    delivery.tell(81, 120, SHIPPING)
    delivery.until_empty()
    assert delivery.ids == [*names(81, 120), *names(41, 80), *names(1, 40)]
    delivery.close()


def test_a_site_may_set_other_priorities(tmp_path: Path) -> None:
    delivery = Delivery(
        tmp_path, ScriptedSink(), QUEUES, queues={"ops": {"priority": 0}, "erp.shipping": {"priority": 5}}
    )
    delivery.tell(1, 20, SHIPPING)
    delivery.tell(21, 40, OPS)
    delivery.until_empty()
    assert delivery.ids == [*names(21, 40), *names(1, 20)]
    delivery.close()


def test_the_last_in_turn_is_not_passed_over_for_ever(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(), QUEUES, rate=10, burst=1)
    delivery.tell(1, 1, OPS)
    delivery.tell(2, 200, SHIPPING)
    delivery.until_empty()
    at_s = dict(zip(delivery.ids, delivery.sink.at_s, strict=True))
    assert 5 <= at_s["e1"] <= 6
    assert [name for name in delivery.ids if name != "e1"] == names(2, 200)
    delivery.close()


def test_a_queue_that_is_held_does_not_hold_the_others(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(no_shipping(redis.exceptions.ResponseError("WRONGTYPE"))), QUEUES)
    delivery.tell(1, 20, SHIPPING)
    delivery.tell(21, 60)
    delivery.until(lambda: delivery.metrics.delivered == 40)
    assert delivery.now_s < PROBE_S
    assert delivery.metrics.state == "held"
    assert delivery.account == Account(60, 40, 20, 0)
    delivery.sink.refuses = lambda rows: None
    delivery.until_empty()
    assert delivery.ids[40:] == names(1, 20)
    delivery.close()


def test_a_queue_that_fails_does_not_hold_the_others(tmp_path: Path) -> None:
    """Shipping goes first, and its route answers with an error for ever."""
    delivery = Delivery(tmp_path, ScriptedSink(no_shipping(SinkFailed("500", 500))), QUEUES)
    delivery.tell(1, 20, SHIPPING)
    delivery.tell(21, 220)
    delivery.until(lambda: delivery.metrics.delivered == 200)
    assert delivery.now_s < 2
    assert delivery.metrics.state == "retrying"
    delivery.until(lambda: delivery.now_s > 60)
    delivery.tell(221, 420)
    delivery.until(lambda: delivery.metrics.delivered == 400)
    assert delivery.now_s < 62
    of_shipping = [row for _, row in delivery.sink.asked if row.queue == "erp.shipping"]
    assert len(of_shipping) <= 5 * 16 + 10  # five calls, then one event at a time, at last every 15 s
    delivery.sink.refuses = lambda rows: None
    delivery.until_empty()
    assert delivery.ids[400:] == names(1, 20)
    delivery.close()


def test_what_earlier_routes_left_in_a_queue_that_fails_does_not_hold_the_others(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(), QUEUES)
    delivery.tell(1, 20, SHIPPING)
    delivery.close()
    merged = QUEUES | {OPS: QUEUES[SHIPPING]}
    delivery = Delivery(tmp_path, ScriptedSink(no_shipping(SinkFailed("500", 500))), merged)
    delivery.tell(21, 40, OPS)
    delivery.tell(41, 60)
    delivery.until(lambda: delivery.ids == names(41, 60))
    delivery.sink.refuses = lambda rows: None
    delivery.until_empty()
    assert delivery.ids[20:] == names(1, 40)
    delivery.close()


def test_a_pause_that_one_queue_asks_for_is_not_the_others(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(no_shipping(Throttled("429", 3_600.0))), QUEUES)
    delivery.tell(1, 20, SHIPPING)
    delivery.tell(21, 60)
    delivery.until(lambda: delivery.metrics.delivered == 40)
    delivery.until(lambda: delivery.now_s > 60)
    delivery.tell(61, 100)
    delivery.until(lambda: delivery.metrics.delivered == 80)
    assert delivery.now_s < 62
    assert delivery.metrics.failures == 1
    delivery.close()


def test_an_overload_of_one_queue_leaves_the_others_their_batches(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(no_shipping(Full("x"))), QUEUES)
    delivery.tell(1, 20, SHIPPING)
    delivery.until(lambda: delivery.metrics.failures == 3)
    delivery.sink.sizes.clear()
    delivery.tell(21, 36)
    delivery.until(lambda: delivery.metrics.delivered == 16)
    assert delivery.sink.sizes[-1] == 16
    delivery.close()


def test_a_queue_that_fails_slowly_leaves_the_others_as_much_time(tmp_path: Path) -> None:
    """A route that does not answer costs 10 s at each try, and the sink has one hand."""

    def hangs(rows: Sequence[OutRow]) -> Exception | None:
        took_s = 10 if rows[0].queue == "erp.shipping" else 0.5
        delivery.now_s += took_s
        return TimeoutError() if rows[0].queue == "erp.shipping" else None

    delivery = Delivery(tmp_path, ScriptedSink(hangs), QUEUES, batch_events=4)
    delivery.tell(1, 20, SHIPPING)
    delivery.tell(21, 420)
    delivery.until(lambda: delivery.now_s > 60)
    assert delivery.metrics.delivered >= 4 * 20 / 0.5
    delivery.close()


def test_an_erp_that_is_away_for_hours_is_asked_seldom_and_then_gets_everything(tmp_path: Path) -> None:
    """An hour and a half in which nobody answers, half a one in which it throttles; the time is the test's own. While
    nobody answers, both queues together ask as often as one; what throttles is asked by each at its own time."""
    away_s, slow_s = 1.5 * 3_600.0, 2 * 3_600.0

    def erp(rows: Sequence[OutRow]) -> Exception | None:
        if delivery.now_s < away_s:
            return ConnectionRefusedError()
        return Throttled("429", 60.0) if delivery.now_s < slow_s else None

    delivery = Delivery(tmp_path, ScriptedSink(erp), QUEUES)
    delivery.tell(1, 500)
    delivery.tell(501, 700, SHIPPING)
    delivery.rests = False
    delivery.until(lambda: delivery.rests, steps_max=20_000)  # it looks around every second
    assert delivery.metrics.failures <= away_s / BACKOFF_S_MAX + 10 + 2 * (slow_s - away_s) / 60 + 10
    assert slow_s <= delivery.now_s < slow_s + 120
    of_queue = {
        row.queue: [each.id for each in delivery.sink.rows if each.queue == row.queue] for row in delivery.sink.rows
    }
    assert of_queue == {"erp.shipping": names(501, 700), "erp.inventory": names(1, 500)}
    assert delivery.account == Account(700, 700, 0, 0)
    delivery.close()


class SlowPosts(ScriptedSink):
    """Half a second an event, one after the other."""

    requests: Counter[str]
    pass_s: Callable[[float], None]

    async def send_some(self, rows: Sequence[OutRow], seconds: float) -> int:
        taken, ends_s = 0, self.timer() + seconds
        while taken < len(rows) and (not taken or self.timer() < ends_s):
            self.pass_s(0.5)
            taken += 1
        self.requests[rows[0].queue] += taken
        self.sizes.append(len(rows))
        self.rows.extend(rows[:taken])
        return taken


def test_a_call_to_a_slow_web_service_is_as_large_as_fits_its_turn(tmp_path: Path) -> None:
    sink = SlowPosts()
    sink.requests = Counter()
    delivery = Delivery(tmp_path, sink, QUEUES)
    sink.pass_s = lambda seconds: setattr(delivery, "now_s", delivery.now_s + seconds)
    delivery.tell(1, 20, INVENTORY)
    delivery.until_empty()
    assert delivery.ids == names(1, 20)
    assert sink.sizes[0] == 16
    assert max(sink.sizes[1:]) <= 3
    assert delivery.account == Account(20, 20, 0, 0)
    delivery.close()


class HangingPosts(ScriptedSink):
    """Shipping hangs until it is told to fail; open or not, as a web service's connections are."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: Counter[str] = Counter()
        self.is_open = self.hangs = False
        self.fails = asyncio.Event()
        self.loop = asyncio.new_event_loop()

    async def open(self) -> None:
        await super().open()
        self.loop = asyncio.get_running_loop()
        self.is_open = True

    async def close(self) -> None:
        await super().close()
        self.is_open = False

    async def send_some(self, rows: Sequence[OutRow], seconds: float) -> int:
        assert self.is_open
        if rows[0].queue == "erp.shipping" and not self.fails.is_set():
            self.hangs = True
            await self.fails.wait()
            raise SinkFailed("it hung")
        self.rows.extend(rows)
        return len(rows)


def test_a_call_that_fails_while_another_lane_begins_costs_that_one_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_module, "HANGS_S", 0.01)
    sink = HangingPosts()
    delivery = Delivery(tmp_path, sink, QUEUES)
    cursors = delivery.forwarder._outbox
    read = cursors.read

    def read_while_shipping_fails(lane: int, limit: int) -> list[OutRow]:
        rows = read(lane, limit)
        ends_s = time.monotonic() + 60
        if rows and rows[0].queue == "erp.inventory" and not sink.fails.is_set():
            while not sink.hangs and time.monotonic() < ends_s:
                time.sleep(0.001)
            sink.loop.call_soon_threadsafe(sink.fails.set)
            while not sink.closed and time.monotonic() < ends_s:
                time.sleep(0.001)
        return rows

    cursors.read = read_while_shipping_fails  # type: ignore[method-assign]
    delivery.tell(1, 3, SHIPPING)
    delivery.tell(4, 9, INVENTORY)
    delivery.until_empty()
    assert sorted(delivery.ids) == names(1, 9)
    assert delivery.metrics.failures == 1
    delivery.close()


class AwaySink(ScriptedSink):
    """Cannot be reached so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def open(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise SinkFailed("connection refused")
        await super().open()


def test_the_first_call_of_a_life_is_no_smaller_than_the_last_of_the_one_before(tmp_path: Path) -> None:
    """What that left at the sink is known by its last event, where a consumer deletes what it has done."""
    delivery = Delivery(tmp_path, AwaySink(7))
    delivery.tell(1, 40)
    delivery.until_empty()
    assert delivery.sink.sizes == [16, 16, 8]
    delivery.close()
