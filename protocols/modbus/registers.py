"""Named values in registers, as the site file describes them, and what `check` says about their descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

REGISTERS_MAX = 125  # one read of registers, MODBUS Application Protocol 1.1b3, sections 6.3 and 6.4
BITS_MAX = 2_000  # one read of coils or discrete inputs, sections 6.1 and 6.2

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$",
        max_length=64,
        description="a name of letters, digits, _ and - that begins with a letter or _",
    ),
]
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


BitRange = Annotated[str, msgspec.Meta(pattern=r"^\d{1,2}\.\.\d{1,2}$", description="a range of bits, such as 4..7")]


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


def register_faults(table: str, registers: Registers) -> Iterator[tuple[str, str]]:
    for name, entry in registers.items():
        for path, fault in as_register(entry).misfits():
            yield f"{table}.{name}.{path}", fault


def value_faults(*tables: Registers | dict[str, int]) -> Iterator[tuple[str, str]]:
    names = value_names(*tables)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "", f"the name {name} stands for two values: rename one"


def listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
