"""A cancellation that a library has lost on the way is raised all the same."""

from __future__ import annotations

import asyncio


def raise_if_cancelled() -> None:
    """Call it after awaiting a library that uses `asyncio.wait_for` (redis-py).

    Before Python 3.12, wait_for swallows a cancellation that arrives together with its result (python/cpython#86296),
    and a driver would run on after it was told to stop. The task still knows that it was asked.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
