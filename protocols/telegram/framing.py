"""Where telegrams begin and end in a stream of bytes. Resumable and pure: any cut of the stream gives the same."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from protocols.telegram.settings import Length, StxEtx

SAMPLE_BYTES_MAX = 4_096
BETWEEN = b"\r\n\0 \t"
"""Bytes that may stand between two telegrams without meaning anything."""


class Split(NamedTuple):
    """What some bytes brought. `causes`: what was wrong on the way, each with a sample of the bytes. `broken`: why
    nothing that follows can be trusted; the connection has to be opened anew."""

    telegrams: list[bytes]
    causes: list[tuple[str, bytes]]
    broken: str | None = None


class Framing(Protocol):
    def feed(self, data: bytes) -> Split:
        """Whatever came, cut anywhere. Never raises."""

    def frame(self, content: bytes) -> bytes:
        """A telegram as it goes over the wire."""


def make_framing(settings: StxEtx | Length, bytes_max: int) -> Framing:
    """A new one for each connection. `bytes_max`: of a telegram's content."""
    return Enclosed(settings, bytes_max) if isinstance(settings, StxEtx) else Prefixed(settings, bytes_max)


class Enclosed:
    """Telegrams between two bytes. After anything else it goes on with the next start."""

    def __init__(self, settings: StxEtx, bytes_max: int) -> None:
        self._start = bytes([settings.start])
        self._end = bytes([settings.end])
        self._bytes_max = bytes_max
        self._content: bytearray | None = None  # since the start; None: outside of a telegram
        self._is_lost = False  # outside, and it was said

    def frame(self, content: bytes) -> bytes:
        return self._start + content + self._end

    def feed(self, data: bytes) -> Split:
        found = Split([], [])
        at = 0
        while at < len(data):
            at = self._outside(data, at, found) if self._content is None else self._inside(data, at, found)
        return found

    def _outside(self, data: bytes, at: int, found: Split) -> int:
        start = data.find(self._start, at)
        until = start if start >= 0 else len(data)
        skipped = data[at:until].strip(BETWEEN)
        if skipped and not self._is_lost:
            self._is_lost = True
            found.causes.append(("bytes outside of a telegram", skipped[:SAMPLE_BYTES_MAX]))
        if start >= 0:
            self._content, self._is_lost = bytearray(), False
        return until + 1

    def _inside(self, data: bytes, at: int, found: Split) -> int:
        assert self._content is not None
        end = data.find(self._end, at)
        start = data.find(self._start, at, end if end >= 0 else len(data))
        until = next((place for place in (start, end) if place >= 0), len(data))
        # no more than shows that it is too much
        self._content += data[at : min(until, at + self._bytes_max + 1)]
        content = bytes(self._content)
        if len(content) > self._bytes_max:
            found.causes.append(("a telegram longer than telegram_bytes_max", content[:SAMPLE_BYTES_MAX]))
            self._content, self._is_lost = None, True
            return until  # a start there begins the next one
        if start >= 0:
            found.causes.append(("a telegram that begins inside of another", content[:SAMPLE_BYTES_MAX]))
            self._content = bytearray()
        elif end >= 0:
            found.telegrams.append(content)
            self._content = None
        return until + 1


class Prefixed:
    """Telegrams behind their length. A length that is none leaves no way to go on."""

    def __init__(self, settings: Length, bytes_max: int) -> None:
        self._settings = settings
        self._bytes_max = bytes_max
        self._pending = b""
        self._broken: str | None = None

    def frame(self, content: bytes) -> bytes:
        settings = self._settings
        length = len(content) + settings.length_bytes * settings.counts_itself
        if settings.format == "ascii":
            return b"%0*d" % (settings.length_bytes, length) + content
        return length.to_bytes(settings.length_bytes, settings.byte_order) + content

    def feed(self, data: bytes) -> Split:
        found = Split([], [])
        width = self._settings.length_bytes
        pending, at = self._pending + data, 0
        while self._broken is None and at + width <= len(pending):
            length = self._length(pending[at : at + width])
            if not 0 < length <= self._bytes_max:
                self._broken = "no length of a telegram, or more than telegram_bytes_max"
                found.causes.append((self._broken, pending[at : at + SAMPLE_BYTES_MAX]))
                break
            if at + width + length > len(pending):
                break
            found.telegrams.append(pending[at + width : at + width + length])
            at += width + length
        self._pending = pending[at:] if self._broken is None else b""
        return found._replace(broken=self._broken)

    def _length(self, prefix: bytes) -> int:
        """0: it is none."""
        settings = self._settings
        if settings.format == "binary":
            length = int.from_bytes(prefix, settings.byte_order)
        else:
            length = int(prefix) if prefix.isdigit() else 0
        return length - settings.length_bytes * settings.counts_itself
