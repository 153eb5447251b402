"""Whether a source is there, found out without taking anything away from the engine that reads it.

For protocols whose driver cannot look on: a second reader would get what is the engine's.
"""

from __future__ import annotations

from typing import NamedTuple

REACHED, DOWN, NOT_TRIED = "reached", "down", "not tried"


class Trial(NamedTuple):
    """verdict: one of those above."""

    verdict: str
    why: str
