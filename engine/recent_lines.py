"""What stands at the journal's end of one source: for a driver that has to know again what it had handed over."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from engine.segment_folder import SegmentFolder

SEGMENTS_MAX = 2
"""A device waits for its acknowledgements: what it has not got yet it sent not long before."""


def recent_lines(folder: Path, src: str, most: int) -> list[bytes]:
    """The last lines of a source, in the order of their acceptance. Reads the files of a journal, whoever appends."""
    segments = SegmentFolder(folder)
    named = b'"src":' + msgspec.json.encode(src)
    found: deque[bytes] = deque(maxlen=most)
    for number in sorted(segments.numbers())[-SEGMENTS_MAX:]:
        for part in segments.parts(number, 0):
            if part.payload is not None and named in part.payload:
                found += [line for line in part.payload.split(b"\n") if named in line]
    return list(found)
