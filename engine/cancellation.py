"""A cancellation that a library has lost on the way is raised all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


def raise_if_cancelled() -> None:
    """Call it after awaiting a library that uses `asyncio.wait_for` (redis-py, aiomqtt).

    Before Python 3.12, wait_for swallows a cancellation that arrives together with its result (python/cpython#86296),
    and a driver would run on after it was told to stop. The task still knows that it was asked.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def promptly(work: Awaitable[T]) -> T:
    """A call of such a library that may take long: who waits for it here is cancelled at once. What it then goes on
    with ends when its connection is closed."""
    future = asyncio.ensure_future(work)
    try:
        await asyncio.wait({future})
    except asyncio.CancelledError:
        future.cancel()
        future.add_done_callback(_forget)
        raise
    return future.result()


def _forget(ended: asyncio.Future[Any]) -> None:
    """Nobody waits for its error any more."""
    if not ended.cancelled():
        ended.exception()
