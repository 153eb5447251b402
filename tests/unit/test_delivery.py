"""How a sink is served: in order in each queue, as fast as it may be, past what it will never take."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
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
from engine.letter import Cause, Letter
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


def refuses(*bad: str, error: type[Exception] = Undeliverable) -> Callable[[Sequence[OutRow]], Exception | None]:
    """A sink that will never take the events `bad`, and does not say which one of many it was."""
    return lambda rows: error("no such order") if {row.id for row in rows} & set(bad) else None


def test_an_event_that_is_never_taken_becomes_a_dead_letter_and_the_next_goes_on(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e5", "e18")))
    delivery.tell(1, 30)
    delivery.until_empty()
    assert delivery.ids == [name for name in names(1, 30) if name not in ("e5", "e18")]
    assert delivery.account == Account(events=30, delivered=28, pending=0, dead=2)
    assert delivery.metrics.dead == 2
    letter, other = delivery.letters.find()
    body = Emitted(*event(5, "e5", INVENTORY)).body
    assert (letter.id, letter.sequence, letter.queue, letter.raw) == ("e5", 5, "q", body)
    assert (letter.class_, letter.code, letter.reason, letter.attempts) == (
        "permanent",
        "Undeliverable",
        "no such order",
        1,
    )
    assert (letter.first_us, letter.last_us, letter.decoder, letter.config) == (7, 7, "1.2.3", "abc")
    assert other.id == "e18"
    assert delivery.waits == []
    delivery.close()


def test_a_sink_that_names_the_event_is_asked_once_more_for_the_others(tmp_path: Path) -> None:
    def third(rows: Sequence[OutRow]) -> Exception | None:
        return Undeliverable("422", position=3, code=422) if 3 in {row.position for row in rows} else None

    delivery = Delivery(tmp_path, ScriptedSink(third))
    delivery.tell(1, 10)
    delivery.until_empty()
    assert delivery.sink.sizes == [10, 9]
    assert [letter.code for letter in delivery.letters.find()] == ["Undeliverable 422"]
    delivery.close()


def test_poison_has_three_attempts_alone(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2", error=UnicodeError)))
    delivery.tell(1, 4)
    delivery.until_empty()
    assert delivery.ids == ["e1", "e3", "e4"]
    assert [(letter.class_, letter.attempts) for letter in delivery.letters.find()] == [("poison", 3)]
    delivery.close()


def test_a_key_may_be_held_behind_its_dead_letter(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 3, key="O-1")
    delivery.tell(4, 4, key="O-2")
    delivery.tell(5, 5, key="O-1")
    delivery.until_empty()
    assert delivery.ids == ["e1", "e4"]
    assert [(letter.id, letter.class_) for letter in delivery.letters.find()] == [
        ("e2", "permanent"),
        ("e3", "held"),
        ("e5", "held"),
    ]
    assert delivery.account == Account(5, 2, 0, 3)
    delivery.close()


def test_a_held_key_goes_on_in_order_once_its_letters_are_sent_again(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 4, key="O-1")
    delivery.until_empty()
    delivery.close()
    delivery = Delivery(tmp_path, ScriptedSink(), on_dead_letter="hold_key")
    letters = delivery.letters.find()
    assert delivery.letters.want([letter.number for letter in letters[1:]], 100, "me") == 2
    delivery.tell(5, 5, key="O-1")
    delivery.until_empty()
    delivery.until(lambda: delivery.now_s > 3)
    assert delivery.ids == []  # not before the first of the key
    delivery.letters.want([letters[0].number], 100, "me")
    delivery.wanted_again([letter for letter in delivery.letters.find() if letter.id == "e5"], 100)
    delivery.until(lambda: len(delivery.ids) == 4)
    assert delivery.ids == ["e2", "e3", "e4", "e5"]
    delivery.tell(6, 6, key="O-1")
    delivery.until_empty()
    assert delivery.ids[-1] == "e6"
    assert delivery.account == Account(6, 6, 0, 0)
    delivery.close()


def test_a_key_that_goes_on_while_its_letters_are_sent_again_is_free_in_the_end(tmp_path: Path) -> None:
    """Each event that came meanwhile was one more letter that nobody had asked for, so the key was never free."""
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 4, key="O-1")
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find(), 1.0)
    delivery.until(lambda: "e2" in delivery.ids)
    delivery.tell(5, 6, key="O-1")
    delivery.until(lambda: not delivery.letters.find())
    delivery.tell(7, 7, key="O-1")
    delivery.until_empty()
    assert delivery.ids == names(1, 7)
    assert delivery.account == Account(7, 7, 0, 0)
    assert ("engine", "replay") in [step[1:3] for step in delivery.letters.audit(20)]
    delivery.close()


def test_a_key_whose_letters_were_just_discarded_gets_no_new_one(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), on_dead_letter="hold_key")
    delivery.tell(1, 3, key="O-1")
    delivery.until_empty()
    command = DeadLetters(delivery.letters.path, lambda: 8)
    command.discard([letter.number for letter in command.find()], "me")
    command.close()
    delivery.forwarder._look_s = 1e9  # nobody has looked since
    delivery.tell(4, 4, key="O-1")
    delivery.until_empty()
    assert delivery.ids == ["e1", "e4"]
    assert delivery.letters.find() == []
    delivery.close()


def test_events_have_their_turn_between_letters(tmp_path: Path) -> None:
    """However many letters are due: those that came faster than the sink took them kept all that was new away."""
    delivery = Delivery(tmp_path, ScriptedSink(refuses(*names(1, 9))), batch_events=2)
    delivery.tell(1, 9)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find())
    delivery.tell(10, 19)
    delivery.until(lambda: len(delivery.ids) == 19)
    assert delivery.ids.index("e19") < delivery.ids.index("e8")
    delivery.close()


def test_a_letter_is_sent_again_with_its_id_behind_what_went_before(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2", "e3")))
    delivery.tell(1, 5)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: None
    delivery.wanted_again(delivery.letters.find(), 2.0)
    delivery.until(lambda: not delivery.letters.find())
    delivery.tell(6, 6)
    delivery.until_empty()
    places = [(row.id, row.position, row.again) for row in delivery.sink.rows[3:]]
    assert places == [("e2", 5, 1), ("e3", 5, 2), ("e6", 6, 0)]
    assert delivery.sink.at_s[4] - delivery.sink.at_s[3] >= 0.5
    assert delivery.account == Account(6, 6, 0, 0)
    assert [step[1:3] for step in delivery.letters.audit(10)] == [("engine", "delivered")] * 2 + [("me", "replay")] * 2
    delivery.close()


def test_a_letter_whose_answer_is_lost_keeps_its_place_over_a_restart(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1")))
    delivery.tell(1, 2)
    delivery.until_empty()
    delivery.sink.refuses = lambda rows: TimeoutError()
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: delivery.metrics.failures >= 3)
    delivery.close()
    delivery = Delivery(tmp_path, ScriptedSink())
    delivery.tell(3, 3)
    delivery.until_empty()
    assert [(row.id, row.position, row.again) for row in delivery.sink.rows] == [("e1", 2, 1), ("e3", 3, 0)]
    delivery.close()


def test_a_letter_that_is_refused_again_stays_dead(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e1")))
    delivery.tell(1, 1)
    delivery.until_empty()
    delivery.wanted_again(delivery.letters.find())
    delivery.until(lambda: delivery.letters.find()[0].attempts == 2)
    assert delivery.letters.find()[0].state == "dead"
    assert delivery.account == Account(1, 0, 0, 1)
    delivery.close()


def test_an_engine_that_dies_between_burying_and_going_on_counts_nothing_twice(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")))
    delivery.tell(1, 3)
    rows = delivery.outbox.read(delivery.outbox.lanes("erp")[0].number, 10)
    delivery.letters.bury("erp", rows[1:2], Cause("permanent", "x", "x"))
    delivery.close()
    delivery = Delivery(tmp_path, ScriptedSink())  # this time it would be taken
    delivery.until_empty()
    assert delivery.ids == ["e1", "e2", "e3"]
    assert delivery.letters.find() == []
    assert delivery.account == Account(3, 3, 0, 0)
    delivery.close()


def test_without_room_for_dead_letters_the_queue_is_held_and_nothing_is_lost(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")))
    delivery.letters._bytes_max = 100
    delivery.tell(1, 4)
    delivery.until(lambda: delivery.metrics.state == "held")
    assert "sortline dlq" in delivery.metrics.detail
    assert delivery.account == Account(4, 1, 3, 0)
    delivery.letters._bytes_max = 10_000
    delivery.until_empty()
    assert delivery.ids == ["e1", "e3", "e4"]
    delivery.close()


def test_a_sink_that_takes_nothing_at_all_is_held_instead_of_burying_everything(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(lambda rows: Undeliverable("no")), dead_in_a_row_max=5)
    delivery.tell(1, 30)
    delivery.until(lambda: delivery.metrics.state == "held")
    assert "5 events in a row" in delivery.metrics.detail
    delivery.until(lambda: delivery.now_s > 3 * PROBE_S)
    assert delivery.account == Account(30, 0, 25, 5)
    delivery.sink.refuses = lambda rows: None
    delivery.until_empty()
    assert delivery.ids == names(6, 30)
    assert delivery.metrics.state == "up"
    delivery.close()


def test_dead_letters_that_another_process_holds_only_hold_the_queue(tmp_path: Path) -> None:
    delivery = Delivery(tmp_path, ScriptedSink(refuses("e2")), QUEUES)
    delivery.letters._file.execute("PRAGMA busy_timeout = 1")
    with sqlite3.connect(tmp_path / "dead.sqlite", isolation_level=None) as other:
        delivery.forwarder._settle()  # as at its start, before somebody else has the file
        other.execute("BEGIN IMMEDIATE")
        delivery.forwarder._settle = lambda: None  # type: ignore[method-assign]
        delivery.tell(1, 3)
        delivery.tell(4, 6, SHIPPING)
        delivery.until(lambda: delivery.metrics.state == "held" and delivery.metrics.delivered == 4)
        assert "database is locked" in delivery.metrics.detail
        other.execute("ROLLBACK")
    delivery.until_empty()
    assert sorted(delivery.ids) == ["e1", "e3", "e4", "e5", "e6"]
    assert delivery.account == Account(6, 5, 0, 1)
    delivery.close()
