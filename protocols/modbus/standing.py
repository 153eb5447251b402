"""What the live view says of a source: of its links, and of the units that do not answer. Kept by counts: a fleet of
thousands goes down and comes back unit by unit. Synchronous.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from protocols.modbus.endpoint import Endpoint

NAMED_MAX = 8
"""So many units are named; of the others it says how many there are."""


class Standing:
    """`tell`: the source's state and why, called when that changes."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._told: tuple[str, str] | None = None
        self._up: set[Endpoint] = set()
        self._down: dict[Endpoint, str] = {}  # and why
        self._silent: dict[str, None] = {}  # units, in the order in which they went down

    def link(self, endpoint: Endpoint, state: str, detail: str) -> None:
        """A connection is `"up"`, `"down"` or `"connecting"`."""
        self._up.discard(endpoint)
        if state == "down":
            self._down[endpoint] = detail
        else:
            self._down.pop(endpoint, None)
            if state == "up":
                self._up.add(endpoint)
        self._look()

    def unit(self, name: str, answers: bool) -> None:
        """Also one whose link is down does not answer."""
        if answers:
            self._silent.pop(name, None)
        else:
            self._silent[name] = None
        self._look()

    def _look(self) -> None:
        told = self._state()
        if self._told != told:
            self._told = told
            self._tell(*told)

    def _state(self) -> tuple[str, str]:
        """Up as long as one link is."""
        if not self._up:
            return next((("down", why) for why in self._down.values()), ("connecting", ""))
        if not self._silent:
            return "up", ""
        more = f" and {len(self._silent) - NAMED_MAX} more" if len(self._silent) > NAMED_MAX else ""
        return "up", f"no answer from {', '.join(islice(self._silent, NAMED_MAX))}{more}"
