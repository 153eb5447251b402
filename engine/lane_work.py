"""A lane, as its forwarder sees it (see delivery)."""

from __future__ import annotations

from typing import NamedTuple

from engine.contracts import Lane
from engine.metrics import LaneMetrics
from engine.model import BUSINESS, PRIORITY_LAST, QUEUE_PRIORITY
from engine.throttle import Pace


class Done(NamedTuple):
    """So many events up to `position` are where they belong."""

    position: int
    delivered: int
    dead: int


class Work:
    """One lane, as its forwarder sees it. ready_s: not before. waits_s: since when it could go, and others went."""

    def __init__(self, lane: Lane, pace: Pace, metrics: LaneMetrics, now_s: float) -> None:
        self.lane = lane
        self.metrics = metrics
        self.bucket = pace.bucket(now_s)
        self.priority = pace.priority if pace.priority is not None else _priority(lane)
        self.dry = False
        self.ready_s = now_s
        self.waits_s: float | None = None
        self.alone = 0  # so many of the next events are sent one by one, to find the one at fault
        self.tries = 0  # of the first event, when it seems to be poison
        self.dead_in_a_row = 0
        self.done: Done | None = None  # the cursor has to be moved over it before anything else
        self.recounted = 0  # so many of the next events were counted as delivered, and are sent again
        self.buried: set[int] = set()  # positions behind the cursor that are dead letters already
        self.keys: set[str] = set()  # partition keys that have a dead letter
        self.letters = True  # whether a letter may be wanted
        self.letter_s = now_s  # the next one not before


def _priority(lane: Lane) -> int:
    return min((QUEUE_PRIORITY.get(BUSINESS[type_].queue, PRIORITY_LAST) for type_ in lane.types), default=0)
