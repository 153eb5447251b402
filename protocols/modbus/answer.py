"""Is this the answer to that request? Checked on the bytes, before pymodbus decodes them. Pure.

pymodbus 3.16 takes for a success: too few or too many registers, an answer of another function, one with transaction 0;
it waits for ever after a wrong protocol id, and skips stale answers so that each later one may be stale too. Here
everything that is not exactly the answer is a fault, and the connection is opened anew.

Wire format: MODBUS Messaging on TCP/IP Implementation Guide 1.0b, section 3.1.3 (MBAP header: transaction, protocol,
length, unit) and MODBUS Application Protocol 1.1b3, section 6.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER_BYTES = 7
ERROR_FLAG = 0x80


class Request(NamedTuple):
    """What was asked. `function`: 1 to 4 read `quantity` bits or registers; 6 and 16 write `value` to `address`."""

    transaction: int
    unit: int
    function: int
    address: int
    quantity: int
    value: int = 0


def parse_request(frame: bytes) -> Request:
    """The request in a frame that is about to be sent: so the transaction is the one that is really on the wire."""
    transaction, _, _, unit, function, address, last = struct.unpack(">HHHBBHH", frame[:12])
    if function == 6:
        return Request(transaction, unit, function, address, 1, last)
    return Request(transaction, unit, function, address, last)


def answer_fault(request: Request, data: bytes) -> str | None:
    """What is wrong with what came so far; None if it is the answer, or may become it.

    The texts are stable and hold no payload.
    """
    if len(data) < HEADER_BYTES + 1:
        return None if _may_begin(request, data) else "not a Modbus header"
    transaction, protocol, length, unit, function = struct.unpack(">HHHBB", data[: HEADER_BYTES + 1])
    if protocol != 0:
        return "wrong protocol id"
    if transaction != request.transaction:
        return "wrong transaction: a late or foreign answer"
    if unit != request.unit:
        return "wrong unit"
    if function & ~ERROR_FLAG != request.function:
        return "wrong function"
    expected = _length(request, function)
    if length != expected:
        return "wrong length"
    if len(data) > HEADER_BYTES - 1 + expected:
        return "more bytes than the answer"
    return _body_fault(request, function, data[HEADER_BYTES + 1 :])


def _may_begin(request: Request, data: bytes) -> bool:
    header = struct.pack(">HH", request.transaction, 0)
    return data[:4] == header[: len(data[:4])]


def _length(request: Request, function: int) -> int:
    """The MBAP length: unit, function and body."""
    if function & ERROR_FLAG:
        return 3
    return 3 + _body_bytes(request) if request.function <= 4 else 6


def _body_bytes(request: Request) -> int:
    return (request.quantity + 7) // 8 if request.function <= 2 else 2 * request.quantity


def _body_fault(request: Request, function: int, body: bytes) -> str | None:
    if function & ERROR_FLAG or not body:
        return None
    if request.function <= 4:
        return None if body[0] == _body_bytes(request) else "wrong byte count"
    echo = struct.pack(">HH", request.address, request.value if request.function == 6 else request.quantity)
    return None if echo.startswith(body) else "another write confirmed"
