"""When the interpreter may hold the event loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref

import pytest

from engine import pauses


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def old_garbage() -> weakref.ref[Cycle]:
    """In the oldest generation, which the short collections leave alone."""
    cycle = Cycle()
    gc.collect(1)
    gc.collect(1)
    return weakref.ref(cycle)


@pytest.mark.parametrize("busy, after_s", [(True, "FULL_COLLECTION_S_MAX"), (False, "FULL_COLLECTION_S_MIN")])
def test_old_cycles_go_when_nobody_waits_or_after_a_while(
    monkeypatch: pytest.MonkeyPatch, busy: bool, after_s: str
) -> None:
    monkeypatch.setattr(pauses, "LOOK_S", 0.01)
    monkeypatch.setattr(pauses, after_s, 0.1)
    done = itertools.count()

    async def story() -> None:
        collector = asyncio.create_task(pauses.collect_when_idle(lambda: next(done) if busy else 0))
        await asyncio.sleep(0)
        garbage = old_garbage()
        assert garbage() is not None
        async with asyncio.timeout(60):
            while garbage() is not None:
                await asyncio.sleep(0.01)
        collector.cancel()

    asyncio.run(story())


def test_a_busy_engine_waits_no_longer_than_a_quarter_of_an_hour() -> None:
    assert pauses.FULL_COLLECTION_S_MAX <= 900
