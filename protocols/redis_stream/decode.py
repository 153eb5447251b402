"""One entry of a stream in, canonical lines out. Pure: no I/O, no clock, no logging."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import DecodeError
from protocols.mapping.meaning import Meaning
from protocols.mapping.payload import parse_text
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
        self._bytes_max = settings.payload_bytes_max
        self._plan = compile_plan(settings, sequences)
        of_fields = settings.format == "fields"
        self._meaning = None if of_fields else Meaning(settings, sequences, settings.payload_bytes_max)

    def decode(self, entry: Entry, t_rx: int) -> Lines:
        """The lines of an entry, and the cause of each thing in it that does not fit."""
        if not entry:
            return Lines([], ["entry: trimmed off the stream before it was read"])
        if self._meaning is None:
            return self._of_fields(entry, t_rx)
        if self._field not in entry:
            return Lines([], ["entry: has no such field as the settings name"])
        return self._meaning.lines(entry[self._field], t_rx)

    def payload(self, entry: Entry) -> bytes:
        """What to keep of an entry that does not fit."""
        return b" ".join(entry.values()) if self._meaning is None else entry.get(self._field, b"")

    def _of_fields(self, entry: Entry, t_rx: int) -> Lines:
        if len(entry) > FIELDS_MAX:
            return Lines([], [f"entry: more than {FIELDS_MAX} fields"])
        limit = self._bytes_max
        try:
            values = {parse_text(name, limit): parse_text(text, limit) for name, text in entry.items()}
        except DecodeError as error:
            return Lines([], [error.cause])
        return canonical_lines(self._plan, values, NO_CAPTURES, t_rx)
