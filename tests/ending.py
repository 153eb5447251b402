"""The end of tasks that use a library which may lose a cancellation: aiomqtt waits in asyncio.wait_for."""

from __future__ import annotations

import asyncio
from typing import Any


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancels them until they have ended, however they do."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.5)
