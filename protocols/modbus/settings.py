"""The site file's `[sources.NAME]` with `protocol = "modbus"`: Modbus servers and what is read from their units.

    [sources.plc]                                one connection: host, port, time limits
    [sources.plc.polls.fast]                     a poll class: how often, by when
    [sources.plc.profiles.SCALE]                 what all units of one make have; units name it
    [sources.plc.units.SCALE]                    one unit: its id, the source that it speaks for
    [sources.plc.units.SCALE.holding]            named registers; also input, coil, discrete
    [sources.plc.units.SCALE.groups.weighing]    registers polled together, and what makes a record of them
    [sources.plc.units.SORTER.mailboxes.events]  one record at a time, acknowledged by writing a register
    [sources.plc.units.CRANE.rings.moves]        a buffer of the last records, read behind its head

Addresses are those of the protocol, from 0. A manual's "40101" is `address = 100` in `holding`, its "30101"
`address = 100` in `input`. Nothing is read that is not named here, nothing is written but the registers named `ack`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from engine.tls import Tls
from protocols.mapping.faults import record_faults
from protocols.modbus.endpoint import (
    PORT,
    PORT_TLS,
    Endpoint,
    Host,
    Port,
    Serial,
    Transport,
    backup_faults,
    parse_address,
)
from protocols.modbus.layouts import Group, Mailbox, Ring
from protocols.modbus.registers import (
    BITS_MAX,
    REGISTERS_MAX,
    Address,
    Milliseconds,
    Name,
    Registers,
    Src,
    flag_names,
    listed,
    register_faults,
    value_faults,
    value_names,
)
from protocols.modbus.timing import PollClass

UNITS_MAX = 4_096
IN_FLIGHT_MAX = 32

Fault = tuple[str, str]
Backups = Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=262)]], msgspec.Meta(max_length=8)]


class Profile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a unit has, and what all units of one make and programme have: name it in `profile` of each.

    holding, input: register tables, name -> `Register`. Read with functions 3 and 4.
    coil, discrete: name -> address of the bit. Read with functions 1 and 2. A name is used once in a unit.
    groups, mailboxes, rings: what is read; see `Group`, `Mailbox`, `Ring`.
    gap_registers_max, read_registers_max, read_bits_max: default: the connection's.
    """

    holding: Registers = {}
    input: Registers = {}
    coil: dict[Name, Address] = {}
    discrete: dict[Name, Address] = {}
    groups: dict[Name, Group] = {}
    mailboxes: dict[Name, Mailbox] = {}
    rings: dict[Name, Ring] = {}
    gap_registers_max: Annotated[int, msgspec.Meta(ge=0, le=REGISTERS_MAX)] | None = None
    read_registers_max: Annotated[int, msgspec.Meta(ge=1, le=REGISTERS_MAX)] | None = None
    read_bits_max: Annotated[int, msgspec.Meta(ge=1, le=BITS_MAX)] | None = None

    @property
    def layouts(self) -> Iterator[tuple[str, Group | Mailbox | Ring]]:
        """Everything that is polled, with its path."""
        for table, entries in (("groups", self.groups), ("mailboxes", self.mailboxes), ("rings", self.rings)):
            yield from ((f"{table}.{name}", entry) for name, entry in entries.items())

    def misfits(self, polls: dict[str, PollClass]) -> Iterator[Fault]:
        if not self.groups and not self.mailboxes and not self.rings:
            yield "", "nothing to read: add groups, mailboxes or rings"
        yield from register_faults("holding", self.holding)
        yield from register_faults("input", self.input)
        yield from value_faults(self.holding, self.input, self.coil, self.discrete)
        values = value_names(self.holding, self.input, self.coil, self.discrete)
        flags = flag_names(self.holding, self.input, self.coil, self.discrete)
        for path, layout in self.layouts:
            faults = self._group_faults(layout, values, flags) if isinstance(layout, Group) else layout.misfits()
            for where, fault in (*_timing_faults(layout, polls), *faults):
                yield f"{path}.{where}", fault

    def _group_faults(self, group: Group, values: list[str], flags: set[str]) -> Iterator[Fault]:
        registers = {*self.holding, *self.input, *self.coil, *self.discrete}
        for index, name in enumerate(group.registers):
            if name not in registers:
                yield f"registers[{index}]", f"{name} is no register of the unit: one of {listed(registers)}"
        for index, trigger in enumerate(group.triggers):
            for path, fault in record_faults(trigger.record, constants={"src": "src"}, names=values):
                yield f"triggers[{index}].{path}", fault
            place = f"triggers[{index}].register"
            if trigger.on == "poll":
                if trigger.register is not None:
                    yield place, 'on = "poll" makes a record at every poll: leave register out'
                if trigger.debounce_ms:
                    yield f"triggers[{index}].debounce_ms", 'on = "poll" watches no value that could flicker'
            elif trigger.register not in values:
                yield place, f"on = {trigger.on!r} needs one of {listed(values)}"
            elif trigger.on != "change" and trigger.register not in flags:
                yield place, f"{trigger.register} has no edges, it is no bit: one of {listed(flags)}, or on = 'change'"


class Unit(Profile, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One unit. A PLC that is several machines may be several tables with the same `unit`.

    unit: its id (slave address), 0 to 255. Servers that are no gateway mostly answer to 1, some only to 0 or 255.
    src: the source that link states and records are reported for.
    profile: the name of a `Profile`: the unit has what stands there, and none of its own.
    host, port, backups: of a unit that is not behind the source's connection but has one of its own. Units with the
      same ones share it.
    timeout_ms: for an answer; default: the connection's.
    """

    unit: Annotated[int, msgspec.Meta(ge=0, le=255)]
    src: Src
    profile: Name | None = None
    host: Host | None = None
    port: Port | None = None
    backups: Backups = []
    timeout_ms: Milliseconds | None = None

    @property
    def has_own_layout(self) -> bool:
        return any((self.holding, self.input, self.coil, self.discrete, self.groups, self.mailboxes, self.rings))


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One Modbus server, or many that are alike. All units of a server share one connection, one request at a time,
    as most devices want it.

    host, port: where it is. Default port: 802 with `tls`, else 502. Plain Modbus has no encryption and no password:
      keep it inside the machines' network.
    backups: other addresses of the same device (`"host"` or `"host:port"`), tried in turn where the one before does
      not answer. The one that answered last is kept until it fails, so that two of them are never read in alternation.
    transport: `"tcp"` (default), `"rtu_over_tcp"` (a converter that passes serial frames on), `"rtu"` (a serial line).
    serial: with `transport = "rtu"`: `serial = { device = "/dev/ttyUSB0" }`; see `endpoint.Serial`.
    echo: after a missing or wrong answer over a serial transport the unit has to echo a number (function 8) before it
      is read again, so that however late an answer comes it is not taken for another one. For devices that know the
      function, or refuse it with an exception; a libmodbus slave does neither.
    tls: with `transport = "tcp"`: `tls = { ca = "plant.pem" }`; the server's name is verified. See `engine.tls`.
    in_flight_max: requests on their way at once, for devices that are known to take several. 1 (default): one.
    units: name -> `Unit`.
    profiles: name -> `Profile`.
    polls: name -> `timing.PollClass`, which groups, mailboxes and rings may name instead of saying `poll_ms`.
    timeout_ms: for connecting and for each answer. After a missing or a wrong answer the connection is opened anew, so
      that a late one cannot be taken for the next.
    failures_max: a unit that fails so often in a row is down (`link.down`): it is asked only every `recovery_ms` then,
      until it answers (`link.up`). Answers that say "no" (Modbus exceptions) are no failures, except a gateway's that
      it cannot reach the unit.
    recovery_ms: see above. Registers that do not exist are tried again this often, too.
    probe_apart: ask a unit that is down over a second, short connection, so that the others never wait for it. False
      for servers that take only one connection: then each attempt costs the others up to its `timeout_ms`. A serial
      line is always such a server.
    gap_registers_max: unnamed registers between two named ones that are read along to save a request. Where a device
      refuses to (exception 2), the request is parted there for good.
    read_registers_max: registers in one request, for devices that take fewer than 125.
    read_bits_max: coils or discrete inputs in one request.
    reconnect_min_ms, reconnect_max_ms: bounds of the pause between two attempts to connect, doubled each time, full
      jitter.
    """

    units: Annotated[dict[Name, Unit], msgspec.Meta(min_length=1, max_length=UNITS_MAX)]
    host: Host | None = None
    port: Port | None = None
    backups: Backups = []
    transport: Transport = "tcp"
    serial: Serial | None = None
    echo: bool = False
    tls: Tls | None = None
    in_flight_max: Annotated[int, msgspec.Meta(ge=1, le=IN_FLIGHT_MAX)] = 1
    profiles: dict[Name, Profile] = {}
    polls: dict[Name, PollClass] = {}
    timeout_ms: Milliseconds = 1_000
    failures_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    recovery_ms: Milliseconds = 10_000
    probe_apart: bool = True
    gap_registers_max: Annotated[int, msgspec.Meta(ge=0, le=REGISTERS_MAX)] = 8
    read_registers_max: Annotated[int, msgspec.Meta(ge=1, le=REGISTERS_MAX)] = REGISTERS_MAX
    read_bits_max: Annotated[int, msgspec.Meta(ge=1, le=BITS_MAX)] = BITS_MAX
    reconnect_min_ms: Milliseconds = 100
    reconnect_max_ms: Milliseconds = 15_000

    def profile_of(self, unit: Unit) -> Profile:
        """What the unit has: its own layout, or that of the profile that it names."""
        return self.profiles[unit.profile] if unit.profile is not None else unit

    def endpoint_of(self, unit: Unit) -> Endpoint:
        """The connection that the unit is behind. Units with equal ones share it."""
        if self.transport == "rtu":
            return Endpoint(self.transport, (), None, self.serial)
        port = self.port or (PORT if self.tls is None else PORT_TLS)
        first = (unit.host or self.host or "", unit.port or port)
        backups = unit.backups if unit.host is not None else self.backups
        others = [address for text in backups if (address := parse_address(text, first[1])) is not None]
        return Endpoint(self.transport, (first, *others), self.tls)

    def timing_of(self, layout: Group | Mailbox | Ring) -> PollClass:
        if layout.poll is not None:
            return self.polls[layout.poll]
        return PollClass(poll_ms=layout.poll_ms or 1_000, overdue="ignore")

    def faults(self) -> Iterator[Fault]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        if self.reconnect_max_ms < self.reconnect_min_ms:
            yield "reconnect_max_ms", f"at least reconnect_min_ms: {self.reconnect_min_ms}"
        yield from self.connection_faults()
        for name, profile in self.profiles.items():
            for path, fault in profile.misfits(self.polls):
                yield f"profiles.{name}.{path}".rstrip("."), fault
        numbered: dict[str, str] = {}
        for name, unit in self.units.items():
            for path, fault in self._unit_faults(unit):
                yield f"units.{name}.{path}".rstrip("."), fault
            for place, src in self._numbered(name, unit):
                if src in numbered:
                    yield (
                        f"{place}.src",
                        f"{src} already numbers the records of {numbered[src]}: give it a src of its own",
                    )
                numbered[src] = place

    def connection_faults(self) -> Iterator[Fault]:
        yield from backup_faults(self.backups)
        if (self.transport == "rtu") != (self.serial is not None):
            yield "serial", 'transport = "rtu" needs it, no other transport has it'
        if self.transport == "rtu" and self.host is not None:
            yield "host", "a serial line has none"
        if self.transport == "tcp" and self.echo:
            yield "echo", "the frames of Modbus TCP carry a number anyway"
        if self.transport != "tcp":
            if self.tls is not None:
                yield "tls", 'only with transport = "tcp"'
            if self.in_flight_max > 1:
                yield "in_flight_max", "serial frames carry no number that would tell two answers apart"

    def _unit_faults(self, unit: Unit) -> Iterator[Fault]:
        if unit.profile is None:
            yield from unit.misfits(self.polls)
        elif unit.profile not in self.profiles:
            yield "profile", f"there is no profile {unit.profile}: one of {listed(self.profiles)}"
        elif unit.has_own_layout:
            yield "profile", "the unit has what the profile says: leave its own registers, groups, ... out"
        yield from backup_faults(unit.backups)
        if self.transport == "rtu":
            if unit.host is not None:
                yield "host", "a serial line has none"
        elif unit.host is None:
            if self.host is None:
                yield "host", "where is it? host of the source, or of each unit"
            if unit.backups or unit.port is not None:
                yield "host", "port and backups of a unit go with a host of its own"

    def _numbered(self, name: str, unit: Unit) -> Iterator[tuple[str, str]]:
        if unit.profile is not None and unit.profile not in self.profiles:
            return
        for path, layout in self.profile_of(unit).layouts:
            if not isinstance(layout, Group):
                yield f"units.{name}.{path}", layout.src or unit.src


def _timing_faults(layout: Group | Mailbox | Ring, polls: dict[str, PollClass]) -> Iterator[Fault]:
    if (layout.poll_ms is None) == (layout.poll is None):
        yield "poll_ms", "how often? Either poll_ms or poll, the name of a poll class"
    elif layout.poll is not None and layout.poll not in polls:
        yield "poll", f"there is no poll class {layout.poll}: one of {listed(polls)}"
