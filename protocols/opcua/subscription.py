"""One subscription at the server: which numbers its messages had, and when it was last heard.

A message is acknowledged to the server only after its records are durable; the acknowledgement rides on a later publish
request. What cannot be held back: the server alone decides how many unacknowledged messages it keeps (at least two, OPC
10000-4 section 5.14.1), and it forgets them with the subscription, which ends `lifetime_ms` after we were last heard.
Until then they can be had again, also over another connection.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from ext.opcua_notifications import Publish

log = logging.getLogger("sortline.opcua")

SEQUENCE_MAX = (1 << 32) - 1  # then 1 again: 0 is never used (OPC 10000-4 section 7.36)
REPUBLISH_MAX = 1_000
CONNECTIONS_MAX = 8
"""Over so many a message is asked for again. A server may close each one for it."""


class Subscription:
    """`silence_s`: without any publish response of it for so long it is taken for dead; a keep-alive is one.

    `owners`: the entries whose items it has, by their numbers. Times are the event loop's, in seconds. `told_at`: of
    the last response; `heard_at` may be later, where we could not have heard any.
    """

    def __init__(self, number: int, silence_s: float, owners: Sequence[int], now: float) -> None:
        self.number = number
        self.silence_s = silence_s
        self.owners = tuple(owners)
        self.born_at = self.heard_at = self.told_at = now
        self._next: int | None = None
        self._asked: tuple[int, int] = 0, 0  # a message, and over how many connections it was asked for in vain
        self._durable: deque[int] = deque()

    def taken_up(self, now: float) -> None:
        """It goes on over another connection. If nothing of it came over the one before, its first message may be lost,
        the state from which events are told apart: that one's number is 1 (OPC 10000-4 section 7.36)."""
        self.heard_at = now
        if self._next is None:
            self._next = 1

    def tells(self, now: float) -> None:
        """A response of it has come."""
        self.heard_at = self.told_at = now

    def done(self, numbers: Sequence[int]) -> None:
        """The records of these messages are durable: the server may forget them, once it is told."""
        self._durable.extend(numbers)

    def told(self, count: int) -> list[int]:
        """At most so many numbers of durable messages, to be told to the server."""
        return [self._durable.popleft() for _ in range(min(count, len(self._durable)))]

    def untold(self, numbers: Sequence[int]) -> None:
        """These did not reach the server."""
        self._durable.extendleft(reversed(numbers))

    @property
    def begun(self) -> bool:
        """Whether a message or keep-alive has told its numbers."""
        return self._next is not None

    def silent(self, now: float) -> bool:
        return now - self.heard_at >= self.silence_s

    def ask_later(self, number: int) -> bool:
        """The connection ended over which this message was asked for again: `missing` names it once more over the next
        one, with all that came after it. False if that was so too often: then it and those up to what came are lost."""
        of, times = self._asked
        self._asked = number, times + 1 if of == number else 1
        if self._asked[1] >= CONNECTIONS_MAX:
            return False
        self._next = number
        return True

    def missing(self, publish: Publish) -> range | None:
        """The numbers between the last message and this one. A keep-alive carries the number of the next message; that
        of some servers says which was the last, or 0.

        None: it is behind the last one, or absurdly far ahead. What is missing is not known then, and cannot be had."""
        number = publish.number
        if not publish.numbered and (
            number == 0 or (self._next is not None and number % SEQUENCE_MAX + 1 == self._next)
        ):
            return range(0)
        first, self._next = self._next, (number % SEQUENCE_MAX + 1 if publish.numbered else number)
        if first is None or first == number:
            return range(0)
        count = (number - first) % SEQUENCE_MAX
        if count > REPUBLISH_MAX:
            log.warning(
                "subscription %d: the server's message numbers jumped from %d to %d", self.number, first, number
            )
            return None
        return range(first, first + count)
