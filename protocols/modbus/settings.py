"""The site file's `[sources.NAME]` with `protocol = "modbus"`: one Modbus TCP server (a PLC or a gateway) and what is
read from its units.

    [sources.plc]                                one connection: host, port, time limits
    [sources.plc.units.SCALE]                    one unit: its id, the source that it speaks for
    [sources.plc.units.SCALE.holding]            named registers; also input, coil, discrete
    [sources.plc.units.SCALE.groups.weighing]    registers polled together, and what makes a record of them
    [sources.plc.units.SORTER.mailboxes.events]  one record at a time, acknowledged by writing a register
    [sources.plc.units.CRANE.rings.moves]        a buffer of the last records, read behind its head

Addresses are those of the protocol, from 0. A manual's "40101" is `address = 100` in `holding`, its "30101"
`address = 100` in `input`. Nothing is read that is not named here, nothing is written but the registers named `ack`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from protocols.mapping.faults import record_faults
from protocols.mapping.settings import RecordSettings

REGISTERS_MAX = 125  # one read of registers, MODBUS Application Protocol 1.1b3, sections 6.3 and 6.4
BITS_MAX = 2_000  # one read of coils or discrete inputs, sections 6.1 and 6.2

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=64)]
Src = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Address = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=3_600_000)]
Type = Literal[
    "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64", "bool", "string", "bits"
]  # fmt: skip
Order = Literal["big", "little"]
RegisterTable = Literal["holding", "input"]
Table = Literal["holding", "input", "coil", "discrete"]

WIDTHS: dict[str, int] = {
    "uint16": 1, "int16": 1, "bool": 1, "bits": 1,
    "uint32": 2, "int32": 2, "float32": 2,
    "uint64": 4, "int64": 4, "float64": 4,
}  # fmt: skip
"""Type -> how many registers it takes; a string takes as many as its `length_bytes` needs."""


BitRange = Annotated[str, msgspec.Meta(pattern=r"^\d{1,2}\.\.\d{1,2}$")]


class Register(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One named value in one or more neighbouring registers. A bare number instead of the table is a `uint16` there.

    address: of its first register, from 0. In a ring: counted from the first register of each record.
    type: `uint16` (default) `int16` `uint32` `int32` `uint64` `int64` `float32` `float64` `bool` `string` `bits`.
      `bool` is true unless the register is 0. A float that is not a number is no value.
    word_order: which register of a wider value comes first: `"big"` (default) the most significant, `"little"` the
      least.
    byte_order: inside each register: `"big"` (default, as the protocol says) or `"little"`. For a string `"big"` has
      its first character in the high byte. The four usual names: ABCD big big, CDAB little big, BADC big little, DCBA
      little little (word order, byte order).
    scale, offset: the value is raw * scale + offset. Whole numbers as long as all three are.
    length_bytes: of a string, in bytes; it takes half as many registers, rounded up.
    trim: of a string: `"both"` (default), `"left"`, `"right"` or `"none"`: which blanks go. A string always ends at its
      first NUL. An empty one is no value.
    encoding: of a string: `"ascii"` (default), `"latin-1"`, `"utf-8"`.
    bits: with type `bits`: name -> bit of the register, 0 the least significant: `{ ready = 0, jam = 3 }` gives
      booleans, `{ lane = "4..7" }` the number in bits 4 to 7. Each is a value of its own under its own name, beside
      the whole register as an integer.
    """

    address: Address
    type: Type = "uint16"
    word_order: Order = "big"
    byte_order: Order = "big"
    scale: int | float = 1
    offset: int | float = 0
    length_bytes: Annotated[int, msgspec.Meta(ge=1, le=2 * REGISTERS_MAX)] | None = None
    trim: Literal["both", "left", "right", "none"] = "both"
    encoding: Literal["ascii", "latin-1", "utf-8"] = "ascii"
    bits: dict[Name, Annotated[int, msgspec.Meta(ge=0, le=15)] | BitRange] = {}

    @property
    def width(self) -> int:
        """How many registers it takes."""
        return WIDTHS[self.type] if self.type != "string" else ((self.length_bytes or 1) + 1) // 2

    def misfits(self) -> Iterator[tuple[str, str]]:
        if self.address + self.width > 65_536:
            yield "address", "the value reaches beyond register 65535"
        if (self.type == "string") != (self.length_bytes is not None):
            yield "length_bytes", "a string needs it, no other type has it"
        if (self.type == "bits") != bool(self.bits):
            yield "bits", 'type = "bits" needs it, no other type has it'
        if self.type in ("string", "bool", "bits") and (self.scale != 1 or self.offset != 0):
            yield "scale", f"a {self.type} cannot be scaled"
        for name, position in self.bits.items():
            if isinstance(position, str):
                low, high = bit_range(position)
                if not low <= high <= 15:
                    yield f"bits.{name}", f'"{position}" is not a range of bits: "low..high", 0 to 15'


Registers = dict[Name, Register | Address]


def bit_range(text: str) -> tuple[int, int]:
    """`"4..7"` -> (4, 7)."""
    low, high = text.split("..")
    return int(low), int(high)


def as_register(entry: Register | int) -> Register:
    """The long form of an entry of a register table."""
    return entry if isinstance(entry, Register) else Register(address=entry)


class Trigger(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """When a poll of a group makes a record.

    on: `"change"` of `register`'s value, its `"rising"` or `"falling"` edge (a coil, a discrete input, a `bool` or one
      bit of `bits`), or every `"poll"` (no `register`). The first poll after connecting makes no record for the first
      three: it is the state, not an event. Nor does a change to no value (an empty string).
    register: the name of the value that is watched.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols). The paths are the
      names of the group's registers and bits. `src` is the unit's unless the table has its own.
    """

    on: Literal["change", "rising", "falling", "poll"]
    record: RecordSettings
    register: Name | None = None


class Group(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Registers that are polled together. Neighbours are read in one request and so are consistent with each other;
    what lies in several requests may not be. Requests that hold a trigger's register go first: a machine that sets its
    trigger last is never read too early.

    poll_ms: how often.
    triggers: a list, `[[...groups.NAME.triggers]]`: see `Trigger`.
    registers: the names to read, beside those that triggers watch; default: all of the unit.
    """

    poll_ms: Milliseconds
    triggers: Annotated[list[Trigger], msgspec.Meta(min_length=1)]
    registers: list[Name] = []


class Mailbox(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One record at a time, handed over with a counter: a block `seq, ..., seq2` of registers and an acknowledgement.

    The machine writes a record's fields, then increments both counters; it puts in the next record when the
    acknowledgement register shows the number of this one. The block is read in one request. If `seq` and `seq2` differ
    the machine was writing: it is read again. A number that is new makes a record whose `seq` is that number with its
    wraps undone; once the record is durable, `seq` as it was read is written to `ack`. A number equal to `ack` is
    nothing new, so that a machine which has never sent anything shows 0 everywhere. A number that jumps by more than
    one becomes a `source.gap`. After a restart, a record that had been accepted but not acknowledged is recognised and
    only acknowledged.

    src: the source that records, gaps and link states are reported for; default: the unit's. Each mailbox and each ring
      numbers its records, so no two may share one.
    table: `"holding"` (default) or `"input"`.
    poll_ms: how often the block is read. After an acknowledgement it is read at once.
    seq, seq2: addresses of the counter and of its copy, unsigned 16 bit: the first and the last register of the block,
      at most 125 registers apart.
    ack: address of the holding register that is written. Absent: the machine does not wait, and what it overwrites
      between two polls becomes a `source.gap`.
    write_function: 6 (default, write single register) or 16 (for machines that know only write multiple registers).
    wrap: how many numbers the counter has. 65536 (default): 65535 is followed by 0.
    first: the number that follows a wrap; 0 (default), or 1 for machines that keep 0 for "empty" (then `wrap` is 65535
      at most).
    rereads: how often a torn block is read again at once, before the next poll tries.
    epoch: address (same table) of a counter of the machine's restarts, anywhere: read first, then the block. A new one
      starts the numbering anew. Without it a number that goes back does: a step back of up to a quarter of `wrap`, or
      a leap of more than a sixteenth that ends at 0 or 1 (in a ring: not above `size`).
    registers: the fields, by their addresses, between `seq` and `seq2`.
    record: canonical field -> where it comes from (the mapping language). The paths are the names in `registers`;
      `src`, `epoch` and `seq` come from the mailbox.
    """

    poll_ms: Milliseconds
    seq: Address
    seq2: Address
    registers: Registers
    record: RecordSettings
    ack: Address | None = None
    src: Src | None = None
    table: RegisterTable = "holding"
    write_function: Literal[6, 16] = 6
    wrap: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 65_536
    first: Literal[0, 1] = 0
    rereads: Annotated[int, msgspec.Meta(ge=0, le=20)] = 3
    epoch: Address | None = None

    def misfits(self) -> Iterator[tuple[str, str]]:
        if not self.seq < self.seq2 < self.seq + REGISTERS_MAX:
            yield "seq2", f"comes after seq and at most {REGISTERS_MAX - 1} registers behind it"
        if self.first + self.wrap > 65_536:
            yield "wrap", "with first = 1 at most 65535"
        if self.ack is not None and self.table == "holding" and self.seq <= self.ack <= self.seq2:
            yield "ack", "lies inside the block seq..seq2: the machine would read its own counter"
        for name, entry in self.registers.items():
            register = as_register(entry)
            if not self.seq < register.address <= register.address + register.width - 1 < self.seq2:
                yield f"registers.{name}", f"lies outside the block: registers {self.seq + 1} to {self.seq2 - 1}"
        yield from _numbered_faults(self)


class Ring(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The last `size` records of a machine, of fixed width, written in a circle.

    `head` counts the records written so far; record n (from 0) lies in slot n modulo `size`. The machine writes the
    record, then increments `head`. What is new since the last poll is read in order, a record's `seq` is its n with the
    wraps of `head` undone. If more than `size` were written meanwhile, the lost ones become a `source.gap` with their
    exact range. `head` is read again after the records, so that one which was overwritten while it was read is dropped
    and counted as lost.

    src, table, poll_ms, epoch: as in a mailbox.
    head: address of the counter, unsigned 16 bit.
    size: how many records the ring holds; must divide `wrap`.
    size_address: a register that says the size, read together with `head`: if it differs from `size` the ring is not
      read and the fault named.
    records: address of the first register of slot 0.
    width: registers from one record to the next.
    ack: address of a holding register (a tail) that the head as far as records are durable is written to, for machines
      that wait for their reader. At the first contact with a source reading starts there.
    write_function: as in a mailbox.
    wrap: how many values `head` has. 65536 (default): 65535 is followed by 0.
    backlog: at the first contact with a source that was never read, and without `ack`: read what the ring still holds
      (true, default) or only what comes from now on.
    registers: the fields of a record, their addresses counted from its first register.
    record: as in a mailbox.
    """

    poll_ms: Milliseconds
    head: Address
    size: Annotated[int, msgspec.Meta(ge=1, le=32_768)]
    records: Address
    width: Annotated[int, msgspec.Meta(ge=1, le=REGISTERS_MAX)]
    registers: Registers
    record: RecordSettings
    size_address: Address | None = None
    ack: Address | None = None
    src: Src | None = None
    table: RegisterTable = "holding"
    write_function: Literal[6, 16] = 6
    wrap: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 65_536
    epoch: Address | None = None
    backlog: bool = True

    def misfits(self) -> Iterator[tuple[str, str]]:
        if self.wrap % self.size or self.size >= self.wrap:
            yield "size", f"must divide wrap ({self.wrap}) and be less: the slots would change their places at a wrap"
        if self.records + self.size * self.width > 65_536:
            yield "records", "the last slot reaches beyond register 65535"
        for name, entry in self.registers.items():
            register = as_register(entry)
            if register.address + register.width > self.width:
                yield f"registers.{name}", f"lies outside the record: registers 0 to {self.width - 1}"
        yield from _numbered_faults(self)


class Unit(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One unit behind the connection. A PLC that is several machines may be several tables with the same `unit`.

    unit: its id (slave address), 0 to 255. Servers that are no gateway mostly answer to 1, some only to 0 or 255.
    src: the source that link states and records are reported for.
    holding, input: register tables, name -> `Register`. Read with functions 3 and 4.
    coil, discrete: name -> address of the bit. Read with functions 1 and 2. A name is used once in a unit.
    groups, mailboxes, rings: what is read; see `Group`, `Mailbox`, `Ring`.
    timeout_ms: for an answer; default: the connection's.
    gap_registers_max, read_registers_max: default: the connection's.
    """

    unit: Annotated[int, msgspec.Meta(ge=0, le=255)]
    src: Src
    holding: Registers = {}
    input: Registers = {}
    coil: dict[Name, Address] = {}
    discrete: dict[Name, Address] = {}
    groups: dict[Name, Group] = {}
    mailboxes: dict[Name, Mailbox] = {}
    rings: dict[Name, Ring] = {}
    timeout_ms: Milliseconds | None = None
    gap_registers_max: Annotated[int, msgspec.Meta(ge=0, le=REGISTERS_MAX)] | None = None
    read_registers_max: Annotated[int, msgspec.Meta(ge=1, le=REGISTERS_MAX)] | None = None

    def misfits(self) -> Iterator[tuple[str, str]]:
        if not self.groups and not self.mailboxes and not self.rings:
            yield "", "nothing to read: add groups, mailboxes or rings"
        yield from _register_faults("holding", self.holding)
        yield from _register_faults("input", self.input)
        yield from _value_faults(self.holding, self.input, self.coil, self.discrete)
        values = value_names(self.holding, self.input, self.coil, self.discrete)
        flags = flag_names(self.holding, self.input, self.coil, self.discrete)
        for name, group in self.groups.items():
            for path, fault in _group_faults(group, values, flags, self):
                yield f"groups.{name}.{path}", fault
        for table, blocks in (("mailboxes", self.mailboxes), ("rings", self.rings)):
            for name, block in blocks.items():
                for path, fault in block.misfits():
                    yield f"{table}.{name}.{path}", fault


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One Modbus TCP server. All its units share one connection, one request at a time, as most devices want it.

    host, port: where it is. Modbus has no encryption and no password: keep it inside the machines' network.
    units: name -> `Unit`.
    timeout_ms: for connecting and for each answer. After a missing or a wrong answer the connection is opened anew, so
      that a late one cannot be taken for the next.
    failures_max: a unit that fails so often in a row is down (`link.down`): it is asked only every `recovery_ms` then,
      until it answers (`link.up`). Answers that say "no" (Modbus exceptions) are no failures, except a gateway's that
      it cannot reach the unit.
    recovery_ms: see above. Registers that do not exist are tried again this often, too.
    probe_apart: ask a unit that is down over a second, short connection, so that the others never wait for it. False
      for servers that take only one connection: then each attempt costs the others up to its `timeout_ms`.
    gap_registers_max: unnamed registers between two named ones that are read along to save a request.
    read_registers_max: registers in one request, for devices that take fewer than 125.
    read_bits_max: coils or discrete inputs in one request.
    reconnect_min_ms, reconnect_max_ms: bounds of the pause between two attempts to connect, doubled each time, full
      jitter.
    """

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    units: Annotated[dict[Name, Unit], msgspec.Meta(min_length=1, max_length=256)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 502
    timeout_ms: Milliseconds = 1_000
    failures_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 3
    recovery_ms: Milliseconds = 10_000
    probe_apart: bool = True
    gap_registers_max: Annotated[int, msgspec.Meta(ge=0, le=REGISTERS_MAX)] = 8
    read_registers_max: Annotated[int, msgspec.Meta(ge=1, le=REGISTERS_MAX)] = REGISTERS_MAX
    read_bits_max: Annotated[int, msgspec.Meta(ge=1, le=BITS_MAX)] = BITS_MAX
    reconnect_min_ms: Milliseconds = 100
    reconnect_max_ms: Milliseconds = 30_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        if self.reconnect_max_ms < self.reconnect_min_ms:
            yield "reconnect_max_ms", f"at least reconnect_min_ms: {self.reconnect_min_ms}"
        numbered: dict[str, str] = {}
        for name, unit in self.units.items():
            for path, fault in unit.misfits():
                yield f"units.{name}.{path}".rstrip("."), fault
            for place, src in _numbered(f"units.{name}", unit):
                if src in numbered:
                    yield (
                        f"{place}.src",
                        f"{src} already numbers the records of {numbered[src]}: give it a src of its own",
                    )
                numbered[src] = place


def _numbered(place: str, unit: Unit) -> Iterator[tuple[str, str]]:
    for name, mailbox in unit.mailboxes.items():
        yield f"{place}.mailboxes.{name}", mailbox.src or unit.src
    for name, ring in unit.rings.items():
        yield f"{place}.rings.{name}", ring.src or unit.src


def value_names(*tables: Registers | dict[str, int]) -> list[str]:
    """The names of all values of these tables: registers and the bits in them, in order, with repetitions."""
    names = []
    for table in tables:
        for name, entry in table.items():
            names.append(name)
            if isinstance(entry, Register):
                names.extend(entry.bits)
    return names


def flag_names(holding: Registers, inputs: Registers, coil: dict[str, int], discrete: dict[str, int]) -> set[str]:
    """The names of the values that are true or false."""
    flags = {*coil, *discrete}
    for name, entry in (*holding.items(), *inputs.items()):
        if isinstance(entry, Register):
            flags.update(bit for bit, position in entry.bits.items() if isinstance(position, int))
            if entry.type == "bool":
                flags.add(name)
    return flags


def _register_faults(table: str, registers: Registers) -> Iterator[tuple[str, str]]:
    for name, entry in registers.items():
        for path, fault in as_register(entry).misfits():
            yield f"{table}.{name}.{path}", fault


def _value_faults(*tables: Registers | dict[str, int]) -> Iterator[tuple[str, str]]:
    names = value_names(*tables)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "", f"the name {name} stands for two values: rename one"


def _group_faults(group: Group, values: list[str], flags: set[str], unit: Unit) -> Iterator[tuple[str, str]]:
    registers = {*unit.holding, *unit.input, *unit.coil, *unit.discrete}
    for index, name in enumerate(group.registers):
        if name not in registers:
            yield f"registers[{index}]", f"{name} is no register of the unit: one of {_listed(registers)}"
    for index, trigger in enumerate(group.triggers):
        for path, fault in record_faults(trigger.record, constants={"src": unit.src}, names=values):
            yield f"triggers[{index}].{path}", fault
        place = f"triggers[{index}].register"
        if trigger.on == "poll":
            if trigger.register is not None:
                yield place, 'on = "poll" makes a record at every poll: leave register out'
        elif trigger.register not in values:
            yield place, f"on = {trigger.on!r} needs one of {_listed(values)}"
        elif trigger.on != "change" and trigger.register not in flags:
            yield place, f"{trigger.register} has no edges, it is no bit: one of {_listed(flags)}, or on = 'change'"


def _numbered_faults(block: Mailbox | Ring) -> Iterator[tuple[str, str]]:
    """What mailboxes and rings share."""
    yield from _register_faults("registers", block.registers)
    yield from _value_faults(block.registers)
    for field in ("src", "epoch", "seq"):
        if field in block.record:
            yield f"record.{field}", "comes from the mailbox or ring: leave it out (its source: the option src)"
    yield from record_faults(block.record, constants={"src": "src"}, names=value_names(block.registers))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
