"""A pipeline in a process of its own, to be killed: names of load units on stdin, acknowledged ones on stdout.

python -m tests.adversity.engine_process FOLDER [STEP]

It takes a snapshot every few records. With STEP it kills itself right before the STEP-th time that a snapshot, or the
dropping of old segments, would sync, rename or take away a file.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engine.contracts import Delivery
from tests.counting_core import read
from tests.integration.test_pipeline import START_US, Rig

EVERY_BYTES = 1_000
SEGMENT_BYTES = 1_500


def say(name: str) -> None:
    print(name, flush=True)


def die_at(step: int) -> None:
    """Kill -9 right before the step that has this number."""
    steps = itertools.count(1)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def before(*arguments: Any, **named: Any) -> Any:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return before

    os.fsync = counted(os.fsync)
    os.replace = counted(os.replace)
    os.unlink = counted(os.unlink)


async def main(folder: Path, step: int) -> None:
    rig = Rig(folder, every_bytes=EVERY_BYTES, segment_bytes=SEGMENT_BYTES)
    await rig.pipeline.start()
    die_at(step)
    say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name = line.strip()
        await rig.pipeline.put(Delivery("scanner", [read(name, START_US)], partial(say, name)))
    await rig.pipeline.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
