"""Which protocols there are. Adding one takes a folder and a line here.

Nothing is imported before a site file names it: a site without OPC UA never loads its library.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

PROTOCOLS: dict[str, tuple[str, str]] = {
    # name in the site file -> (settings struct, driver)
    "file_lines": ("protocols.file_lines.settings:Settings", "protocols.file_lines.driver:Driver"),
    "modbus": ("protocols.modbus.settings:Settings", "protocols.modbus.driver:Driver"),
    "mqtt": ("protocols.mqtt.settings:Settings", "protocols.mqtt.driver:Driver"),
    "opcua": ("protocols.opcua.settings:Settings", "protocols.opcua.driver:Driver"),
    "redis_stream": ("protocols.redis_stream.settings:Settings", "protocols.redis_stream.driver:Driver"),
    "telegram": ("protocols.telegram.settings:Settings", "protocols.telegram.driver:Driver"),
}


def settings_of(protocol: str) -> Any:
    """The struct that holds the protocol's part of a source's table."""
    return resolve_name(PROTOCOLS[protocol][0])


def driver_of(protocol: str) -> Any:
    """The driver's class (`engine.contracts.DriverFactory`)."""
    return resolve_name(PROTOCOLS[protocol][1])
