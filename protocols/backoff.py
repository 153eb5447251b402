"""The pause before the next attempt to connect: jitter between the least and a bound that doubles."""

from __future__ import annotations

from collections.abc import Callable

STABLE_S = 10.0
"""A connection that lasted so long was a good one: the next pause is short again."""


class Backoff:
    """`least_ms`, `most_ms`: no pause is shorter, none is longer. `random`: numbers of [0, 1)."""

    def __init__(self, least_ms: int, most_ms: int, random: Callable[[], float]) -> None:
        self._least_ms = least_ms
        self._most_ms = most_ms
        self._random = random
        self._bound_ms = least_ms

    def pause_s(self) -> float:
        """Seconds to wait now. Each call doubles the bound."""
        # already the first pauses differ: whatever went down took many connections with it
        self._bound_ms = min(self._bound_ms * 2, self._most_ms)
        return (self._least_ms + self._random() * (self._bound_ms - self._least_ms)) / 1000

    def reset(self) -> None:
        """What was tried has worked: begin again with the short pauses."""
        self._bound_ms = self._least_ms

    def ended_after(self, seconds: float) -> None:
        """A connection has ended that stood for so long."""
        if seconds > STABLE_S:
            self.reset()
