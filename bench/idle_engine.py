"""The engine of `sources.idle`, as `sortline run` has it, in a process that has loaded nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import uvloop

from bench.measure import Failed, Steps, Turn
from engine.app import Engine
from engine.config.load import load_site

UP_S_MAX = 120.0


def watching(site: Path, runs: int, window_s: float) -> Turn:
    """Ready when all sources are up. A turn is a window of time, the first one to settle."""
    logging.disable(logging.CRITICAL)
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    begun = time.monotonic()
    stop = asyncio.Event()
    engine, running = runner.run(_up(site, stop))
    up_s = time.monotonic() - begun

    def turn(number: int) -> Steps:
        yield lambda: runner.run(asyncio.wait({running}, timeout=window_s))
        if not_up := _not_up(engine):
            raise Failed(f"not up any more: {not_up[0]} and {len(not_up) - 1} others")
        if number == runs:
            stop.set()
            runner.run(_ended(running))
            runner.close()
        return {"up_s": up_s, "sources": len(engine.site.sources)}

    return turn


async def _up(site: Path, stop: asyncio.Event) -> tuple[Engine, asyncio.Task[Mapping[str, int]]]:
    engine = Engine(load_site(site))
    running = asyncio.create_task(engine.run(stop))
    deadline = time.monotonic() + UP_S_MAX
    while not_up := _not_up(engine):
        if running.done():
            await running
        if time.monotonic() > deadline:
            raise Failed(f"not up within {UP_S_MAX:g} s: {not_up[0]} and {len(not_up) - 1} others")
        await asyncio.sleep(0.1)
    return engine, running


async def _ended(running: asyncio.Task[Mapping[str, int]]) -> None:
    await running


def _not_up(engine: Engine) -> list[str]:
    known = engine.metrics.sources
    names = [source.name for source in engine.site.sources]
    return [name for name in names if name not in known or known[name].state != "up"]
