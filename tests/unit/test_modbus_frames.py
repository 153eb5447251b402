"""Which bytes are the answer to a request, and what is wrong with all others: whole, and one byte at a time."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.modbus_frames import IN_FLIGHT_MAX, Frames, crc16

READ = (3, 3, 100, 2)  # unit, function, address, quantity or value
BITS = (3, 1, 0, 9)
WRITE = (3, 6, 120, 5)
WRITE_MANY = (3, 16, 120, 1)
ECHO = (3, 8, 0, 0xA537)

Asked = tuple[int, int, int, int]
Answers = list[tuple[object, bytes | int]]


def tcp(body: bytes, transaction: int = 7, unit: int = 3, protocol: int = 0, length: int | None = None) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, len(body) + 1 if length is None else length, unit) + body


def rtu(body: bytes, unit: int = 3) -> bytes:
    frame = bytes([unit]) + body
    return frame + struct.pack("<H", crc16(frame))


def asking(asked: Asked, is_rtu: bool = False) -> Frames:
    frames = Frames(is_rtu)
    frames.expect("token", 7, *asked)
    return frames


def fed(frames: Frames, pieces: list[bytes]) -> tuple[Answers, str | None]:
    answers: Answers = []
    for piece in pieces:
        answers += frames.feed(piece)
    return answers, frames.fault


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


GOOD = b"\x03\x04\0\x01\0\x02"
ANSWERS: list[tuple[Asked, bytes, bytes | int]] = [
    (READ, GOOD, b"\0\x01\0\x02"),
    (READ, b"\x83\x02", 2),
    (BITS, b"\x01\x02\xff\x01", b"\xff\x01"),
    (WRITE, b"\x06\0\x78\0\x05", b""),
    (WRITE, b"\x86\x0b", 11),
    (WRITE_MANY, b"\x10\0\x78\0\x01", b""),
    (ECHO, b"\x08\0\0\xa5\x37", b""),
    (ECHO, b"\x88\x01", 1),
]


@pytest.mark.parametrize(("asked", "body", "answer"), ANSWERS)
@pytest.mark.parametrize("is_rtu", [False, True])
def test_the_answer_is_found_however_it_is_cut(asked: Asked, body: bytes, answer: bytes | int, is_rtu: bool) -> None:
    whole = rtu(body) if is_rtu else tcp(body)
    for pieces in ([whole], bytewise(whole), *([whole[:cut], whole[cut:]] for cut in range(1, len(whole)))):
        frames = asking(asked, is_rtu)
        assert fed(frames, pieces) == ([("token", answer)], None)
        assert len(frames) == 0


WRONG_TCP = [
    (READ, tcp(GOOD, transaction=6), "wrong transaction"),
    (READ, tcp(GOOD, transaction=0), "wrong transaction"),
    (READ, tcp(GOOD, protocol=1), "wrong protocol id"),
    (READ, tcp(GOOD, unit=4), "wrong unit"),
    (READ, tcp(b"\x04\x04\0\x01\0\x02"), "wrong function"),
    (READ, tcp(b"\x84\x02"), "wrong function"),
    (READ, tcp(b"\x03\x02\0\x01"), "wrong length"),
    (READ, tcp(b"\x03\x06\0\x01\0\x02\0\x03"), "wrong length"),
    (READ, tcp(b"\x03\x02\0\x01\0\x02"), "wrong byte count"),
    (READ, tcp(GOOD, length=60_000), "wrong length"),
    (READ, tcp(GOOD, length=3), "wrong length"),
    (READ, tcp(b"\x83\x02\x02"), "wrong length"),
    (READ, b"HTTP/1.1 400 Bad Request", "wrong transaction"),
    (BITS, tcp(b"\x01\x01\xff"), "wrong length"),
    (WRITE, tcp(b"\x06\0\x78\0\x06"), "another request"),
    (WRITE, tcp(b"\x06\0\x79\0\x05"), "another request"),
    (WRITE_MANY, tcp(b"\x10\0\x78\0\x02"), "another request"),
]
WRONG_RTU = [
    (READ, rtu(GOOD, unit=4), "wrong unit"),
    (READ, rtu(b"\x04\x04\0\x01\0\x02"), "wrong function"),
    (READ, rtu(b"\x03\x02\0\x01"), "wrong byte count"),
    (READ, rtu(GOOD)[:-1] + b"\0", "wrong checksum"),
    (READ, bytes([3]) + GOOD[:2] + b"\0\x09\0\x02" + rtu(GOOD)[-2:], "wrong checksum"),
    (WRITE, rtu(b"\x06\0\x78\0\x06"), "another request"),
    (ECHO, rtu(b"\x08\0\0\xa5\x36"), "another request"),
    (ECHO, rtu(GOOD), "wrong function"),
]


@pytest.mark.parametrize(
    ("asked", "data", "fault", "is_rtu"),
    [*((*case, False) for case in WRONG_TCP), *((*case, True) for case in WRONG_RTU)],
)
def test_what_is_not_exactly_the_answer_is_a_fault_for_good(
    asked: Asked, data: bytes, fault: str, is_rtu: bool
) -> None:
    for pieces in ([data], bytewise(data)):
        frames = asking(asked, is_rtu)
        answers, found = fed(frames, pieces)
        assert answers == []
        assert fault in str(found)
        assert frames.feed(rtu(GOOD) if is_rtu else tcp(GOOD)) == []


@pytest.mark.parametrize("is_rtu", [False, True])
def test_bytes_behind_the_answer_are_a_fault_and_the_answer_counts(is_rtu: bool) -> None:
    whole = rtu(GOOD) if is_rtu else tcp(GOOD)
    for pieces in ([whole + b"\0"], bytewise(whole + b"\0")):
        assert fed(asking(READ, is_rtu), pieces) == ([("token", b"\0\x01\0\x02")], "an answer that nobody asked for")


def test_the_checksum_is_that_of_the_specification() -> None:
    # MODBUS over Serial Line 1.02, section 6.2.2: 02 07 gives 41 12, low byte first
    assert crc16(b"\x02\x07") == 0x1241


def test_a_request_is_a_frame_of_its_own_number() -> None:
    frames = Frames()
    assert frames.read("a", 3, 3, 100, 2) == bytes.fromhex("0001 0000 0006 03 03 0064 0002")
    assert frames.write("b", 3, 6, 120, 5) == bytes.fromhex("0002 0000 0006 03 06 0078 0005")
    assert frames.write("c", 3, 16, 120, 5) == bytes.fromhex("0003 0000 0009 03 10 0078 0001 02 0005")
    assert frames.echo("d", 3, 0xA537) == bytes.fromhex("0004 0000 0006 03 08 0000 A537")
    assert len(frames) == 4
    assert Frames(True).write("c", 3, 6, 120, 5)[:-2] == bytes.fromhex("03 06 0078 0005")


@pytest.mark.parametrize(
    "arguments", [(3, 5, 0, 1), (3, 3, 0, 126), (3, 3, 0, 0), (3, 1, 0, 2_001), (3, 3, 65_535, 2), (256, 3, 0, 1)]
)
def test_a_request_that_no_device_could_answer_is_refused(arguments: tuple[int, int, int, int]) -> None:
    frames = Frames()
    with pytest.raises(ValueError, match=r"function|cannot|no unit"):
        frames.read("t", *arguments)
    assert len(frames) == 0


@pytest.mark.parametrize(
    "arguments", [(3, 1, 0, 2_000), (3, 2, 63_536, 2_000), (0, 3, 65_411, 125), (255, 4, 65_535, 1)]
)
def test_as_much_as_a_device_may_be_asked_for_is_asked(arguments: tuple[int, int, int, int]) -> None:
    frames = Frames()
    assert frames.read("t", *arguments)[6:] == struct.pack(">BBHH", *arguments)


@pytest.mark.parametrize(
    ("function", "value", "reason"),
    [(5, 1, "function 5"), (15, 1, "function 15"), (6, -1, "-1"), (6, 65_536, "65536"), (16, 65_536, "65536")],
)
def test_what_no_register_takes_is_not_written(function: int, value: int, reason: str) -> None:
    frames = Frames()
    with pytest.raises(ValueError, match=f"^{reason} (writes no register|is no register's value)$"):
        frames.write("t", 3, function, 120, value)
    assert len(frames) == 0
    assert frames.write("t", 3, 6, 120, 65_535)[-2:] == b"\xff\xff"
    assert frames.write("u", 3, 6, 120, 0)[-2:] == b"\0\0"


def test_who_is_waited_for_and_until_when() -> None:
    frames = Frames()
    first = frames.read("first", 1, 3, 0, 1, 10.0)
    frames.read("second", 1, 3, 9, 1, 12.0)
    assert (frames.waiting, frames.earliest(), frames.tokens_waiting()) == (2, 10.0, ["first", "second"])
    assert (frames.overdue(9.9), frames.overdue(10.0), frames.overdue(12.0)) == ([], ["first"], ["first", "second"])
    assert not frames.is_alive("second")
    assert not frames.is_alive("nobody")
    frames.feed(first[:4] + b"\0\x05\x01\x03\x02\0\x09")
    assert frames.is_alive("second")  # the device is there, and slow
    assert not frames.is_alive("nobody")
    assert (frames.waiting, frames.earliest(), frames.tokens_waiting()) == (1, 12.0, ["second"])
    assert frames.abandon("second")
    assert frames.abandon("second")  # once is enough
    assert (frames.waiting, len(frames), frames.earliest(), frames.overdue(99.0)) == (0, 1, float("inf"), [])


def test_answers_in_any_order_find_their_requests() -> None:
    frames = Frames()
    asked = [frames.read(number, 1, 3, number, 1) for number in range(IN_FLIGHT_MAX)]
    with pytest.raises(ValueError, match="too many"):
        frames.read("one more", 1, 3, 0, 1)
    answers = [frame[:4] + struct.pack(">HBBBH", 5, 1, 3, 2, number) for number, frame in enumerate(asked)]
    random.Random(4).shuffle(answers)
    got, fault = fed(frames, bytewise(b"".join(answers)))
    assert fault is None
    assert sorted(got) == [(number, struct.pack(">H", number)) for number in range(IN_FLIGHT_MAX)]


def test_a_late_answer_is_dropped_and_shifts_none() -> None:
    frames = Frames()
    late, prompt = frames.read("late", 1, 3, 0, 1), frames.read("prompt", 1, 3, 9, 1)
    assert frames.abandon("late")
    assert frames.feed(prompt[:4] + b"\0\x05\x01\x03\x02\0\x09") == [("prompt", b"\0\x09")]
    assert frames.feed(late[:4] + b"\0\x05\x01\x03\x02\0\x07") == []
    assert (frames.stale, frames.fault, len(frames)) == (1, None, 0)


def test_a_late_answer_of_a_serial_line_cannot_be_told_from_the_next() -> None:
    assert not asking(READ, is_rtu=True).abandon("token")


def test_a_number_that_is_still_on_its_way_is_passed_over() -> None:
    frames = Frames()
    frames.expect("old", 2, *READ)
    assert frames.read("a", 1, 3, 0, 1)[:2] == b"\0\x01"
    assert frames.read("b", 1, 3, 0, 1)[:2] == b"\0\x03"


@given(st.binary(max_size=300), st.booleans(), st.data())
def test_no_bytes_break_it_and_any_cut_gives_the_same(data: bytes, is_rtu: bool, drawn: st.DataObject) -> None:
    start = drawn.draw(st.sampled_from([b"", tcp(GOOD), tcp(GOOD)[:9], rtu(GOOD), rtu(GOOD)[:4]]))
    stream = start + data
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[one:other] for one, other in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = fed(asking(READ, is_rtu), [stream])
    assert fed(asking(READ, is_rtu), bytewise(stream)) == whole
    assert fed(asking(READ, is_rtu), pieces) == whole


@given(st.integers(0, 12), st.integers(1, 255))
def test_a_flipped_byte_of_a_serial_answer_never_passes(at: int, flip: int) -> None:
    answer = bytearray(rtu(GOOD + b""))
    answer[at % len(answer)] ^= flip
    assert fed(asking(READ, is_rtu=True), [bytes(answer)])[0] == []
