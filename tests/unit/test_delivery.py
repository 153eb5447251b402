"""How a sink is served: in order in each queue, as fast as it may be, past what it will never take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import redis

from engine.accounts import account
from engine.contracts import Account, Emitted, OutRow
from engine.dead_letters import DeadLetters
from engine.delivery import PROBE_S, Forwarder
from engine.errors import Full, Refused, SinkFailed, Throttled, Undeliverable
from engine.letter import Letter
from engine.metrics import SinkMetrics
from engine.outbox import SqliteOutbox
from engine.throttle import BACKOFF_S_MAX, BACKOFF_S_MIN, Settings
from tests.counting_core import event

INVENTORY, SHIPPING, OPS = "pick.confirmed", "carton.closed", "exception.raised"
ONE_QUEUE = {INVENTORY: {"erp": "q"}}
QUEUES = {INVENTORY: {"erp": "erp.inventory"}, SHIPPING: {"erp": "erp.shipping"}, OPS: {"erp": "ops"}}


class ScriptedSink:
    """Raises what `refuses` makes of a call; takes everything else, and notes when. asked: each event of any call."""

    def __init__(self, refuses: Callable[[Sequence[OutRow]], Exception | None] = lambda rows: None) -> None:
        self.refuses = refuses
        self.sizes: list[int] = []
        self.rows: list[OutRow] = []
        self.at_s: list[float] = []
        self.asked: list[tuple[float, OutRow]] = []
        self.opened = self.closed = 0
        self.timer: Callable[[], float] = lambda: 0.0

    async def open(self) -> None:
        self.opened += 1

    async def send(self, rows: Sequence[OutRow]) -> None:
        self.sizes.append(len(rows))
        self.asked += [(self.timer(), row) for row in rows]
        error = self.refuses(rows)
        if error is not None:
            raise error
        self.rows.extend(rows)
        self.at_s += [self.timer()] * len(rows)

    async def close(self) -> None:
        self.closed += 1


def failing(*errors: Exception) -> ScriptedSink:
    """One error a call, then everything is taken."""
    left = list(errors)
    return ScriptedSink(lambda rows: left.pop(0) if left else None)


class Delivery:
    """An outbox, dead letters and a forwarder in a folder, in a time that only passes while it waits."""

    def __init__(
        self, folder: Path, sink: ScriptedSink, routes: dict[str, dict[str, str]] = ONE_QUEUE, **settings: object
    ) -> None:
        self.sink = sink
        self.rests = False  # nothing is left, and the forwarder knows it
        self.now_s = 0.0
        sink.timer = lambda: self.now_s
        self.outbox = SqliteOutbox(folder / "outbox.sqlite", routes=routes, sinks=["erp"], rows_max=10_000)
        self.letters = DeadLetters(folder / "dead.sqlite", lambda: 7, decoder="1.2.3", config="abc")
        self.metrics = SinkMetrics("erp")
        self._steps = 0
        self.forwarder = Forwarder(
            "erp",
            sink,
            self.outbox,
            self.letters,
            self.metrics,
            lambda: 0,
            msgspec.convert({"batch_events": 16, **settings}, Settings),
            advanced=lambda: None,
            jitter=lambda: 1.0,
            pause=self._pause,
            timer=lambda: self.now_s,
        )

    async def _pause(self, event: asyncio.Event | None, seconds: float | None) -> None:
        if event is not None:
            self.rests = not self.outbox.depth("erp")
        self._steps += 1
        self.now_s += seconds or 0
        await asyncio.sleep(0)

    def tell(self, first: int, last: int, type_: str = INVENTORY, key: str = "") -> None:
        events = [Emitted(*event(n, f"e{n}", type_)) for n in range(first, last + 1)]
        self.outbox.append([each._replace(partitionkey=key or each.partitionkey) for each in events])
        self.forwarder.wake()

    def wanted_again(self, letters: Sequence[Letter], rate: float = 0) -> None:
        """As by another process that changes the file; `rate` as `DeadLetters.want` has it."""
        self.letters.want([letter.number for letter in letters], rate, "me")
        self.forwarder._letters_seen = -1

    def until(self, done: Callable[[], bool], steps_max: int = 2_000) -> None:
        """Run the forwarder until something is so."""

        async def story() -> None:
            task = asyncio.create_task(self.forwarder.run())
            self._steps = 0
            async with asyncio.timeout(60):
                while not done():
                    assert self._steps < steps_max, "it never happened"
                    await asyncio.sleep(0)
                    if task.done():
                        task.result()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        asyncio.run(story())

    def until_empty(self) -> None:
        self.rests = False
        self.until(lambda: self.rests)

    def close(self) -> None:
        self.outbox.close()
        self.letters.close()

    @property
    def waits(self) -> list[float]:
        """Seconds between calls that did not follow at once."""
        at_s = [at_s for at_s, _ in self.sink.asked]
        return [round(later - earlier, 2) for earlier, later in pairwise(at_s) if later - earlier > 0.01]

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.sink.rows]

    @property
    def account(self) -> Account:
        return account(self.outbox, self.letters, "erp")


def refuses(*bad: str, error: type[Exception] = Undeliverable) -> Callable[[Sequence[OutRow]], Exception | None]:
    """A sink that will never take the events `bad`, and does not say which one of many it was."""
    return lambda rows: error("no such order") if {row.id for row in rows} & set(bad) else None


def names(first: int, last: int) -> list[str]:
    return [f"e{n}" for n in range(first, last + 1)]


def deliver(folder: Path, sink: ScriptedSink, count: int = 20) -> list[float]:
    """Run until the sink has `count` events; returns the waits in seconds."""
    delivery = Delivery(folder, sink)
    delivery.tell(1, count)
    delivery.until_empty()
    assert delivery.ids == names(1, count)
    assert delivery.account == Account(count, count, 0, 0)
    assert delivery.metrics.state == "up"
    delivery.close()
    return delivery.waits


def test_waits_grow_to_a_bound(tmp_path: Path) -> None:
    waits = deliver(tmp_path, failing(*[ConnectionRefusedError()] * 12))
    assert waits == [min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2**n) for n in range(12)]


def test_a_success_starts_the_waits_anew(tmp_path: Path) -> None:
    stumbles = [TimeoutError()] * 3

    def stumbling(rows: Sequence[OutRow]) -> Exception | None:
        if stumbles:
            return stumbles.pop()
        if rows[0].position == 1:
            stumbles.append(TimeoutError())
        return None

    assert deliver(tmp_path, ScriptedSink(stumbling)) == [0.1, 0.2, 0.4, 0.1]


def test_after_failures_in_a_row_a_single_event_is_tried_first(tmp_path: Path) -> None:
    sink = failing(*[ConnectionResetError()] * 7)
    deliver(tmp_path, sink)
    assert sink.sizes == [16, 16, 16, 16, 16, 1, 1, 1, 16, 3]


@pytest.mark.parametrize("error", [Refused("x"), redis.exceptions.NoPermissionError("x"), ZeroDivisionError()])
def test_what_somebody_must_put_right_is_probed(tmp_path: Path, error: Exception) -> None:
    sink = failing(error, error)
    delivery = Delivery(tmp_path, sink)
    delivery.tell(1, 3)
    delivery.until(lambda: delivery.metrics.state == "held")
    assert "q: " in delivery.metrics.detail
    delivery.until_empty()
    assert delivery.sink.at_s[0] >= 2 * PROBE_S - 1
    assert len(sink.sizes) == 3
    delivery.close()


def test_an_overload_gets_less_at_once(tmp_path: Path) -> None:
    sink = failing(*[Full("x")] * 3)
    deliver(tmp_path, sink)
    assert sink.sizes[:6] == [16, 8, 4, 2, 4, 8]


def test_what_the_sink_asks_for_is_waited(tmp_path: Path) -> None:
    assert deliver(tmp_path, failing(Throttled("429", 17.5), SinkFailed("503", 503))) == [17.5, 0.2]


def test_after_an_error_the_connection_is_a_new_one(tmp_path: Path) -> None:
    sink = failing(*[TimeoutError()] * 4)
    deliver(tmp_path, sink)
    assert (sink.opened, sink.closed) == (5, 5)


def test_a_rate_is_kept_and_a_burst_allowed(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(), rate=100, burst=20)
    delivery.tell(1, 220)
    delivery.until_empty()
    at_s = delivery.sink.at_s
    assert at_s[15] == 0  # what one call takes; the rest of the burst may wait to be worth another
    assert at_s[19] < 0.1
    assert 1.9 <= at_s[-1] <= 2.1
    for first in range(len(at_s)):
        in_a_second = sum(at_s[first] <= other < at_s[first] + 1 for other in at_s)
        assert in_a_second <= 100 + 20
    delivery.close()


def test_each_queue_may_have_its_own_rate(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(), QUEUES, queues={"erp.shipping": {"rate": 10, "burst": 1}})
    delivery.tell(1, 20, SHIPPING)
    delivery.tell(21, 120)
    delivery.until_empty()
    at_s = dict(zip(delivery.ids, delivery.sink.at_s, strict=True))
    assert max(at_s[name] for name in names(21, 120)) == 0
    assert 1.8 <= at_s["e20"] <= 2.0
    delivery.close()


def test_a_rate_counts_what_is_refused(tmp_path: Path) -> None:
    every_second = [f"e{n}" for n in range(2, 101, 2)]
    delivery = Delivery(tmp_path, ScriptedSink(refuses(*every_second)), rate=5, burst=5)
    delivery.tell(1, 100)
    delivery.until_empty()
    assert delivery.account == Account(events=100, delivered=50, pending=0, dead=50)
    at_s = [at_s for at_s, _ in delivery.sink.asked]
    for first in at_s:
        assert sum(first <= other < first + 1 for other in at_s) <= 5 + 5
    delivery.close()
