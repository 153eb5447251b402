"""The Modbus driver: the links of one source, and what they say together.

settings ──► Units (polls, by endpoint) ──► Link each: agenda, connection, dead units ──► Intake
"""

from __future__ import annotations

import asyncio
import random
from functools import partial

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from protocols.modbus.link import Link
from protocols.modbus.records import link_line
from protocols.modbus.settings import Settings
from protocols.modbus.standing import Standing
from protocols.modbus.unit import Units
from protocols.tapping import Tap


class Driver:
    """See engine.contracts.Driver. `chance`: the source of the jitter of polls and between attempts to connect."""

    def __init__(
        self, name: str, settings: Settings, intake: Intake, clock: Clock, chance: random.Random | None = None
    ) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._chance = chance or random.Random()
        self.tap = Tap()

    async def run(self) -> None:
        """Poll for ever."""
        settings, intake, clock = self._settings, self._intake, self._clock
        behind = Units(self._name, settings, intake, clock).by_endpoint()
        standing = Standing(partial(intake.state, self._name))
        # whatever happened before we were there, nobody looked
        sources = dict.fromkeys(src for units in behind.values() for unit in units for src in unit.sources)
        await intake.put(Delivery(self._name, [link_line(src, False, clock()) for src in sources]))
        async with asyncio.TaskGroup() as tasks:
            for endpoint, units in behind.items():
                link = Link(self._name, endpoint, units, settings, intake, clock, standing, self._chance, self.tap)
                tasks.create_task(link.run())
