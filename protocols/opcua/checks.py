"""What an OPC UA source can lose, and where its server is: see `protocols.checking`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from engine.findings import Finding, warning
from protocols.checking import Reach
from protocols.opcua.settings import Settings

PORT = 4840


def reach(settings: Settings) -> Reach:
    parts = urlsplit(settings.url)
    return Reach([(parts.hostname, parts.port or PORT)] if parts.hostname else [])


def findings(where: str, settings: Settings) -> Iterator[Finding]:
    if settings.security.policy == "None":
        yield warning(
            where,
            "OPC UA without security: whoever is on the network can read and forge",
            "use a policy and certificates",
        )
    for name, entry in settings.variables.items():
        if entry.collect == "read" and entry.check is None and len(entry.nodes) > 1:
            yield warning(
                f"{where}.variables.{name}",
                "without a check only the server's times tell values of this event from those of the next",
                "name a node that the machine counts up before it writes the values",
            )
