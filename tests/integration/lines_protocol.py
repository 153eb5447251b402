"""The smallest protocol there can be: hands over the canonical lines of a file, once, and waits. Or breaks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import Refused


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """file: the lines. breaks: how `run` ends, instead of waiting: `"bug"`, `"refused"`, `"returns"`; or `"hangs"`."""

    file: str
    breaks: str = ""


class Driver:
    def __init__(self, name: str, settings: Settings, intake: Intake, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake

    async def run(self) -> None:
        self._intake.state(self._name, "up")
        lines = Path(self._settings.file).read_bytes().splitlines()
        await self._intake.put(Delivery(self._name, lines))
        match self._settings.breaks:
            case "bug":
                raise ZeroDivisionError("a bug of the driver")
            case "refused":
                raise Refused("the certificate has expired")
            case "returns":
                return
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self._settings.breaks != "hangs":
                    raise
