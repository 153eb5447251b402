"""Which protocols there are. Adding one takes a folder and a line here.

Nothing is imported before a site file names it: a site without OPC UA never loads its library.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from importlib import import_module
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import Any, NamedTuple

PROTOCOLS: dict[str, tuple[str, str]] = {
    # name in the site file -> (settings struct, driver)
    "file_lines": ("protocols.file_lines.settings:Settings", "protocols.file_lines.driver:Driver"),
    "modbus": ("protocols.modbus.settings:Settings", "protocols.modbus.driver:Driver"),
    "mqtt": ("protocols.mqtt.settings:Settings", "protocols.mqtt.driver:Driver"),
    "opcua": ("protocols.opcua.settings:Settings", "protocols.opcua.driver:Driver"),
    "redis_stream": ("protocols.redis_stream.settings:Settings", "protocols.redis_stream.driver:Driver"),
    "telegram": ("protocols.telegram.settings:Settings", "protocols.telegram.driver:Driver"),
}

DISCOVERIES: dict[str, str] = {
    # name on the command line -> module that looks for what is there (`protocols.discovery`)
    "modbus": "protocols.modbus.discover",
    "mqtt": "protocols.mqtt.discover",
    "opcua": "protocols.opcua.discover",
}


class Onlooking(NamedTuple):
    """How a protocol is looked at beside a running engine. `settings`: those of a second connection that the first does
    not notice. `payloads`: what comes over the wire, (where from, content), where its driver does not tell. `late`:
    causes of faults that only say that somebody came late."""

    settings: Callable[[Any], Any]
    payloads: Callable[[Any], AsyncIterator[tuple[str, bytes]]] | None = None
    late: frozenset[str] = frozenset()


ONLOOKERS: dict[str, tuple[str, str | None, str | None]] = {
    # protocols that can be looked at beside a running engine -> (settings for it, payloads, late): see `Onlooking`
    "modbus": ("protocols.onlooking:as_it_is", None, None),
    "mqtt": ("protocols.mqtt.onlooker:onlooker", "protocols.mqtt.onlooker:payloads", "protocols.mqtt.onlooker:LATE"),
    "opcua": ("protocols.onlooking:as_it_is", None, None),
}

TRIALS: dict[str, str] = {
    # the others -> how to find out whether a source is there (`protocols.trial`)
    "file_lines": "protocols.file_lines.trial:trial",
    "redis_stream": "protocols.redis_stream.trial:trial",
    "telegram": "protocols.telegram.trial:trial",
}


def settings_of(protocol: str) -> Any:
    """The struct that holds the protocol's part of a source's table."""
    return resolve_name(PROTOCOLS[protocol][0])


def driver_of(protocol: str) -> Any:
    """The driver's class (`engine.contracts.DriverFactory`)."""
    return resolve_name(PROTOCOLS[protocol][1])


def onlooking_of(protocol: str) -> Onlooking | None:
    """How to look at it beside a running engine; None: that would take something away from the engine."""
    if protocol not in ONLOOKERS:
        return None
    settings, payloads, late = ONLOOKERS[protocol]
    return Onlooking(
        resolve_name(settings),
        resolve_name(payloads) if payloads is not None else None,
        resolve_name(late) if late is not None else frozenset(),
    )


def trial_of(protocol: str) -> Any:
    """How to find out whether a source is there, settings -> awaitable `protocols.trial.Trial`; None: nobody knows how,
    without harm."""
    return resolve_name(TRIALS[protocol]) if protocol in TRIALS else None


def checks_of(protocol: str) -> Any:
    """What doctor asks of its sources: the module `checks` of its folder (`protocols.checking`); None: it has none."""
    name = PROTOCOLS[protocol][0].partition(":")[0].rpartition(".")[0] + ".checks"
    return import_module(name) if find_spec(name) is not None else None
