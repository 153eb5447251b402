"""Two flipped bits of one frame of the journal: its checksum says which two they may have been.

What two bits change of a CRC is the one's change and the other's, put together by exclusive or. In a short frame no
other two make the same difference; in a long one few do, and who asks has to know by something else which it was.
"""

from __future__ import annotations

import struct

import numpy as np

from ext import frames

FRAME = struct.Struct("<II")
LENGTH_MAX = 32 * 1024  # a longer one takes too long, and is rare: records pack well
CHECKSUM_AT = 32  # in bits, of a frame


def pairs(data: bytes, at: int, number: int, base: int = 0) -> list[tuple[int, int]]:
    """Bits (8 * place in `data` + number in its byte) that make the frame at `at` whole when both are turned over. None
    of its length."""
    if len(data) - at < FRAME.size:
        return []
    length, stored = FRAME.unpack_from(data, at)
    if not 0 < length <= min(LENGTH_MAX, len(data) - at - FRAME.size):
        return []
    payload = data[at + FRAME.size : at + FRAME.size + length]
    off = stored ^ FRAME.unpack(frames.head(payload, number, base + at))[1]
    changes = np.concatenate(
        [np.frombuffer(frames.differences(8 * length), np.uint32), np.uint32(1) << np.arange(32, dtype=np.uint32)]
    )
    places = np.concatenate([8 * (FRAME.size + length) - 1 - np.arange(8 * length), CHECKSUM_AT + np.arange(32)])
    order = np.argsort(changes)
    wanted = changes ^ np.uint32(off)
    found = np.minimum(np.searchsorted(changes[order], wanted), len(order) - 1)
    hits = np.flatnonzero(changes[order][found] == wanted)
    ends = [(int(places[hit]), int(places[order[found[hit]]])) for hit in hits]
    return [(8 * at + one, 8 * at + other) for one, other in ends if one < other]
