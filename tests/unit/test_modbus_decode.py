"""Registers to values: types, orders, texts, bits; and which requests read them."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DecodeError
from protocols.modbus.decode import decode_bits, decode_register, decode_registers
from protocols.modbus.plan import Limits, Point, plan_reads, split_read
from protocols.modbus.registers import Register

LIMITS = Limits(gap_registers=4, registers=125, bits=2_000)


def register(**options: Any) -> Register:
    return msgspec.convert({"address": 0, **options}, Register)


def words(raw: bytes) -> list[int]:
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


@pytest.mark.parametrize(
    ("word_order", "byte_order", "wire"),
    [
        ("big", "big", "11 22 33 44"),
        ("little", "big", "33 44 11 22"),
        ("big", "little", "22 11 44 33"),
        ("little", "little", "44 33 22 11"),
    ],
)
def test_the_four_usual_orders_of_a_32_bit_value(word_order: str, byte_order: str, wire: str) -> None:
    described = register(type="uint32", word_order=word_order, byte_order=byte_order)
    assert decode_register(described, bytes.fromhex(wire)) == 0x11223344


NUMBERS = {
    "uint16": ("H", st.integers(0, 2**16 - 1)),
    "int16": ("h", st.integers(-(2**15), 2**15 - 1)),
    "uint32": ("I", st.integers(0, 2**32 - 1)),
    "int32": ("i", st.integers(-(2**31), 2**31 - 1)),
    "uint64": ("Q", st.integers(0, 2**64 - 1)),
    "int64": ("q", st.integers(-(2**63), 2**63 - 1)),
    "float32": ("f", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "float64": ("d", st.floats(allow_nan=False, allow_infinity=False)),
}


@given(st.data(), st.sampled_from(sorted(NUMBERS)), st.booleans(), st.booleans())
def test_every_number_comes_back_as_struct_wrote_it(data: Any, kind: str, words_swap: bool, bytes_swap: bool) -> None:
    code, numbers = NUMBERS[kind]
    number = data.draw(numbers)
    wire = words(struct.pack(f">{code}", number))
    if words_swap:
        wire = wire[::-1]
    if bytes_swap:
        wire = [word >> 8 | (word & 0xFF) << 8 for word in wire]
    described = register(
        type=kind,
        address=7,
        word_order="little" if words_swap else "big",
        byte_order="little" if bytes_swap else "big",
    )
    values, faults = decode_registers({"n": described}, [0xAAAA, 0xAAAA, *wire, 0xAAAA], 5)
    assert (values, faults) == ({"n": number}, {})


def test_a_float_that_is_not_a_number_is_no_value() -> None:
    assert decode_register(register(type="float32"), struct.pack(">f", float("nan"))) is None
    assert decode_register(register(type="float64"), struct.pack(">d", float("-inf"))) is None


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "expected"),
    [
        (3, 0.1, 0, 0.3),
        (20, 0.1, 0, 2),
        (5, 10, 3, 53),
        (250, 0.5, -40, 85),
        (1, 0.001, 0, 0.001),
    ],
)
def test_scaling_is_exact_in_decimal_and_whole_where_it_can_be(
    raw: int, scale: float, offset: float, expected: float
) -> None:
    value = decode_register(register(scale=scale, offset=offset), struct.pack(">H", raw))
    assert value == expected
    assert type(value) is type(expected)


def test_bool_is_any_bit_of_the_register() -> None:
    assert decode_register(register(type="bool"), b"\0\0") is False
    assert decode_register(register(type="bool"), b"\x80\0") is True


@pytest.mark.parametrize(
    ("raw", "options", "expected"),
    [
        (b"TOTE-7\0\0", {}, "TOTE-7"),
        (b"OTET7-  ", {"byte_order": "little"}, "TOTE-7"),
        (b" A B    ", {}, "A B"),
        (b" A B    ", {"trim": "right"}, " A B"),
        (b" A B    ", {"trim": "left"}, "A B    "),
        (b" A\0old", {"trim": "none"}, " A"),
        (b"\0\0\0\0\0\0\0\0", {}, None),
        (b"        ", {}, None),
        (b"M\xfcller  ", {"encoding": "latin-1"}, "Müller"),
        ("Mü ".encode(), {"encoding": "utf-8"}, "Mü"),
    ],
)
def test_a_string_ends_at_its_nul_and_is_trimmed(raw: bytes, options: dict[str, Any], expected: str | None) -> None:
    assert decode_register(register(type="string", length_bytes=len(raw), **options), raw) == expected


def test_a_string_of_odd_length_leaves_out_the_last_byte_of_its_registers() -> None:
    described = register(type="string", length_bytes=5)
    assert described.width == 3
    assert decode_register(described, b"ABCDE!") == "ABCDE"


def test_a_text_that_is_none_is_a_fault_of_its_own_and_the_neighbours_are_read() -> None:
    described = {"lu": register(type="string", length_bytes=2), "n": register(address=1)}
    values, faults = decode_registers(described, [0xFFFE, 5], 0)
    assert values == {"n": 5}
    assert faults == {"lu": "lu: not ascii"}
    with pytest.raises(DecodeError, match="not utf-8"):
        decode_register(register(type="string", length_bytes=2, encoding="utf-8"), b"\xff\xfe")


def test_bits_and_ranges_of_bits_are_values_of_their_own() -> None:
    described = register(type="bits", bits={"ready": 0, "jam": 3, "lane": "4..7", "top": 15})
    assert decode_bits(described, b"\x80\xa1") == {"ready": True, "jam": False, "lane": 10, "top": True}
    values, _ = decode_registers({"status": described}, [0x0051], 0)
    assert values == {"status": 0x51, "ready": True, "jam": False, "lane": 5, "top": False}


def test_bits_follow_the_byte_order() -> None:
    described = register(type="bits", byte_order="little", bits={"first": 0})
    assert decode_bits(described, b"\x01\x00") == {"first": True}


def point(name: str, address: int, width: int = 1, table: Any = "holding") -> Point:
    return Point(name, table, address, width)


def test_neighbours_are_read_in_one_request_and_small_holes_along_with_them() -> None:
    reads = plan_reads([point("c", 20), point("a", 0, 2), point("b", 6)], LIMITS)
    assert [(read.start, read.quantity) for read in reads] == [(0, 7), (20, 1)]


def test_tables_are_never_mixed_and_bits_have_their_own_limits() -> None:
    points = [point("a", 0), point("b", 1, table="input"), point("c", 0, table="coil"), point("d", 60, table="coil")]
    reads = plan_reads(points, LIMITS)
    assert [(read.table, read.quantity) for read in reads] == [("coil", 61), ("holding", 1), ("input", 1)]


def test_a_request_never_asks_for_more_than_the_device_takes_and_no_value_is_cut() -> None:
    points = [point(f"r{n}", 4 * n, 4) for n in range(40)]
    reads = plan_reads(points, LIMITS._replace(registers=10))
    assert all(read.quantity <= 10 for read in reads)
    assert [name.name for read in reads for name in read.points] == [p.name for p in points]
    assert all(read.start <= p.address and p.end <= read.start + read.quantity for read in reads for p in read.points)


def test_requests_with_a_trigger_go_first() -> None:
    reads = plan_reads([point("weight", 0), point("ready", 100)], LIMITS, first={"ready"})
    assert [read.start for read in reads] == [100, 0]


def test_values_that_overlap_are_both_read() -> None:
    (read,) = plan_reads([point("whole", 0, 4), point("half", 1)], LIMITS)
    assert (read.start, read.quantity) == (0, 4)


def test_a_refused_request_is_parted_at_its_widest_hole() -> None:
    (read,) = plan_reads([point("a", 0), point("b", 1), point("c", 5), point("d", 6)], LIMITS)
    assert [(part.start, part.quantity) for part in split_read(read)] == [(0, 2), (5, 2)]
    (read,) = plan_reads([point("a", 0)], LIMITS)
    assert split_read(read) == []


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4)), min_size=1, max_size=40))
def test_parting_ends_with_single_points_and_loses_none(places: list[tuple[int, int]]) -> None:
    points = [point(f"p{index}", address, width) for index, (address, width) in enumerate(places)]
    pending = plan_reads(points, LIMITS)
    single = []
    while pending:
        read = pending.pop()
        parts = split_read(read)
        pending.extend(parts)
        if not parts:
            single.append(read.points)
    assert sorted(p.name for (p,) in single) == sorted(p.name for p in points)
