"""What stands at the journal's end of one source: for a driver that has to know again what it had handed over."""

from __future__ import annotations

import logging
from collections import deque
from pathlib import Path

import msgspec

from engine.errors import Refused
from engine.segment_folder import SegmentFolder

log = logging.getLogger("sortline.journal")

SEGMENTS_MAX = 2
"""A device waits for its acknowledgements: what it has not got yet it sent not long before."""


def recent_lines(folder: Path, src: str, most: int) -> list[bytes]:
    """The last lines of a source, in the order of their acceptance. Reads the files of a journal, whoever appends:
    up to SEGMENTS_MAX segments, one of them in memory."""
    segments = SegmentFolder(folder)
    named = b'"src":' + msgspec.json.encode(src)
    found: list[bytes] = []
    try:
        for number in sorted(segments.numbers(), reverse=True)[:SEGMENTS_MAX]:
            payloads = (part.payload for part in segments.parts(number, 0))
            last = deque((payload for payload in payloads if payload is not None and named in payload), maxlen=most)
            found = [line for payload in last for line in payload.split(b"\n") if named in line] + found
            if len(found) >= most:
                break
    except (OSError, Refused) as error:  # a driver can do without
        log.warning("the journal's end cannot be read for %s: %s", src, error)
    return found[-most:]
