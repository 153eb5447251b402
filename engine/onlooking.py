"""Drivers at work for somebody who only looks: nothing is kept, and nothing is ever acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from engine.clock import now_us
from engine.config.site import Source
from engine.contracts import Delivery, Driver
from engine.errors import Refused
from protocols import registry

SOURCES_MAX = 10_000
OFFSETS_MAX = 200
CAUSES_MAX = 20
SAMPLE_BYTES_MAX = 4_096

log = logging.getLogger("sortline.onlooking")

Heard = Callable[[str, str, bytes], None]
"""(what: `record`, `fault` or `state`; the source; content)."""


class _Times(msgspec.Struct):
    kind: str
    t_rx: int
    src: str = ""
    t: int | None = None
    hist: bool = False


_times = msgspec.json.Decoder(_Times)


class Account(NamedTuple):
    """What came over one connection. `state`: its last, with why. `gaps`: of the driver's own, where something may have
    been missed. `late_us`: t_rx less t of live records, a sample of each `src`: every device has a clock of its own."""

    state: tuple[str, str]
    states: Counter[str]
    records: int
    faults: Counter[str]
    late_us: dict[str, deque[int]]
    gaps: int = 0

    def offsets_us(self) -> list[tuple[str, int]]:
        """About how far the clock of each `src` is ahead of ours, the way to us counted as if it took no time; the one
        that is farthest off comes first."""
        found = [(src, -round(statistics.median(late))) for src, late in self.late_us.items()]
        return sorted(found, key=lambda each: (-abs(each[1]), each[0]))

    def late(self, src: str, by_us: int) -> None:
        if src in self.late_us or len(self.late_us) < SOURCES_MAX:
            self.late_us.setdefault(src, deque(maxlen=OFFSETS_MAX)).append(by_us)


class Onlooker:
    """An engine's front door (`engine.contracts.Intake`) that takes everything and owes nothing."""

    def __init__(self, heard: Heard | None = None) -> None:
        self.accounts: dict[str, Account] = {}
        self._heard = heard

    async def put(self, delivery: Delivery) -> None:
        for line in delivery.lines:
            try:
                times = _times.decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self.fault(delivery.source, f"no canonical record: {error}", line)
                continue
            account = self._account(delivery.source)
            if times.kind == "source.gap":
                self.accounts[delivery.source] = account._replace(gaps=account.gaps + 1)
            elif not times.kind.startswith("link."):
                self.accounts[delivery.source] = account._replace(records=account.records + 1)
                if times.t is not None and not times.hist:
                    account.late(times.src, times.t_rx - times.t)
            if self._heard is not None:
                self._heard("record", delivery.source, line)

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        faults = self._account(source).faults
        if cause in faults or len(faults) < CAUSES_MAX:
            faults[cause] += 1
        if self._heard is not None:
            self._heard("fault", source, f"{cause}: {sample[:SAMPLE_BYTES_MAX]!r}".encode())

    def state(self, source: str, state: str, detail: str = "") -> None:
        account = self._account(source)
        account.states[state] += 1
        # who tries again has not forgotten why it failed
        why = account.state[1] if state == "connecting" and not detail else detail
        self.accounts[source] = account._replace(state=(state, why))
        if self._heard is not None:
            self._heard("state", source, f"{state} {detail}".strip().encode())

    def position(self, src: str) -> tuple[int, int] | None:
        return None

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return ()

    def _account(self, source: str) -> Account:
        fresh = Account(("", ""), Counter(), 0, Counter(), {})
        return self.accounts.setdefault(source, fresh)


def onlooking_driver(source: Source, onlooker: Onlooker) -> Driver | None:
    """The source's driver with settings that do a running engine no harm; None where there are none such."""
    assert source.protocol is not None
    onlooking = registry.onlooking_of(source.protocol)
    if onlooking is None:
        return None
    factory: Any = registry.driver_of(source.protocol)
    driver: Driver = factory(source.name, onlooking.settings(source.settings), onlooker, now_us)
    return driver


async def look(drivers: dict[str, Driver], onlooker: Onlooker, seconds: float | None) -> None:
    """Runs them side by side for so long, None: until cancelled. What ends one is its state."""
    tasks = [asyncio.create_task(_run(name, driver, onlooker)) for name, driver in drivers.items()]
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(name: str, driver: Driver, onlooker: Onlooker) -> None:
    try:
        await driver.run()
        why = "its driver ended"
    except Refused as error:
        why = str(error)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        log.error("source %s: nobody expected this error", name, exc_info=error)
    onlooker.state(name, "down", why)
