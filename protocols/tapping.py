"""Somebody looks at what comes over a source's wire, while its driver works.

A driver that shows its payloads has an attribute `tap`: a `Tap`, which it makes, and tells wherever something has come.
"""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str, bytes], None]
"""(where from, content)."""

PLACES_MAX = 4_096
"""So many places are compared with what they were: a reader of rings names ever other ones."""


class Tap:
    """`tell`: who looks, None: nobody does, which is what a driver asks before it makes words of anything."""

    __slots__ = ("_last", "tell")

    def __init__(self) -> None:
        self.tell: Tell | None = None
        self._last: dict[str, bytes] = {}

    def close(self) -> None:
        """Nobody looks any more; whoever is next has seen nothing."""
        self.tell = None
        self._last.clear()

    def standing(self) -> list[tuple[str, bytes]]:
        """(where from, content) of all that is told only when it changes, for one who comes later."""
        return list(self._last.items())

    def changed(self, place: str, content: bytes) -> None:
        """Tell what is asked for again and again only where it is not what it was."""
        if self.tell is not None and self._last.get(place) != content:
            if len(self._last) >= PLACES_MAX:
                self._last.clear()
            self._last[place] = content
            self.tell(place, content)
