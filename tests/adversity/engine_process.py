"""A pipeline in a process of its own, to be killed: names of load units on stdin, acknowledged ones on stdout.

python -m tests.adversity.engine_process FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from engine.contracts import Delivery
from tests.counting_core import read
from tests.integration.test_pipeline import START_US, Rig


def say(name: str) -> None:
    print(name, flush=True)


async def main(folder: Path) -> None:
    rig = Rig(folder)
    await rig.pipeline.start()
    say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name = line.strip()
        await rig.pipeline.put(Delivery("scanner", [read(name, START_US)], partial(say, name)))
    await rig.pipeline.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
