"""Counters of a few bits, counted on: 254, 255, 0 becomes 254, 255, 256. Compiled plans count without Python."""

from __future__ import annotations

from collections.abc import Callable

from ext.counters import BACK_SHARE, Sequences, Unwrapper

Position = Callable[[str], tuple[int, int] | None]
"""src -> the last (epoch, seq) known of it: `Intake.position`."""

__all__ = ["BACK_SHARE", "Position", "Sequences", "Unwrapper", "step"]


def step(before: object, value: object, modulus: int | None) -> int | None:
    """How far a counter went on between two looks at it; None: it began anew. The same quarter as everywhere tells a
    wrap from a beginning. `modulus`: where it wraps, if it does."""
    if not isinstance(before, int) or not isinstance(value, int):
        return None
    if modulus is None:
        return value - before if value >= before else None
    ahead = (value - before) % modulus
    return ahead if ahead < modulus - modulus // BACK_SHARE else None
