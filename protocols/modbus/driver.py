"""The Modbus driver: the links of one source, and what they say together.

settings ──► Units (polls, by endpoint) ──► Link each: agenda, connection, dead units ──► Intake
"""

from __future__ import annotations

import asyncio
import random

from engine.clock import Clock
from engine.contracts import Intake
from protocols.modbus.link import Link
from protocols.modbus.settings import Settings
from protocols.modbus.unit import Units
from protocols.tapping import Tap

NAMED_MAX = 8
"""So many units are named in the live view; of the others it says how many there are."""


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
        self._links: list[Link] = []
        self._told: tuple[str, str] | None = None
        self.tap = Tap()

    async def run(self) -> None:
        """Poll for ever."""
        settings, intake, clock = self._settings, self._intake, self._clock
        behind = Units(self._name, settings, intake, clock).by_endpoint()
        self._links = [
            Link(self._name, endpoint, units, settings, intake, clock, self._tell, self._chance, self.tap)
            for endpoint, units in behind.items()
        ]
        async with asyncio.TaskGroup() as tasks:
            for link in self._links:
                tasks.create_task(link.run())

    def _tell(self) -> None:
        """To the live view, when it changes."""
        told = self._state()
        if self._told != told:
            self._told = told
            self._intake.state(self._name, *told)

    def _state(self) -> tuple[str, str]:
        """Up as long as one link is; a unit whose link is down counts among those that do not answer."""
        states = [link.state for link in self._links if link.state is not None]
        up = sum(state == "up" for state, _ in states)
        if not up:
            return next((told for told in states if told[0] == "down"), ("connecting", ""))
        down = [name for link in self._links for name in link.down_units()]
        if not down:
            return "up", ""
        more = f" and {len(down) - NAMED_MAX} more" if len(down) > NAMED_MAX else ""
        return "up", f"no answer from {', '.join(down[:NAMED_MAX])}{more}"
