"""A lane, as its forwarder sees it (see delivery and lanes)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from engine.contracts import Lane, OutRow
from engine.metrics import LaneMetrics
from engine.model import BUSINESS, PRIORITY_LAST, QUEUE_PRIORITY
from engine.throttle import Breaker, Pace, Settings


class Done(NamedTuple):
    """So many events up to `position` are where they belong."""

    position: int
    delivered: int
    dead: int


class Work:
    """One lane, as its forwarder sees it. ready_s: not before. waits_s: since when it could go, and others went."""

    def __init__(self, lane: Lane, metrics: LaneMetrics, settings: Settings, now_s: float) -> None:
        pace = settings.queues.get(lane.queue, Pace())
        self.lane = lane
        self.metrics = metrics
        self.bucket = pace.bucket(now_s)
        self.priority = pace.priority if pace.priority is not None else _priority(lane)
        self.breaker = Breaker()
        self.batch = settings.batch_events  # at most so many events in one call
        self.has_passed = False  # the sink has taken something of it in this life
        self.under_way: asyncio.Future[None] | None = None  # a call that has not come to its end
        self.dry = False
        self.ready_s = now_s
        self.waits_s: float | None = None
        self.tried_s = now_s  # when its last call began
        self.alone = 0  # so many of the next events are sent one by one, to find the one at fault
        self.tries = 0  # of the first event, when it seems to be poison
        self.dead_in_a_row = 0
        self.done: Done | None = None  # the cursor has to be moved over it before anything else
        self.recounted = 0  # so many of the next events were counted as delivered, and are sent again
        self.buried: dict[int, str] = {}  # positions behind the cursor that are dead letters already, and their keys
        self.keys: set[str] = set()  # partition keys that have a dead letter
        self.letters = True  # whether a letter may be wanted
        self.letter_s = now_s  # the next one not before
        self.is_full = False  # held: there is no room for one more dead letter
        self.made_room = False  # one was sent since there was none
        self.after_letter = False  # one was sent: now it is the events' turn, however many letters are due

    @property
    def has_work(self) -> bool:
        return self.under_way is None and (not self.dry or self.letters)

    def behind(self, rows: Sequence[OutRow]) -> list[OutRow]:
        """Those that follow a dead letter of their key. What stands before one, the sink may have already."""
        first = {key: at for at, key in sorted(self.buried.items(), reverse=True)}
        held = [row for row in rows if row.partitionkey in self.keys and row.position not in self.buried]
        return [row for row in held if row.position > first.get(row.partitionkey, 0)]

    @property
    def may_send_letter(self) -> bool:
        """Not before the cursor has passed what was buried: a start forgets a letter beyond it, and would send the
        event in its own place as well."""
        return self.letters and self.done is None and not self.buried and not self.after_letter

    @property
    def is_failing(self) -> bool:
        return self.breaker.failures > 0


def _priority(lane: Lane) -> int:
    return min((QUEUE_PRIORITY.get(BUSINESS[type_].queue, PRIORITY_LAST) for type_ in lane.types), default=0)
