"""Counters of a few bits, counted on: 254, 255, 0 becomes 254, 255, 256. Compiled plans count without Python."""

from __future__ import annotations

from collections.abc import Callable

from ext.counters import BACK_SHARE, Sequences, Unwrapper

Position = Callable[[str], tuple[int, int] | None]
"""src -> the last (epoch, seq) known of it: `Intake.position`."""

__all__ = ["BACK_SHARE", "Position", "Sequences", "Unwrapper"]
