"""When to wait a moment before the next read, so that it finds several messages. Pure: time is an argument.

A read costs as much as a hundred messages do; behind a broker that writes each message by itself, reading at once means
a read a message. Waiting pays when it gathers several, so it is done only while they come that fast, and never for
longer than the limit: a message waits at most so long, and at low rates not at all.
"""

from __future__ import annotations

GATHERED_MIN = 8
"""A pause that would not gather so many messages is not worth its latency."""

WEIGHT = 0.25
"""Of a new reading in the running rate."""


class Pacing:
    """`pause_s`: the longest pause; 0: never one. Call `pause` after each read."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._rate = 0.0
        self._since_s = 0.0
        self._messages = 0

    def pause(self, now_s: float, messages: int, full: bool) -> float:
        """Seconds to wait before the next read; 0: none. `full`: the read filled its room, so that more lies there."""
        if not self._pause_s:
            return 0.0
        elapsed_s = now_s - self._since_s
        self._messages += messages
        if elapsed_s >= self._pause_s:
            self._rate += WEIGHT * (self._messages / elapsed_s - self._rate)
            # after silence the past says nothing
            if elapsed_s > 50 * self._pause_s:
                self._rate = self._messages / elapsed_s
            self._since_s, self._messages = now_s, 0
        if full or self._rate * self._pause_s < GATHERED_MIN:
            return 0.0
        return self._pause_s
