"""What a case is called with, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

OURS = "sortline"
"""The contestant that is ours, in every case."""

Figures = dict[str, Any]
"""Its figures by name; `sortline bench` adds the case's name, versions and machine."""


class Settings(NamedTuple):
    """scale: every size of every case times this; 1 is what figures are quoted for, 0.01 a look. runs: timed turns.
    story: a name of `workload.STORIES`."""

    scale: float = 1.0
    runs: int = 5
    story: str = "floor"

    def size(self, full: int, least: int = 1) -> int:
        return max(least, round(full * self.scale))


Case = Callable[[Settings], Figures]
