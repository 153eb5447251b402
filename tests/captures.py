"""Captured traffic (pcap) as the bytes of TCP connections, in the order in which they went over the wire.

Format: the classic pcap file, little-endian, Ethernet frames (wiki.wireshark.org/Development/LibpcapFileFormat).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.vectors import vectors

TCP = 6


class Piece(NamedTuple):
    """Payload of one TCP segment, nothing of it seen before. Ends are (address, port)."""

    source: tuple[bytes, int]
    target: tuple[bytes, int]
    data: bytes


def captures(folder: str) -> list[Path]:
    """The capture files of `shared/vectors/<folder>`; skips where there is none."""
    return sorted(vectors(folder).glob("*.pcap"))


def pieces(capture: Path) -> Iterator[Piece]:
    """Retransmitted bytes come once; what the capture lost is left out."""
    following: dict[tuple[object, object], int] = {}
    for frame in _frames(capture.read_bytes()):
        segment = _segment(frame)
        if segment is None:
            continue
        source, target, sequence, data = segment
        known = following.get((source, target), sequence)
        overlap = (known - sequence) % 2**32
        if overlap >= 2**31:
            overlap = 0  # bytes are missing before it
        following[source, target] = (sequence + max(len(data), overlap)) % 2**32
        if data[overlap:]:
            yield Piece(source, target, data[overlap:])


def _frames(content: bytes) -> Iterator[bytes]:
    magic, *_, link = struct.unpack_from("<IHHiIII", content)
    assert (magic, link) == (0xA1B2C3D4, 1)
    at = 24
    while at + 16 <= len(content):
        (size,) = struct.unpack_from("<8xI4x", content, at)
        yield content[at + 16 : at + 16 + size]
        at += 16 + size


def _segment(frame: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int], int, bytes] | None:
    if frame[12:14] != b"\x08\x00" or len(frame) < 34 or frame[23] != TCP:
        return None
    packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
    segment = packet[(packet[0] & 15) * 4 :]
    source_port, target_port, sequence = struct.unpack_from(">HHI", segment)
    data = segment[(segment[12] >> 4) * 4 :]
    return (packet[12:16], source_port), (packet[16:20], target_port), sequence, data
