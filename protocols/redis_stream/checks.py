"""What a Redis Stream can lose, and where its server is: see `protocols.checking`."""

from __future__ import annotations

from collections.abc import Iterator

from engine.findings import Finding, note
from protocols.checking import Reach
from protocols.redis_stream.settings import Settings


def reach(settings: Settings) -> Reach:
    return Reach(settings.places())


def findings(where: str, settings: Settings) -> Iterator[Finding]:
    yield note(where, "what somebody trims off the stream before it was read is lost, and nothing tells of it")
