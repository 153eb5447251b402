"""The only place that reads the wall clock. Everything else takes time as an argument."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""


def now_us() -> int:
    """Microseconds since 1970 UTC, from the system's clock."""
    return time.time_ns() // 1000
