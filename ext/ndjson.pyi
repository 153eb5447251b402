"""Canonical NDJSON (one record a line) to rows of a batch. Strict: a record that does not fit is refused with a reason.

Refused: broken JSON; text that is not UTF-8; a key twice in one object; an unknown kind; a known field of another type,
null or empty; integers below 0 or from 2**63 (`line`, `sub`: from 2**31); a `rev` of 0; `t` or `t_rx` after the year
2200; a text that is none of those that its field takes; a missing required field; and, before anything is stored: lines
over 256 KB, nesting over 32, an object of over 256 keys, a text or key of over 4096 bytes, `src` of over 128, a number
of over 64 characters or an exponent over 240.

Kept as they are: unknown fields, and of noise everything but the envelope; they are read for their syntax alone.
A byte-order mark before a record, white space around it and blank lines are passed over.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from ext.batch import Batch
from ext.texts import Texts

LINE_BYTES_MAX: Final[int]

class NdjsonDecoder:
    texts: Texts

    def __init__(
        self,
        texts: Texts,
        kinds: Mapping[str, tuple[bool, Sequence[Sequence[str]]]],
        fields: Mapping[str, str],
        exceptions: Mapping[tuple[str, str], str],
        elements: Mapping[tuple[str, str], Sequence[Sequence[str]]],
        values: Mapping[tuple[str, str], Sequence[str]],
        element_values: Mapping[str, Sequence[str]],
    ) -> None:
        """`kinds`: name -> (is it noise?, alternatives of required fields); `fields`: name -> "text" | "int" | "bool" |
        "texts" | "nested" | "any"; `exceptions`: (kind, field) -> another type than in `fields`; `elements`: (kind,
        field) -> alternatives of what each object of a nested list must have, none for a list of line numbers;
        `values`: (kind, field) -> all that it may be, `element_values`: the same by field of an object in such a list.
        ValueError for a kind or a field that the columns do not know."""

    def decode(self, data: bytes, batch: Batch) -> list[tuple[int, str]]:
        """Append the good lines of `data` as rows; returns (index of the line from 0, reason) of the refused ones.

        `data` holds whole lines (only the last may lack its line feed), so any cut at line ends gives the same rows.
        `batch` must intern in the same `texts` (ValueError). MemoryError when `texts` is full: rows before it stand.
        """

    def decode_lines(self, lines: Sequence[bytes], batch: Batch) -> list[tuple[int, str]]:
        """The same for payloads that were cut already, one record each: a line feed inside one is refused."""
