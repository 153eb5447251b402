"""Any cut of a server's frames gives the same payload; no bytes make it fail in another way than by saying so."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.websocket_frames import BINARY, FrameFault, Unframer, frame

ROOM_BYTES = 512
CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10


def wire(opcode: int, payload: bytes, last: bool = True) -> bytes:
    """A frame as a server sends it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + struct.pack(">H", size) if size < 65_536 else b"\x7f" + struct.pack(">Q", size)
    return bytes([opcode | 0x80 * last]) + length + payload


Found = tuple[bytes, bytes | None, bytes | None]


def unframe(pieces: Iterable[bytes]) -> Found:
    unframer, found = Unframer(), b""
    room = memoryview(bytearray(ROOM_BYTES))
    for piece in pieces:
        for at in range(0, len(piece), ROOM_BYTES):
            part = piece[at : at + ROOM_BYTES]
            room[: len(part)] = part
            found += room[: unframer.strip(room, len(part))]
    return found, unframer.ping, unframer.closed


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


PIECES = st.lists(st.binary(max_size=30) | st.integers(120, 70_000).map(bytes), min_size=1, max_size=4)
MESSAGES = st.lists(st.tuples(PIECES, st.none() | st.binary(max_size=125)), max_size=4)


@given(MESSAGES, st.lists(st.integers(0, 300_000), max_size=12))
def test_what_frames_carry_is_the_same_however_they_are_cut(
    messages: list[tuple[list[bytes], bytes | None]], places: list[int]
) -> None:
    data, carried, ping = b"", b"", None
    for pieces, question in messages:
        for number, piece in enumerate(pieces):
            data += wire(BINARY if number == 0 else CONTINUATION, piece, number == len(pieces) - 1)
            carried += piece
            if question is not None:  # a control frame may stand between the pieces of a message
                data += wire(PING, question)
                ping = question
    assert unframe([data]) == (carried, ping, None)
    assert unframe(cut(data, places)) == (carried, ping, None)
    single = data if len(data) < 2_000 else data[:2_000]
    assert unframe(single[at : at + 1] for at in range(len(single))) == unframe([single])


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail_in_another_way(data: bytes) -> None:
    def told(pieces: Iterable[bytes]) -> Found | str:
        try:
            return unframe(pieces)
        except FrameFault as fault:
            return str(fault)

    assert told([data]) == told(data[at : at + 1] for at in range(len(data)))


def test_behind_a_close_nothing_counts() -> None:
    data = wire(BINARY, b"a") + wire(CLOSE, b"\x03\xe8bye") + wire(BINARY, b"b") + b"\xff\xff"
    assert unframe([data]) == (b"a", None, b"\x03\xe8bye")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (wire(TEXT, b"x"), "type 1"),
        (wire(CONTINUATION, b"x"), "type 0"),
        (wire(BINARY, b"x", last=False) + wire(BINARY, b"x"), "type 2"),
        (b"\xc2\x01x", "reserved"),
        (b"\x82\x81", "masked"),
        (wire(PING, b"", last=False), "in pieces"),
        (b"\x89\x7e", "too long"),
        (b"\x82\x7f\x80", "more than"),
        (b"\x83", "type 3"),
    ],
)
def test_what_is_no_frame_of_a_server_is_refused(data: bytes, told: str) -> None:
    if told == "more than":
        data += bytes(7)
    with pytest.raises(FrameFault, match=told):
        unframe([data])


@given(
    st.binary(max_size=300) | st.sampled_from([125, 126, 65_535, 65_536]).map(bytes), st.binary(min_size=4, max_size=4)
)
def test_a_frame_of_ours_is_masked(payload: bytes, key: bytes) -> None:
    data = frame(BINARY, payload, key)
    plain = wire(BINARY, payload)
    head = len(plain) - len(payload)
    assert (data[0], data[1]) == (plain[0], plain[1] | 0x80)
    assert data[2:head] == plain[2:head]
    assert data[head : head + 4] == key
    assert bytes(byte ^ key[at & 3] for at, byte in enumerate(data[head + 4 :])) == payload
