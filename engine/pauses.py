"""What the interpreter itself does that holds the event loop, and what keeps it short.

The cycle collector: a full collection walks every object that came after the start, milliseconds where there are
hundreds of sources. What has cycles and is old is little, the clients of connections that were lost; the rest is found
by the short collections, which stay as they are. So full ones happen when nobody waits, or else every quarter of an
hour: a server that comes and goes all the time must not fill the memory.

The interpreter's lock: a thread that works in Python keeps it for 5 ms at a time unless told otherwise.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.metrics import LoopLag

FULL_COLLECTION_S_MIN = 600.0
FULL_COLLECTION_S_MAX = 900.0
LOOK_S = 1.0
NEVER = 2**31 - 1
SWITCH_S = 0.001
LOOP_SAMPLE_S = 0.01
LOOP_SAMPLE_S_MAX = 0.16
HELD_US = 1_000


@contextmanager
def short_pauses() -> Iterator[None]:
    """No full collections of their own accord, quick turns of the threads; as it was before at the end."""
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(thresholds[0], thresholds[1], NEVER)
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(switch_s)


async def collect_when_idle(work: Callable[[], int]) -> None:
    """A full collection when the last one is long ago and nothing happens. `work`: a number that grows when it does."""
    loop = asyncio.get_running_loop()
    with short_pauses():
        # modules and types: here to stay
        gc.collect()
        gc.freeze()
        last_s, done = loop.time(), work()
        while True:
            await asyncio.sleep(LOOK_S)
            since_s, before, done = loop.time() - last_s, done, work()
            if (since_s > FULL_COLLECTION_S_MIN and done == before) or since_s > FULL_COLLECTION_S_MAX:
                gc.collect()
                last_s = loop.time()


async def watch_loop(lag: LoopLag) -> None:
    """Sleeps again and again, and notes how much longer it took: what held the event loop. Where nothing does it looks
    more and more rarely, down to LOOP_SAMPLE_S_MAX: a hundred looks a second would be most of what an idle engine
    costs. So a single short hold may pass unseen between two looks; one of a series does not."""
    sleep_s = LOOP_SAMPLE_S
    while True:
        before_s = time.perf_counter()
        await asyncio.sleep(sleep_s)
        after_s = time.perf_counter()
        held_us = max(0, int((after_s - before_s - sleep_s) * 1_000_000))
        lag.add(held_us, after_s)
        sleep_s = LOOP_SAMPLE_S if held_us >= HELD_US else min(2 * sleep_s, LOOP_SAMPLE_S_MAX)
