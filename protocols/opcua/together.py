"""Tasks that live and die together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*parts: Coroutine[Any, Any, None]) -> None:
    """Runs all of them until the first raises, and raises that after the others have ended.

    Unlike asyncio.TaskGroup of Python 3.11 it neither takes a cancellation from outside for its own when both come at
    once, nor leaves the task marked as cancelled, so that `raise_if_cancelled` can be relied on.
    """
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in [task for task in tasks if task.done()]:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # what is raised knows this frame: one that knows its task as well is a cycle, found by a full collection only
        del task, tasks
