"""What a Modbus source can lose, and where its devices are: see `protocols.checking`."""

from __future__ import annotations

from collections.abc import Iterator

from engine.findings import Finding, warning
from protocols.checking import Reach
from protocols.modbus.layouts import Group
from protocols.modbus.settings import Profile, Settings


def reach(settings: Settings) -> Reach:
    endpoints = dict.fromkeys(settings.endpoint_of(unit) for unit in settings.units.values())
    return Reach(
        list(dict.fromkeys(address for endpoint in endpoints for address in endpoint.addresses)),
        [endpoint.serial.device for endpoint in endpoints if endpoint.serial is not None],
        beside_engine="the running engine holds its connection, and many devices have room for one",
    )


def findings(where: str, settings: Settings) -> Iterator[Finding]:
    for name, profile in settings.profiles.items():
        yield from _profile(f"{where}.profiles.{name}", settings, profile)
    for name, unit in settings.units.items():
        yield from _profile(f"{where}.units.{name}", settings, unit)


def _profile(where: str, settings: Settings, profile: Profile) -> Iterator[Finding]:
    groups = profile.groups.values()
    if groups:
        tells = all(settings.timing_of(group).overdue == "gap" for group in groups)
        yield warning(
            f"{where}.groups",
            "plain polling: what changes twice between two polls is seen once, and nothing can be held back"
            + ("" if tells else "; nothing tells of a poll that came too late, either"),
            "let the machine keep records (a mailbox or a ring) for what an ERP counts"
            + ("" if tells else '; for the others a poll class with overdue = "gap"'),
        )
    for path, layout in profile.layouts:
        if not isinstance(layout, Group) and layout.ack is None:
            yield warning(
                f"{where}.{path}",
                "no acknowledgement: the machine does not wait, and overwrites what was not read in time",
                "give the machine a register to wait for, and name it `ack`",
            )
