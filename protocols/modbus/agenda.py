"""The polls of one connection by when they are due, and of those that are due the one with the earliest deadline first.

Synchronous; time is an argument (monotonic seconds).
"""

from __future__ import annotations

import itertools
from collections.abc import Container
from heapq import heapify, heappop, heappush

from protocols.modbus.unit import NOT_QUEUED, Job, UnitState

SWEEP_MIN = 64


class Agenda:
    """Two heaps; an entry whose job has another ticket by now is passed over, and swept out when most are such."""

    def __init__(self) -> None:
        self._later: list[tuple[float, int, Job]] = []
        self._ready: list[tuple[float, int, Job]] = []
        self._sweep_at = SWEEP_MIN
        self._tickets = itertools.count(1)

    def put(self, job: Job) -> None:
        """Or put it elsewhere, when its time has changed."""
        job.ticket = next(self._tickets)
        heappush(self._later, (job.due, job.ticket, job))
        if len(self._later) >= self._sweep_at:
            # nobody takes from it while a server is away, and its polls are put off again and again
            self._later = [entry for entry in self._later if entry[2].ticket == entry[1]]
            heapify(self._later)
            self._sweep_at = max(SWEEP_MIN, 2 * len(self._later))

    def __len__(self) -> int:
        """Entries that are held, with those that are passed over."""
        return len(self._later) + len(self._ready)

    def take(self, now: float) -> Job | None:
        """The next job that is due, and out of the agenda; None: none is."""
        self._gather(now)
        ready = self._ready
        while ready:
            _, ticket, job = heappop(ready)
            if job.ticket == ticket:
                self.leave(job)
                return job
        return None

    def is_late(self, now: float, but: Container[UnitState]) -> bool:
        """Whether somebody `but` these units waits beyond a deadline."""
        self._gather(now)
        return any(
            deadline <= now and job.ticket == ticket and job.unit not in but for deadline, ticket, job in self._ready
        )

    def leave(self, job: Job) -> None:
        """Take it out, whether it is due or not."""
        job.ticket = NOT_QUEUED

    def _gather(self, now: float) -> None:
        """What is due by now."""
        later, ready = self._later, self._ready
        while later and later[0][0] <= now:
            due, ticket, job = heappop(later)
            if job.ticket == ticket:
                heappush(ready, (due + job.deadline_s, ticket, job))

    def next_due(self) -> float | None:
        """When there will be one; None: nothing is in it."""
        later = self._later
        while later and later[0][2].ticket != later[0][1]:
            heappop(later)
        return later[0][0] if later else None
