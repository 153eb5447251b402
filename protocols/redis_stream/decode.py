"""One entry of a stream in, canonical lines out. Pure: no I/O, no clock, no logging."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import DecodeError
from protocols.mapping.payload import PARSERS, parse_text
from protocols.mapping.plan import NO_CAPTURES, Lines, canonical_lines, compile_plan
from protocols.mapping.sequence import Sequences
from protocols.redis_stream.settings import Settings

FIELDS_MAX = 256

Entry = Mapping[bytes, bytes]
"""The fields of an entry; none: it was trimmed off the stream before it was read."""


class Decoder:
    """What the entries of one stream mean. `sequences`: the devices' counters, which an entry moves."""

    def __init__(self, settings: Settings, sequences: Sequences) -> None:
        self._field = settings.field.encode()
        self._of_fields = settings.format == "fields"
        self._bytes_max = settings.payload_bytes_max
        self._parse = parse_text if self._of_fields else PARSERS[settings.format]
        self._plan = compile_plan(settings, sequences)

    def decode(self, entry: Entry, t_rx: int) -> Lines:
        """The lines of an entry, and the cause of each thing in it that does not fit."""
        try:
            return canonical_lines(self._plan, self._values(entry), NO_CAPTURES, t_rx)
        except DecodeError as error:
            return Lines([], [error.cause])

    def payload(self, entry: Entry) -> bytes:
        """What to keep of an entry that does not fit."""
        return b" ".join(entry.values()) if self._of_fields else entry.get(self._field, b"")

    def _values(self, entry: Entry) -> object:
        if not entry:
            raise DecodeError("entry: trimmed off the stream before it was read")
        if self._of_fields:
            if len(entry) > FIELDS_MAX:
                raise DecodeError(f"entry: more than {FIELDS_MAX} fields")
            return {
                self._parse(name, self._bytes_max): self._parse(text, self._bytes_max) for name, text in entry.items()
            }
        if self._field not in entry:
            raise DecodeError("entry: has no such field as the settings name")
        return self._parse(entry[self._field], self._bytes_max)
