"""Which bytes are the answer to a request, and what is wrong with all others."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.modbus.answer import Request, answer_fault, parse_request

READ = Request(transaction=7, unit=3, function=3, address=100, quantity=2)
BITS = Request(transaction=7, unit=3, function=1, address=0, quantity=9)
WRITE = Request(transaction=7, unit=3, function=6, address=120, quantity=1, value=5)
WRITE_MANY = Request(transaction=7, unit=3, function=16, address=120, quantity=1)


def frame(body: bytes, transaction: int = 7, unit: int = 3, protocol: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(body) + 1 if length is None else length, unit) + body


GOOD = frame(b"\x03\x04\0\x01\0\x02")


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (READ, GOOD),
        (READ, frame(b"\x83\x02")),
        (BITS, frame(b"\x01\x02\xff\x01")),
        (WRITE, frame(b"\x06\0\x78\0\x05")),
        (WRITE_MANY, frame(b"\x10\0\x78\0\x01")),
    ],
)
def test_the_answer_is_the_answer_whole_and_at_every_cut(request_: Request, answer: bytes) -> None:
    for cut in range(len(answer) + 1):
        assert answer_fault(request_, answer[:cut]) is None


@pytest.mark.parametrize(
    ("request_", "answer", "fault"),
    [
        (READ, frame(b"\x03\x04\0\x01\0\x02", transaction=6), "wrong transaction"),
        (READ, frame(b"\x03\x04\0\x01\0\x02", transaction=0), "wrong transaction"),
        (READ, frame(b"\x03\x04\0\x01\0\x02", protocol=1), "wrong protocol id"),
        (READ, frame(b"\x03\x04\0\x01\0\x02", unit=4), "wrong unit"),
        (READ, frame(b"\x04\x04\0\x01\0\x02"), "wrong function"),
        (READ, frame(b"\x84\x02"), "wrong function"),
        (READ, frame(b"\x03\x02\0\x01"), "wrong length"),
        (READ, frame(b"\x03\x06\0\x01\0\x02\0\x03"), "wrong length"),
        (READ, frame(b"\x03\x02\0\x01\0\x02"), "wrong byte count"),
        (READ, frame(b"\x03\x04\0\x01\0\x02", length=60_000), "wrong length"),
        (READ, frame(b"\x83\x02\x02"), "wrong length"),
        (READ, GOOD + b"\0", "more bytes"),
        (READ, b"HTTP/1.1 400 Bad Request", "wrong protocol id"),
        (READ, b"HT", "not a Modbus header"),
        (BITS, frame(b"\x01\x01\xff"), "wrong length"),
        (WRITE, frame(b"\x06\0\x78\0\x06"), "another write"),
        (WRITE, frame(b"\x06\0\x79\0\x05"), "another write"),
        (WRITE_MANY, frame(b"\x10\0\x78\0\x02"), "another write"),
    ],
)
def test_what_is_not_exactly_the_answer_is_a_fault(request_: Request, answer: bytes, fault: str) -> None:
    assert fault in str(answer_fault(request_, answer))


@given(st.binary(max_size=300))
def test_no_bytes_break_the_check(data: bytes) -> None:
    fault = answer_fault(READ, data)
    assert fault is None or fault.isascii()


@given(st.binary(min_size=1, max_size=40))
def test_a_fault_seen_in_a_part_is_a_fault_of_the_whole(data: bytes) -> None:
    faulty = False
    for cut in range(len(data) + 1):
        found = answer_fault(READ, data[:cut]) is not None
        assert found or not faulty
        faulty = found


def test_the_request_is_read_from_the_bytes_that_are_sent() -> None:
    assert parse_request(bytes.fromhex("0007 0000 0006 03 03 0064 0002")) == READ
    assert parse_request(bytes.fromhex("0007 0000 0006 03 06 0078 0005")) == WRITE
    assert parse_request(bytes.fromhex("0007 0000 0009 03 10 0078 0001 02 0005")) == WRITE_MANY
