"""Bytes to lines, and a line to canonical lines. Pure: no I/O, no clock, no logging."""

from __future__ import annotations

from typing import NamedTuple

from protocols.file_lines.settings import Settings
from protocols.mapping.meaning import Meaning
from protocols.mapping.plan import Lines
from protocols.mapping.sequence import Sequences

SAMPLE_BYTES_MAX = 4_096
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""With which programs on Windows begin a file."""


class Cut(NamedTuple):
    """A whole line, None for one that is too long, and how many bytes it took with its end."""

    line: bytes | None
    sample: bytes
    size: int


class Cutter:
    """Cuts a stream at its line feeds, wherever it is cut by itself. `bytes_max`: of a line."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._rest = b""
        self._skipped = 0  # bytes of a line that is too long, beside what is kept of it in `_rest`

    def feed(self, data: bytes) -> list[Cut]:
        """The lines that are whole now, without their ends."""
        pieces = (self._rest + data).split(b"\n")
        cuts = [self._cut(piece, 1) for piece in pieces[:-1]]
        self._rest = pieces[-1]
        if len(self._rest) > self._bytes_max:
            # one byte more than fits says enough, and the rest of it is only counted
            self._skipped += len(self._rest) - self._bytes_max - 1
            self._rest = self._rest[: self._bytes_max + 1]
        return cuts

    def end(self) -> list[Cut]:
        """The stream is over: what has no end is a line too."""
        rest, self._rest = self._rest, b""
        return [self._cut(rest, 0)] if rest else []

    def _cut(self, piece: bytes, end: int) -> Cut:
        size, self._skipped = len(piece) + self._skipped + end, 0
        line = piece if len(piece) <= self._bytes_max else None
        return Cut(line, piece[:SAMPLE_BYTES_MAX], size)


class Decoder:
    """What the lines of one source mean. `sequences`: the devices' counters, which a line moves."""

    def __init__(self, settings: Settings, sequences: Sequences) -> None:
        self._meaning = Meaning(settings, sequences, settings.line_bytes_max)

    def decode(self, line: bytes, t_rx: int) -> Lines:
        """The canonical lines of a line, and the cause of each thing in it that does not fit. Blank: nothing."""
        line = line.lstrip(b"\0").removeprefix(BYTE_ORDER_MARK)  # zeros: of a hole, or of a disk that lost its power
        return self._meaning.lines(line, t_rx) if line.strip() else Lines([], [])
