"""Delivery under everything at once: sinks that fail before, after and because of an event, people who send letters
again or discard them, an engine that dies at any step. Nothing is lost or doubled, and the account is exact."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.accounts import account
from engine.contracts import Emitted, OutRow
from engine.dead_letters import DeadLetters
from engine.delivery import Forwarder
from engine.errors import Full, Undeliverable
from engine.letter import DEAD
from engine.metrics import SinkMetrics
from engine.outbox import SqliteOutbox
from engine.sinks.queue import Queue
from engine.throttle import Settings
from tests.counting_core import event

QUEUES = {
    "pick.confirmed": {"erp": "erp.inventory"},
    "carton.closed": {"erp": "erp.shipping"},
    "exception.raised": {"erp": "ops"},
}
TYPES = list(QUEUES)
SEEDS = int(os.environ.get("SORTLINE_STORY_SEEDS", "6"))  # more of them for a long run
STEPS = 60


class Died(BaseException):
    """The engine's process is gone, in the middle of a step."""


class FaultySink:
    """A real queue behind a bad day."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.bad: set[str] = set()
        self.calm = False
        self.queue = Queue(path)
        self._chance = chance

    async def open(self) -> None:
        if not self.calm and self._chance.random() < 0.05:
            raise ConnectionRefusedError

    async def send(self, rows: Sequence[OutRow]) -> None:
        bad = [row for row in rows if row.id in self.bad]
        if bad:
            named = {"position": bad[0].position, "again": bad[0].again} if self._chance.random() < 0.5 else {}
            raise Undeliverable("never", **named)
        luck = 1.0 if self.calm else self._chance.random()
        if luck < 0.1:
            raise ConnectionResetError
        if luck < 0.15:
            raise Full("too much")
        self.queue.put(rows)
        if luck < 0.25:
            raise TimeoutError

    async def close(self) -> None:
        pass


def dying(owner: object, names: Sequence[str], chance: random.Random) -> None:
    """From now on each of these calls may be the last one of the process, before or after it is done."""

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def may_die(*args: Any, **named: Any) -> Any:
            if chance.random() < 0.01:
                raise Died
            answer = call(*args, **named)
            if chance.random() < 0.01:
                raise Died
            return answer

        return may_die

    for name in names:
        setattr(owner, name, wrap(getattr(owner, name)))


class Life:
    """One process of the engine on the folder."""

    def __init__(self, folder: Path, sink: FaultySink, chance: random.Random, mode: str) -> None:
        self.outbox = SqliteOutbox(folder / "outbox.sqlite", routes=QUEUES, sinks=["erp"], rows_max=100_000)
        self.letters = DeadLetters(folder / "dead.sqlite", lambda: 0)
        self.read = self.outbox.read
        if not sink.calm:
            dying(self.outbox, ["advance", "read"], chance)
            dying(self.letters, ["bury", "begin", "delivered", "returned", "forget"], chance)
        self.now_s = 0.0
        settings = Settings(
            batch_events=chance.randrange(1, 20), on_dead_letter="hold_key" if mode == "hold_key" else "skip"
        )
        self.forwarder = Forwarder(
            "erp",
            sink,
            self.outbox,
            self.letters,
            SinkMetrics("erp"),
            lambda: 0,
            settings,
            advanced=lambda: None,
            jitter=chance.random,
            pause=self._pause,
            timer=lambda: self.now_s,
        )
        self.pauses = 0

    async def _pause(self, event: asyncio.Event | None, seconds: float | None) -> None:
        self.pauses += 1
        self.now_s += seconds or 0
        await asyncio.sleep(0)

    def run(self, pauses: int) -> None:
        """For so many waits of the forwarder, or until it dies."""

        async def story() -> None:
            self.forwarder._letters_seen = -1
            task = asyncio.create_task(self.forwarder.run())
            self.pauses = 0
            while self.pauses < pauses and not task.done():
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

        asyncio.run(story())

    def close(self) -> None:
        self.outbox.close()
        self.letters.close()


class Story:
    def __init__(self, folder: Path, seed: int, mode: str) -> None:
        self.folder, self.mode = folder, mode
        self.chance = random.Random(seed)
        self.sink = FaultySink(folder / "queue.sqlite", self.chance)
        self.told: list[tuple[str, str, str]] = []  # id, queue, key
        self.discarded: set[str] = set()
        self.deaths = 0
        self.life = Life(folder, self.sink, self.chance, mode)

    def tell(self) -> None:
        events = []
        for _ in range(self.chance.randrange(1, 15)):
            number, type_ = len(self.told) + 1, self.chance.choice(TYPES)
            key = f"O-{self.chance.randrange(4)}"
            events.append(Emitted(*event(number, f"e{number}", type_))._replace(partitionkey=key))
            self.told.append((f"e{number}", QUEUES[type_]["erp"], key))
            if self.chance.random() < 0.05:
                self.sink.bad.add(f"e{number}")
        self.life.outbox.append(events)
        self.life.forwarder.wake()

    def deliver(self, pauses: int) -> None:
        try:
            self.life.run(pauses)
        except Died:
            self.deaths += 1
            self.live_again()

    def live_again(self) -> None:
        self.life.close()
        self.life = Life(self.folder, self.sink, self.chance, self.mode)

    def mend(self) -> None:
        for id_ in sorted(self.sink.bad):
            if self.chance.random() < 0.5:
                self.sink.bad.discard(id_)

    def ask_again(self, everything: bool = False) -> None:
        letters = self.life.letters.find()
        chosen = letters if everything else [letter for letter in letters if self.chance.random() < 0.5]
        self.life.letters.want([letter.number for letter in chosen], 0, "somebody")

    def discard(self) -> None:
        letters = [letter for letter in self.life.letters.find() if letter.state == DEAD]
        if letters and self.mode == "skip":
            letter = self.chance.choice(letters)
            self.life.letters.discard([letter.number], "somebody")
            self.discarded.add(letter.id)

    def end_well(self) -> None:
        """Everything is mended, every letter is sent again."""
        self.sink.calm = True
        self.sink.bad.clear()
        self.live_again()
        for _ in range(50):
            self.ask_again(everything=True)
            self.deliver(60)
            if not self.life.outbox.depth("erp") and not self.life.letters.find():
                return
        raise AssertionError("it never ended")

    def check_account(self) -> None:
        """I5, against what stands in the files: `events = delivered + pending + dead`."""
        outbox, letters = self.life.outbox, self.life.letters
        total = account(outbox, letters, "erp")
        assert total.events == len(self.told) == total.delivered + total.pending + total.dead
        waiting = sum(len(self.life.read(lane.number, 100_000)) for lane in outbox.lanes("erp"))
        assert total.pending == waiting
        counts = letters.counts()
        if not waiting:
            assert total.dead == sum(n for name, n in counts.items() if name.startswith(("dead/", "discarded/")))

    def arrived(self, queue: str) -> list[str]:
        return [entry.id for entry in self.sink.queue.read(queue, 0, 1_000_000)]


@pytest.mark.parametrize("mode", ["skip", "hold_key"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_or_doubled_and_the_account_is_exact(tmp_path: Path, seed: int, mode: str) -> None:
    story = Story(tmp_path, seed, mode)
    steps = [story.tell, story.tell, lambda: story.deliver(4), lambda: story.deliver(40), story.live_again]
    steps += [story.mend, story.ask_again, story.discard]
    for _ in range(STEPS):
        story.chance.choice(steps)()
        story.check_account()
    story.end_well()
    story.check_account()
    for queue in ("erp.inventory", "erp.shipping", "ops"):
        arrived = story.arrived(queue)
        assert len(set(arrived)) == len(arrived)
        # one that is discarded before the engine dies may be tried, and taken, by the next one
        assert {id_ for id_, to, _ in story.told if to == queue} - set(arrived) <= story.discarded
        if mode == "hold_key":
            for key in {key for _, _, key in story.told}:
                of_key = [id_ for id_, to, at in story.told if to == queue and at == key]
                assert [id_ for id_ in arrived if id_ in set(of_key)] == of_key
    story.life.close()
    story.sink.queue.close()
