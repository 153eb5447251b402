"""What a device of telegrams can lose, and why nobody dials it: see `protocols.checking`."""

from __future__ import annotations

from collections.abc import Iterator

from engine.findings import Finding, warning
from protocols.checking import Reach
from protocols.telegram.settings import Settings


def reach(settings: Settings) -> Reach:
    if settings.role == "server":
        return Reach(never="its device comes to the engine, which takes a second connection for the device's new one")
    return Reach(never="its device has one connection, and takes a second one for the engine's new one")


def findings(where: str, settings: Settings) -> Iterator[Finding]:
    if settings.acknowledge is None:
        unseen = "" if settings.number is not None else ", and without numbers nothing tells of it"
        yield warning(
            where,
            f"no acknowledgement: what the device sends while the engine is away or full is lost{unseen}",
            "let the device wait for one, and say with `acknowledge` what it looks like",
        )
    if settings.silence_ms is None:
        yield warning(
            where,
            "nothing tells that the line is dead: a device that loses its power says no good-bye",
            "say with `silence_ms` how long it may be silent; life telegrams keep a quiet line up",
        )
