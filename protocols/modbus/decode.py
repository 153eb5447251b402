"""Registers -> values, as the site file describes them. Synchronous and pure.

A register is 16 bits, sent high byte first (MODBUS Application Protocol 1.1b3, section 4.2). How wider values and texts
lie in several of them is the maker's choice, hence `word_order` and `byte_order`.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.errors import DecodeError
from protocols.modbus.registers import Register, bit_range

Value = bool | int | float | str | None
"""None: the register was read and holds no value (an empty string, a float that is not a number)."""

Values = dict[str, Value]

_FORMATS = {
    "uint16": ">H", "int16": ">h", "bool": ">H", "bits": ">H",
    "uint32": ">I", "int32": ">i", "uint64": ">Q", "int64": ">q",
    "float32": ">f", "float64": ">d",
}  # fmt: skip


def words_of(payload: bytes) -> array[int]:
    """The registers in an answer's payload, without an object for each."""
    words = array("H", payload)
    if sys.byteorder == "little":
        words.byteswap()
    return words


def decode_registers(
    registers: Mapping[str, Register], words: Sequence[int], start: int
) -> tuple[Values, dict[str, str]]:
    """Values of all `registers`, and name -> what is wrong for those that do not fit their description.

    `words`: what was read from address `start` on; covers every one of `registers`.
    """
    values: Values = {}
    faults: dict[str, str] = {}
    for name, register in registers.items():
        first = register.address - start
        raw = struct.pack(f">{register.width}H", *words[first : first + register.width])
        take_register(name, register, raw, values, faults)
    return values, faults


def take_register(name: str, register: Register, raw: bytes, values: Values, faults: dict[str, str]) -> None:
    """Its value and those of its named bits, or what is wrong with it. `raw`: see `decode_register`."""
    try:
        values[name] = decode_register(register, raw)
    except DecodeError as error:
        faults[name] = f"{name}: {error.cause}"
    if register.bits:
        values.update(decode_bits(register, raw))


def decode_register(register: Register, raw: bytes) -> Value:
    """One value. `raw`: the bytes of its registers as they came. Raises DecodeError for a text that is none."""
    if register.type == "string":
        return _text(register, raw)
    (number,) = struct.unpack(_FORMATS[register.type], _most_significant_first(register, raw))
    if register.type == "bool":
        return bool(number)
    return _scaled(number, register)


def decode_bits(register: Register, raw: bytes) -> Values:
    """The named bits of a `bits` register: booleans, and integers for ranges of bits."""
    word = int.from_bytes(_most_significant_first(register, raw), "big")
    values: Values = {}
    for name, position in register.bits.items():
        if isinstance(position, int):
            values[name] = bool(word >> position & 1)
        else:
            low, high = bit_range(position)
            values[name] = word >> low & (1 << high - low + 1) - 1
    return values


def _most_significant_first(register: Register, raw: bytes) -> bytes:
    if register.byte_order == "big":
        return raw if register.word_order == "big" else _swapped(raw[::-1])
    return _swapped(raw) if register.word_order == "big" else raw[::-1]


def _swapped(raw: bytes) -> bytes:
    """The two bytes of each register exchanged."""
    swapped = bytearray(raw)
    swapped[0::2], swapped[1::2] = raw[1::2], raw[0::2]
    return bytes(swapped)


def _scaled(number: int | float, register: Register) -> int | float | None:
    scale, offset = register.scale, register.offset
    if isinstance(number, int):
        if isinstance(scale, int) and isinstance(offset, int):
            return number * scale + offset
        # in decimal: 3 * 0.1 is 0.3, and 20 * 0.1 is the whole number 2
        exact = Decimal(number) * Decimal(repr(scale)) + Decimal(repr(offset))
        return int(exact) if exact == exact.to_integral_value() else float(exact)
    scaled = number * scale + offset
    return scaled if math.isfinite(scaled) else None


def _text(register: Register, raw: bytes) -> str | None:
    ordered = raw if register.byte_order == "big" else _swapped(raw)
    content = ordered[: register.length_bytes].split(b"\0", 1)[0]
    try:
        text = content.decode(register.encoding)
    except UnicodeDecodeError:
        raise DecodeError(f"not {register.encoding}") from None
    match register.trim:
        case "both":
            text = text.strip()
        case "left":
            text = text.lstrip()
        case "right":
            text = text.rstrip()
    return text or None
