"""How machines show what happened, as the site file describes it: groups of registers, mailboxes, rings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from protocols.mapping.faults import record_faults
from protocols.mapping.settings import RecordSettings
from protocols.modbus.registers import (
    REGISTERS_MAX,
    Address,
    Milliseconds,
    Name,
    Registers,
    RegisterTable,
    Src,
    as_register,
    register_faults,
    value_faults,
    value_names,
)


class Trigger(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """When a poll of a group makes a record.

    on: `"change"` of `register`'s value, its `"rising"` or `"falling"` edge (a coil, a discrete input, a `bool` or one
      bit of `bits`), or every `"poll"` (no `register`). The first poll after connecting makes no record for the first
      three: it is the state, not an event. Nor does a change to no value (an empty string).
    debounce_ms: the watched value must have been the same for so long before it counts; a flicker in between is no
      event. The record then holds what the registers show at that moment. 0 (default): it counts at once.
    register: the name of the value that is watched.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols). The paths are the
      names of the group's registers and bits. `src` is the unit's unless the table has its own.
    """

    on: Literal["change", "rising", "falling", "poll"]
    record: RecordSettings
    register: Name | None = None
    debounce_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 0


class Group(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Registers that are polled together. Neighbours are read in one request and so are consistent with each other;
    what lies in several requests may not be. Requests that hold a trigger's register go first: a machine that sets its
    trigger last is never read too early.

    poll_ms: how often. Or
    poll: the name of a poll class, which says how often and more (`timing.PollClass`).
    triggers: a list, `[[...groups.NAME.triggers]]`: see `Trigger`.
    registers: the names to read, beside those that triggers watch; default: all of the unit.
    """

    triggers: Annotated[list[Trigger], msgspec.Meta(min_length=1)]
    registers: list[Name] = []
    poll_ms: Milliseconds | None = None
    poll: Name | None = None


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
    poll_ms, poll: how often the block is read. After an acknowledgement it is read at once.
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

    seq: Address
    seq2: Address
    registers: Registers
    record: RecordSettings
    poll_ms: Milliseconds | None = None
    poll: Name | None = None
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

    src, table, poll_ms, poll, epoch: as in a mailbox.
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

    head: Address
    size: Annotated[int, msgspec.Meta(ge=1, le=32_768)]
    records: Address
    width: Annotated[int, msgspec.Meta(ge=1, le=REGISTERS_MAX)]
    registers: Registers
    record: RecordSettings
    poll_ms: Milliseconds | None = None
    poll: Name | None = None
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


def _numbered_faults(block: Mailbox | Ring) -> Iterator[tuple[str, str]]:
    """What mailboxes and rings share."""
    yield from register_faults("registers", block.registers)
    yield from value_faults(block.registers)
    for field in ("src", "epoch", "seq"):
        if field in block.record:
            yield f"record.{field}", "comes from the mailbox or ring: leave it out (its source: the option src)"
    yield from record_faults(block.record, constants={"src": "src"}, names=value_names(block.registers))
