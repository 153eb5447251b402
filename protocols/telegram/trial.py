"""Never tried: a device has one connection, and takes a second one for the engine's successor."""

from __future__ import annotations

from protocols.telegram.settings import Settings
from protocols.trial import NOT_TRIED, Trial


async def trial(settings: Settings) -> Trial:
    return Trial(
        NOT_TRIED,
        "telegram: a connection of ours would take the place of the device's; sortline tap looks through the engine",
    )
