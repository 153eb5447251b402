"""The engine's front door as a driver test needs it: keeps what comes, and acknowledges when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from engine.contracts import Delivery, Driver

WAIT_S = 60.0


class Ledger:
    """An `engine.contracts.Intake`. `durable`: acknowledge each delivery at once; False: keep the acks in `owed`.
    `open`: cleared, `put` waits, as a full engine does."""

    def __init__(self, durable: bool = True) -> None:
        self.durable = durable
        self.deliveries: list[Delivery] = []
        self.owed: list[Callable[[], None]] = []
        self.faults: list[tuple[str, bytes]] = []
        self.places: list[str] = []  # of the faults
        self.states: list[tuple[str, str]] = []
        self.positions: dict[str, tuple[int, int]] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def put(self, delivery: Delivery) -> None:
        await self.open.wait()
        self.deliveries.append(delivery)
        if delivery.ack is not None:
            self.owed.append(delivery.ack)
        if self.durable:
            self.acknowledge()

    def acknowledge(self) -> None:
        owed, self.owed = self.owed, []
        for ack in owed:
            ack()

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        self.faults.append((cause, sample))
        self.places.append(place)

    def state(self, source: str, state: str, detail: str = "") -> None:
        self.states.append((state, detail))

    def position(self, src: str) -> tuple[int, int] | None:
        return self.positions.get(src)

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return ()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for delivery in self.deliveries for line in delivery.lines]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The records without those that speak of the connection."""
        return [record for record in self.records if not record["kind"].startswith("link.")]

    def times(self, state: str) -> int:
        return sum(told == state for told, _ in self.states)

    async def until(self, happened: Callable[[], object], what: str = "it") -> None:
        """Wait until something is so; fails, with all that came, after WAIT_S."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not happened():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(
                f"{what} did not happen: {self.records[-5:]} {self.faults[-5:]} {self.states[-5:]}"
            ) from None


@contextlib.asynccontextmanager
async def running(driver: Driver) -> AsyncIterator[asyncio.Task[None]]:
    """The driver at work, and cancelled at the end."""
    task: asyncio.Task[None] = asyncio.ensure_future(driver.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
