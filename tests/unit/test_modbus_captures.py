"""Traffic that others captured from real and from fuzzed devices, through the frame reader."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ext.modbus_frames import Frames
from tests.captures import Piece, captures, pieces

PORT = 502
ASKED = {1, 2, 3, 4, 6, 16}  # the functions that we use

Exchange = tuple[bytes, bytes]


def exchanges(capture: Path) -> Iterator[Exchange]:
    """Whole requests of the functions that we use, and the bytes that came as their answers."""
    open_requests: dict[object, bytes] = {}
    for piece in pieces(capture):
        connection = frozenset((piece.source, piece.target))
        if piece.target[1] == PORT:
            open_requests[connection] = piece.data
        elif connection in open_requests and is_ours(open_requests[connection]):
            yield open_requests.pop(connection), piece.data


def is_ours(request: bytes) -> bool:
    return len(request) >= 12 and request[7] in ASKED and len(request) == 6 + int.from_bytes(request[4:6], "big")


def asking(request: bytes) -> Frames:
    transaction, _, _, unit, function, address, last = struct.unpack_from(">HHHBBHH", request)
    frames = Frames()
    frames.expect("asked", transaction, unit, function, address, last)
    return frames


def test_every_captured_answer_is_found_whole_and_byte_by_byte() -> None:
    found: Counter[tuple[str, int]] = Counter()
    for capture in captures("pcap/modbus"):
        for request, answer in exchanges(capture):
            whole = asking(request)
            got = whole.feed(answer)
            bytewise = asking(request)
            pieces_of = [answer[at : at + 1] for at in range(len(answer))]
            assert [each for piece in pieces_of for each in bytewise.feed(piece)] == got
            assert bytewise.fault == whole.fault
            # by the specification alone: what stands behind the header is the content
            if answer[7] & 0x80:
                assert got == [("asked", answer[8])]
            elif request[7] <= 4:
                assert got == [("asked", answer[9:])]
            else:
                assert got == [("asked", b"")]
            found[capture.name, request[7]] += 1
    assert sum(found.values()) >= 20
    assert {function for _, function in found} == ASKED


def test_whatever_was_captured_is_an_answer_or_a_fault_and_never_more() -> None:
    """All bytes of all servers, fuzzed ones too, as the answer to a request that was never among theirs."""
    streams: dict[tuple[str, object], bytearray] = {}
    for capture in captures("pcap/modbus"):
        for piece in pieces(capture):
            if piece.source[1] == PORT:
                streams.setdefault((capture.name, piece.target), bytearray()).extend(piece.data)
    assert len(streams) >= 4
    for stream in streams.values():
        frames = Frames()
        frames.expect("other", 0xABCD, 1, 3, 0, 10)
        assert frames.feed(bytes(stream)) == []
        assert frames.fault == "wrong transaction: a late or foreign answer"


def test_a_captured_answer_with_a_changed_byte_is_never_taken_for_another_size() -> None:
    chance = random.Random(502)
    for capture in captures("pcap/modbus"):
        for request, answer in exchanges(capture):
            for _ in range(50):
                at = chance.randrange(len(answer))
                changed = answer[:at] + bytes([answer[at] ^ chance.randrange(1, 256)]) + answer[at + 1 :]
                whole, bytewise = asking(request), asking(request)
                got = whole.feed(changed)
                assert [each for at in range(len(changed)) for each in bytewise.feed(changed[at : at + 1])] == got
                for _, content in got:
                    assert isinstance(content, int) or len(content) == max(0, len(answer) - 9) or request[7] > 4


def test_retransmitted_bytes_of_a_capture_come_once(tmp_path: Path) -> None:
    def segment(sequence: int, data: bytes) -> bytes:
        tcp = struct.pack(">HHIIBBHHH", 502, 4000, sequence, 0, 0x50, 0, 0, 0, 0) + data
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
        frame = bytes(12) + b"\x08\x00" + ip + tcp
        return struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame

    file = tmp_path / "made.pcap"
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    start = 2**32 - 2
    file.write_bytes(header + segment(start, b"abc") + segment(start, b"abcd") + segment(2, b"e") + segment(1, b"de"))
    found = list(pieces(file))
    assert b"".join(piece.data for piece in found) == b"abcde"
    assert found[0] == Piece((b"\x0a\0\0\1", 502), (b"\x0a\0\0\2", 4000), b"abc")
