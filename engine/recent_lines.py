"""What stands at the journal's end of some sources: for drivers that have to know again what they had handed over."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.errors import Refused
from engine.segment_folder import SegmentFolder

log = logging.getLogger("sortline.journal")

SEGMENTS_MAX = 2
"""A device waits for its acknowledgements: what it has not got yet it sent not long before."""


class RecentLines:
    """One look for all who ask at a time, as drivers do at a start: it has a segment in memory, and takes time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looking = asyncio.Lock()
        self._asked: dict[str, int] = {}
        self._found: dict[str, list[bytes]] = {}

    async def of(self, src: str, most: int) -> list[bytes]:
        """The last lines of a source, in the order of their acceptance."""
        self._found.pop(src, None)  # of one who asked, and was told to stop before he had them
        self._asked[src] = most
        await asyncio.sleep(0)  # who begins in the same turn has asked then, too
        async with self._looking:
            if src not in self._found:
                asked, self._asked = self._asked | {src: most}, {}
                self._found |= await asyncio.to_thread(recent_lines, self._folder, asked)
            return self._found.pop(src)


def recent_lines(folder: Path, asked: Mapping[str, int]) -> dict[str, list[bytes]]:
    """Of each source at most so many. Reads the files of a journal, whoever appends: up to SEGMENTS_MAX segments, one
    of them in memory."""
    segments = SegmentFolder(folder)
    found: dict[str, list[bytes]] = {src: [] for src in asked}
    try:
        for number in sorted(segments.numbers(), reverse=True)[:SEGMENTS_MAX]:
            wanted = {src: _named(src) for src, most in asked.items() if len(found[src]) < most}
            if not wanted:
                break
            last = {src: deque[bytes](maxlen=asked[src]) for src in wanted}
            for part in segments.parts(number, 0):
                for src, name in wanted.items():
                    if part.payload is not None and name in part.payload:
                        last[src].append(part.payload)
            for src, name in wanted.items():
                lines = [line for payload in last[src] for line in payload.split(b"\n") if name in line]
                found[src] = lines[-asked[src] :] + found[src]
    except (OSError, Refused) as error:  # a driver can do without
        log.warning("the journal's end cannot be read for %s: %s", ", ".join(asked), error)
    return {src: found[src][-most:] for src, most in asked.items()}


def _named(src: str) -> bytes:
    return b'"src":' + msgspec.json.encode(src)
